from __future__ import annotations

import ast
import importlib
import inspect
from pkgutil import resolve_name

import pytest

from airflow_provider_testerarmy.airflow_compat import FEATURES
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.operators.base import RunOperator
from airflow_provider_testerarmy.sensors.base import RunSensor
from tests.docs import generate, reference_tables
from tests.docs.blocks import REPOSITORY

PAGES = generate.pages()
PUBLIC = {name for names in generate.PUBLIC.values() for name in names}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_generated_page_is_up_to_date(path):
    """`make docs` writes it."""
    assert path.read_text() == PAGES[path]


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.title)
def test_every_feature_is_in_the_table(feature):
    """With the version that brings it."""
    assert f"| {feature.title} | {feature.version} |" in generate.features()


def test_every_public_class_is_in_the_reference():
    """Those in the modules of the provider info."""
    info = get_provider_info()
    modules = [
        module
        for kind in ("operators", "sensors")
        for each in info[kind]
        for module in each["python-modules"]
    ]
    found = {
        f"{module}.{name}".removeprefix(f"{generate.PACKAGE}.")
        for module in modules
        for name, each in vars(importlib.import_module(module)).items()
        if isinstance(each, type)
        and issubclass(each, RunOperator | RunSensor)
        and each.__module__ == module
        and not inspect.isabstract(each)
    }
    assert found <= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_parameter_is_described(name):
    """One that is added without a word about it shows."""
    module, _, attribute = name.rpartition(".")
    what = resolve_name(f"{generate.PACKAGE}.{module}:{attribute}")
    described = {
        one.strip()
        for kind, names, _ in generate._docstring(what)[1]
        if kind == "param"
        for one in names.split(",")
    }
    own = set(generate._defaults(what)) - {"self", "args", "kwargs"}
    if isinstance(what, type) and "__init__" not in vars(what):
        own = set()
    assert own <= described


#: How the package writes keys that are no literals.
NAMED_KEYS = {
    "KEY": "group_tests",
    "NOTE": "test_runs",
    "OTHER_RUNS": "other_run_ids",
    "TesterArmyRunLink.xcom_key": "testerarmy_url",
    "link.xcom_key": None,
}


def pushed_keys() -> set[str]:
    """The key of each `xcom_push` in the package, and that of each link."""
    found = set()
    for path in (REPOSITORY / generate.PACKAGE).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "xcom_push":
                (key,) = [each.value for each in node.keywords if each.arg == "key"]
                text = ast.unparse(key)
                found.add(NAMED_KEYS[text] if text in NAMED_KEYS else ast.literal_eval(key))
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "xcom_key":
                found.add(ast.literal_eval(node.value))
    return {key for key in found if key}


def test_every_xcom_is_in_the_reference():
    """One that is pushed without a word about it shows."""
    assert pushed_keys() == set(reference_tables.XCOMS)


def test_every_exception_is_in_the_reference_and_in_troubleshooting():
    """The base alone is never raised; what a user catches, and what a log shows, is explained."""
    names = {each.__name__ for each in reference_tables.exceptions()}
    assert len(names) > 15
    reference = generate.reference()
    assert [name for name in names if f"| `{name}` |" not in reference] == []
    troubleshooting = (generate.DOCS / "troubleshooting.md").read_text()
    assert [name for name in names - {"TestRunError"} if f"`{name}`" not in troubleshooting] == []


def test_the_reference_says_what_airflow_retries():
    """By the base classes, which are what Airflow reads."""
    rows = reference_tables.exceptions_table()
    assert "| `TestsFailedFinally` | `TestsFailed` | does not retry |" in rows
    assert "| `RunErrored` | `TestRunError` | retries |" in rows
    assert "| `TestsSkipped` | `AirflowSkipException` | skips the task |" in rows
