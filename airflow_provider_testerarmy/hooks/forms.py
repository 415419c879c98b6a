"""The connection forms, described once: as data for Airflow 3.2 and later, as widgets for older versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ExtraField:
    """A field of the connection's extra."""

    label: str
    kind: Literal["string", "boolean"] = "string"
    description: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionForm:
    """A connection type's form: which standard fields it hides and renames, and what it adds."""

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
                "schema": {"type": [one.kind, "null"]},
            }
            for name, one in self.extra.items()
        }

    def ui_field_behaviour(self) -> dict[str, Any]:
        """``ui-field-behaviour`` of the provider info; with ``_`` for ``-``, of the hook."""
        return {
            "hidden-fields": list(self.hidden),
            "relabeling": dict(self.labels),
            "placeholders": dict(self.placeholders),
        }

    def hook_field_behaviour(self) -> dict[str, Any]:
        """What ``get_ui_field_behaviour`` of the hook returns."""
        behaviour = self.ui_field_behaviour()
        return {**behaviour, "hidden_fields": behaviour.pop("hidden-fields")}

    def widgets(self) -> dict[str, Any]:
        """What ``get_connection_form_widgets`` of the hook returns."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import BooleanField, StringField

        return {
            name: BooleanField(one.label, description=one.description)
            if one.kind == "boolean"
            else StringField(one.label, widget=BS3TextFieldWidget(), description=one.description)
            for name, one in self.extra.items()
        }


_NETWORK = {
    "allow_http": ExtraField(
        "Allow plain http",
        "boolean",
        "Send the API key unencrypted to a host other than this machine. Leave off.",
    ),
    "verify": ExtraField(
        "CA bundle",
        description="Path of the certificate authorities that verify the service; the usual ones when empty. "
        "false turns verification off: anyone on the network can then read the API key.",
    ),
    "connect_timeout": ExtraField(
        "Connect time-out", description="Seconds to wait for a connection to the service; 5 when empty."
    ),
    "read_timeout": ExtraField(
        "Read time-out", description="Seconds to wait for the next piece of an answer; 30 when empty."
    ),
    "max_requests_per_second": ExtraField(
        "Requests per second",
        description="What all tasks that wait in one triggerer may ask together; 20 when empty.",
    ),
}

TESTERARMY = ConnectionForm(
    hidden=("schema", "login", "port", "extra"),
    labels={"host": "Base URL", "password": "API key"},
    placeholders={"host": "https://tester.army/api/v1", "password": "sk_..."},
    extra={
        "workspace": ExtraField(
            "Workspace", description="Workspace slug in dashboard addresses; links are shown when it is set."
        ),
        "project_short_id": ExtraField(
            "Project short id", description="The project's id in dashboard addresses; needed for links too."
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
