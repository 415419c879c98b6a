"""Which classes a triggerer can import, checked in a worker."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.triggers.importable import importable_elsewhere

SOURCE = "class OwnHook:\n    class Inner: pass\n"


@pytest.fixture
def dag_folder(tmp_path, monkeypatch):
    """A DAG bundle with a module beside its DAG file, on the path as Airflow puts it there."""
    (tmp_path / "company_hooks_of_the_bundle.py").write_text(SOURCE)
    (tmp_path / "company_package").mkdir()
    (tmp_path / "company_package" / "__init__.py").write_text("")
    (tmp_path / "company_package" / "hooks.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("company_")]:
        del sys.modules[name]


@pytest.fixture
def dag_file(tmp_path, monkeypatch):
    """A DAG file as Airflow imports it."""
    path = tmp_path / "my_dag.py"
    path.write_text(SOURCE)
    name = "unusual_prefix_0123456789_my_dag"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return name


@pytest.mark.parametrize(
    "path",
    [
        f"{TesterArmyHook.__module__}.{TesterArmyHook.__qualname__}",
        "json.decoder.JSONDecoder",
        "collections.OrderedDict",
        "xml.dom.minidom.Node.__class__",
    ],
)
def test_what_is_installed(path, dag_folder):
    assert importable_elsewhere(path, [dag_folder])


def test_what_lies_in_the_dag_file(dag_file):
    """Only processes that parse it have the module."""
    assert not importable_elsewhere(f"{dag_file}.OwnHook")


@pytest.mark.parametrize(
    "path", ["company_hooks_of_the_bundle.OwnHook", "company_package.hooks.OwnHook.Inner"]
)
def test_what_lies_in_the_bundle(dag_folder, path):
    """A triggerer has no bundles on its path. Where every process has the folder, it is not named."""
    assert not importable_elsewhere(path, [dag_folder])
    assert importable_elsewhere(path)


@pytest.mark.parametrize(
    "path",
    [
        "__main__.OwnHook",
        "json.decoder.NoSuchClass",
        "no_such_module_at_all.Hook",
        "json.test_x.<locals>.Hook",
        "Hook",
        "",
        ".",
        "..json",
    ],
)
def test_what_nobody_can_import(path):
    assert not importable_elsewhere(path)
