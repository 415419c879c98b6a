"""The tab's plugin registration, and its import cost in processes that serve no pages."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files

import pytest

from airflow_provider_testerarmy.plugin import TesterArmyPlugin
from airflow_provider_testerarmy.ui import registration

# The compat module reads Airflow's version; the test replaces it there.
OLD = """if True:
    from airflow_provider_testerarmy.airflow_compat import features
    features.INSTALLED = (3, 0)
    from airflow_provider_testerarmy.plugin import TesterArmyPlugin as plugin
    print(
        plugin.fastapi_apps, plugin.external_views, plugin.fastapi_root_middlewares, len(plugin.listeners)
    )
"""

LOADED = """if True:
    import json, sys
    from airflow.providers.common.compat.sdk import AirflowPlugin
    from airflow_provider_testerarmy import listener
    before = set(sys.modules)
    import airflow_provider_testerarmy.plugin
    print(json.dumps(sorted(set(sys.modules) - before)))
"""


def output(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "airflow_provider_testerarmy" not in ended.stderr
    return ended.stdout.splitlines()[-1]


def test_the_plugin_is_light() -> None:
    """Scheduler, workers, triggerer and DAG processor load plugins too, and serve no pages."""
    own = "airflow_provider_testerarmy"
    assert json.loads(output(LOADED)) == [
        f"{own}.plugin",
        f"{own}.ui",
        f"{own}.ui.registration",
        f"{own}.ui.unset_port",
    ]


def test_an_older_airflow_has_no_tab_and_no_noise() -> None:
    """The package still loads, with its listener."""
    assert output(OLD) == "[] [] [] 1"


def test_where_it_shows() -> None:
    """The views show on a task, on a DAG run and in the navigation, with relative URLs and unique routes."""
    views = TesterArmyPlugin.external_views
    assert [view["destination"] for view in views] == ["task_instance", "dag_run", "nav"]
    assert len({view["url_route"] for view in views}) == 3
    assert not any(view["href"].startswith(("/", "http")) for view in views)
    assert TesterArmyPlugin.fastapi_apps[0]["url_prefix"] == registration.PREFIX


def test_the_static_files_are_there() -> None:
    """The static files are part of the package and load nothing from elsewhere."""
    static = files("airflow_provider_testerarmy.ui") / "static"
    found = [*static.iterdir(), *(static / "text").iterdir()]
    names = {path.name for path in found}
    assert {"page.html", "main.js", "style.css", "icon.svg", "icon-dark.svg", "en.json", "de.json"} <= names
    for text in (path.read_text() for path in found if path.is_file()):
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "way", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc"]
)
def test_no_script_makes_markup_of_text(way: str) -> None:
    """Scripts only create text nodes and never parse text as HTML."""
    static = files("airflow_provider_testerarmy.ui") / "static"
    assert [
        path.name for path in static.iterdir() if path.name.endswith(".js") and way in path.read_text()
    ] == []
