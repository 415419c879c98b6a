"""The connection forms. Airflow 3.2 and later read them from the provider info, older versions as widgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal


@dataclass(frozen=True, slots=True)
class ExtraField:
    """A field of the connection's extra."""

    label: str
    kind: Literal["string", "boolean"] = "string"
    description: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionForm:
    """The form of a connection type: hidden and renamed standard fields, and additional fields."""

    # Airflow 3.3 reads only the provider info; 2.11 and 3.1 read only the methods of the hook (measured). So both
    # are generated from this class.

    hidden: tuple[str, ...]
    labels: Mapping[str, str]
    placeholders: Mapping[str, str]
    extra: Mapping[str, ExtraField] = field(default_factory=dict)

    def conn_fields(self) -> dict[str, Any]:
        """``conn-fields`` of the provider info."""
        return {
            name: {
                "label": one.label,
                "description": one.description,
                # Airflow's form sends null for an empty field.
                "schema": {"type": [one.kind, "null"]},
            }
            for name, one in self.extra.items()
        }

    def ui_field_behaviour(self) -> dict[str, Any]:
        """``ui-field-behaviour`` of the provider info."""
        return {
            "hidden-fields": list(self.hidden),
            "relabeling": dict(self.labels),
            "placeholders": dict(self.placeholders),
        }

    def hook_field_behaviour(self) -> dict[str, Any]:
        """The return value of the hook's ``get_ui_field_behaviour``."""
        # The provider info spells the name with a hyphen, the hook with an underscore.
        behaviour = self.ui_field_behaviour()
        return {**behaviour, "hidden_fields": behaviour.pop("hidden-fields")}

    def widgets(self) -> dict[str, Any]:
        """The return value of the hook's ``get_connection_form_widgets``."""
        # Imported here: Airflow 3.2 and later do without Flask-AppBuilder.
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import BooleanField, StringField

        return {
            name: BooleanField(one.label, description=one.description)
            if one.kind == "boolean"
            else StringField(one.label, widget=BS3TextFieldWidget(), description=one.description)
            for name, one in self.extra.items()
        }


#: The field with the secrets of webhooks.
WEBHOOK_SECRET: Final = "webhook_secret"  # noqa: S105

#: The field with the queue of hints.
HINTS_QUEUE: Final = "hints_queue"

_NETWORK = {
    "allow_http": ExtraField(
        "Allow plain http",
        "boolean",
        "Allow sending the API key unencrypted to a host other than this machine. Leave this off.",
    ),
    "verify": ExtraField(
        "CA bundle",
        description="Path of a CA bundle that verifies the service's certificate; leave empty for the default one. "
        "false turns verification off: anyone on the network can then read the API key.",
    ),
    "connect_timeout": ExtraField(
        "Connect timeout", description="Seconds to wait for a connection to the service. Default: 5."
    ),
    "read_timeout": ExtraField(
        "Read timeout", description="Seconds to wait for data from the service. Default: 30."
    ),
    "max_requests_per_second": ExtraField(
        "Requests per second",
        description="Limit for all tasks that wait in one triggerer, and for a sync of tests. Default: 20; a "
        "triggerer makes more if the service allows it.",
    ),
    WEBHOOK_SECRET: ExtraField(
        "Webhook secret",
        description="Leave empty to refuse webhooks. During a rotation: the new and the old one, with a comma.",
    ),
    HINTS_QUEUE: ExtraField(
        "Queue of hints",
        description="A JSON object with the arguments of Airflow's MessageQueueTrigger; leave empty for no queue.",
    ),
}

TESTERARMY = ConnectionForm(
    hidden=("schema", "login", "port", "extra"),
    labels={"host": "Base URL", "password": "API key"},
    placeholders={"host": "https://tester.army/api/v1", "password": "sk_..."},
    extra={
        "workspace": ExtraField(
            "Workspace", description="Workspace slug in dashboard URLs; used only for links to runs."
        ),
        "project_short_id": ExtraField(
            "Project short id", description="Project id in dashboard URLs; used only for links to runs."
        ),
        **_NETWORK,
    },
)

DOCKET = ConnectionForm(
    hidden=("schema", "login", "port", "extra"),
    labels={"host": "Base URL", "password": "API key"},
    placeholders={"host": "https://api.docketqa.com"},
    extra=_NETWORK,
)
