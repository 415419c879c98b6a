from __future__ import annotations

import importlib
import inspect
from pkgutil import resolve_name

import pytest

from airflow_provider_testerarmy.airflow_compat import FEATURES
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.operators.base import RunOperator
from airflow_provider_testerarmy.sensors.base import RunSensor
from tests.docs import generate

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
