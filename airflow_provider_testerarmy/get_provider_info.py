"""The provider's description, which Airflow reads to discover hooks, connection types and links."""

from __future__ import annotations

from typing import Any

from airflow_provider_testerarmy.configuration import provider_config
from airflow_provider_testerarmy.hooks import forms

_PACKAGE = "airflow_provider_testerarmy"


def get_provider_info() -> dict[str, Any]:
    """The provider's description, valid against Airflow's ``provider_info.schema.json``.

    It has no ``plugins``: Airflow does not load them by default, and a plugin that is also an entry point is an
    import error (measured on 3.3).
    """
    return {
        "package-name": "airflow-provider-testerarmy",
        "name": "TesterArmy",
        "description": "Schedules, awaits and judges AI end-to-end test runs on "
        "`TesterArmy <https://tester.army>`__ and `Docket <https://www.docketqa.com>`__.",
        "integrations": [
            _integration("TesterArmy", "https://docs.tester.army"),
            _integration("Docket", "https://docs.docketqa.com"),
        ],
        "operators": _modules("operators"),
        "sensors": _modules("sensors"),
        "hooks": _modules("hooks"),
        "triggers": [
            {"integration-name": "TesterArmy", "python-modules": [f"{_PACKAGE}.triggers.runs"]},
        ],
        "connection-types": [
            _connection_type("TesterArmy", forms.TESTERARMY),
            _connection_type("Docket", forms.DOCKET),
        ],
        "config": provider_config("0.1.0"),
        "task-decorators": [
            {"name": name, "class-name": f"{_PACKAGE}.decorators.testerarmy.task_{name}"}
            for name in ("testerarmy", "testerarmy_group")
        ],
        "notifications": [
            f"{_PACKAGE}.notifications.testerarmy.{name}"
            for name in ("TesterArmyVerdictNotifier", "GitHubComment", "GitHubCommitStatus")
        ],
        "cli": [f"{_PACKAGE}.cli.definition.get_testerarmy_cli_commands"],
        "extra-links": [
            f"{_PACKAGE}.operators.testerarmy.TesterArmyRunLink",
            f"{_PACKAGE}.operators.docket.DocketRunLink",
        ],
    }


def hook_classes() -> tuple[str, ...]:
    """The import paths of the vendors' hooks. A record may name only these."""
    return tuple(each["hook-class-name"] for each in get_provider_info()["connection-types"])


def _integration(name: str, docs: str) -> dict[str, Any]:
    return {"integration-name": name, "external-doc-url": docs, "tags": ["service"]}


def _modules(folder: str) -> list[dict[str, Any]]:
    return [
        {"integration-name": name, "python-modules": [f"{_PACKAGE}.{folder}.{name.lower()}"]}
        for name in ("TesterArmy", "Docket")
    ]


def _connection_type(name: str, form: forms.ConnectionForm) -> dict[str, Any]:
    return {
        "connection-type": name.lower(),
        "hook-name": name,
        "hook-class-name": f"{_PACKAGE}.hooks.{name.lower()}.{name}Hook",
        "conn-fields": form.conn_fields(),
        "ui-field-behaviour": form.ui_field_behaviour(),
    }
