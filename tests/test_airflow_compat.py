"""What the code believes about this version of Airflow, checked on it. `make test-matrix` does so on each."""

from __future__ import annotations

import asyncio
import json
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec

import pytest
from airflow.providers.common.compat.sdk import AirflowPlugin, BaseHook
from airflow.triggers.base import BaseTrigger

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import FEATURES, Feature
from airflow_provider_testerarmy.plugin import TesterArmyPlugin

VERSION = tuple(map(int, metadata.version("apache-airflow").split(".")[:2]))


def has_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def providers_manager() -> str:
    return (files("airflow") / "providers_manager.py").read_text()


#: By feature: whether this Airflow has what it stands on, seen without asking for its version.
SEEN = {
    airflow_compat.DURABLE_RETRIES: lambda: has_module("airflow.state.metastore"),
    airflow_compat.RETRY_ONLY_FAILED: lambda: has_module("airflow.state.metastore"),
    airflow_compat.KILL_WHILE_DEFERRED: lambda: hasattr(BaseTrigger, "on_kill"),
    airflow_compat.LISTENER: lambda: has_module("airflow.models.task_state_store"),
    airflow_compat.FORM_FROM_INFO: lambda: "conn-fields" in providers_manager(),
    airflow_compat.UI_TAB: lambda: hasattr(AirflowPlugin, "external_views"),
    airflow_compat.ASYNC_CONNECTION: lambda: hasattr(BaseHook, "aget_connection"),
}


def test_every_feature_is_looked_for():
    """One that is new to the table has to be put here first."""
    assert set(SEEN) == set(FEATURES)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.title)
def test_the_code_knows_what_this_airflow_has(feature):
    """Not more, which would break, and not less, which would be a promise unkept."""
    assert feature.available == SEEN[feature]()


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.title)
def test_a_feature_goes_by_the_version(feature):
    """Of the distribution that users install."""
    assert feature.available == (feature.since <= VERSION)


def test_versions_are_numbers():
    """3.10 comes after 3.9."""
    assert Feature("", (3, 10), "", "").version == "3.10"
    assert Feature("", (2, 11), "", "").available
    assert not Feature("", (99, 0), "", "").available


def test_the_listener_is_registered_where_it_can_read():
    """Elsewhere each call would end in an error."""
    assert bool(TesterArmyPlugin.listeners) == airflow_compat.LISTENER.available


def test_a_connection_is_read_from_an_event_loop(monkeypatch):
    """On every version."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "testerarmy", "password": "sk_1"}))
    assert asyncio.run(airflow_compat.aget_connection("shop")).password == "sk_1"
