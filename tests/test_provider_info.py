from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points, metadata
from importlib.resources import files
from pkgutil import resolve_name

import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseNotifier, BaseOperatorLink

from airflow_provider_testerarmy import __version__
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.plugin import TesterArmyPlugin

INFO = get_provider_info()
DISTRIBUTION = "airflow-provider-testerarmy"

MODULES = [
    module
    for kind in ("operators", "sensors", "hooks", "triggers")
    for entry in INFO[kind]
    for module in entry["python-modules"]
]
CONNECTIONS = {each["connection-type"]: each for each in INFO["connection-types"]}


def test_it_is_what_airflow_expects():
    """Airflow's own schema rejects misspelled keys."""
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)
    assert json.loads(json.dumps(INFO)) == INFO


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported(module):
    """Every module has a docstring."""
    assert importlib.import_module(module).__doc__


def test_every_integration_is_declared():
    """Airflow's documentation groups by it."""
    names = {each["integration-name"] for each in INFO["integrations"]}
    used = {
        entry["integration-name"]
        for kind in ("operators", "sensors", "hooks", "triggers")
        for entry in INFO[kind]
    }
    assert used <= names


@pytest.mark.parametrize("path", INFO["extra-links"])
def test_every_link_exists(path):
    """Otherwise its button would not be shown."""
    assert issubclass(resolve_name(path), BaseOperatorLink)


@pytest.mark.parametrize("path", INFO["notifications"])
def test_every_notifier_exists(path):
    """Airflow's documentation lists them."""
    assert issubclass(resolve_name(path), BaseNotifier)


@pytest.mark.parametrize("entry", INFO["task-decorators"], ids=lambda entry: entry["name"])
def test_every_decorator_exists(entry):
    """Airflow calls it as ``@task.<name>``."""
    made = resolve_name(entry["class-name"])(retries=1)(lambda: "Open the shop.")
    assert made.operator_class.custom_operator_name == f"@task.{entry['name']}"


@pytest.mark.parametrize("conn_type", ["testerarmy", "docket"])
def test_every_hook_is_of_its_connection_type(conn_type):
    """The form, the Test button and the default connection depend on it."""
    hook = resolve_name(CONNECTIONS[conn_type]["hook-class-name"])
    assert issubclass(hook, BaseHook)
    assert (hook.conn_type, hook.hook_name) == (conn_type, CONNECTIONS[conn_type]["hook-name"])
    assert hook.default_conn_name == f"{conn_type}_default"
    assert hook.conn_name_attr == f"{conn_type}_conn_id"
    assert getattr(hook(), hook.conn_name_attr) == hook.default_conn_name


@pytest.mark.parametrize("conn_type", ["testerarmy", "docket"])
def test_the_form_is_the_same_in_every_airflow(conn_type):
    """Newer versions read the provider info, older ones call the hook."""
    info = CONNECTIONS[conn_type]["ui-field-behaviour"]
    behaviour = resolve_name(CONNECTIONS[conn_type]["hook-class-name"]).get_ui_field_behaviour()
    assert {name.replace("_", "-"): value for name, value in behaviour.items()} == info
    assert not set(info["hidden-fields"]) & (set(info["relabeling"]) | set(info["placeholders"]))


@pytest.mark.parametrize("conn_type", ["testerarmy", "docket"])
def test_every_extra_field_may_be_left_empty(conn_type):
    """The form sends null for an empty field."""
    for field in CONNECTIONS[conn_type]["conn-fields"].values():
        assert "null" in field["schema"]["type"]
        assert field["label"]


@pytest.mark.parametrize(
    ("group", "name", "target"),
    [
        ("apache_airflow_provider", "provider_info", get_provider_info),
        ("airflow.plugins", "testerarmy", TesterArmyPlugin),
    ],
)
def test_the_entry_points_resolve(group, name, target):
    """Airflow finds the package by its entry points."""
    (point,) = [point for point in entry_points(group=group, name=name) if point.dist.name == DISTRIBUTION]
    assert point.load() is target


def test_the_names_are_those_of_the_distribution():
    """Airflow looks the version up by this name."""
    assert INFO["package-name"] == metadata(DISTRIBUTION)["Name"] == DISTRIBUTION
    assert metadata(DISTRIBUTION)["Version"] == __version__
