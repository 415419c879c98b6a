"""Airflow parses DAG files again and again, so importing an operator must be cheap."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OWN = "airflow_provider_testerarmy"
MODULES = [
    f"{OWN}.operators.testerarmy",
    f"{OWN}.operators.docket",
    f"{OWN}.decorators.testerarmy",
    f"{OWN}.notifications.testerarmy",
    f"{OWN}.sensors.testerarmy",
    f"{OWN}.sensors.docket",
    f"{OWN}.task_groups.testerarmy",
]
#: Requests and responses of the API that no run needs.
RESOURCES = [
    f"client.testerarmy.{name}"
    for name in [
        "apps",
        "credentials",
        "environments",
        "fields",
        "files",
        "groups",
        "memories",
        "projects",
        "pull_requests",
        "saved_tests",
        "webhooks",
    ]
]
#: Seconds of computing, a quarter of which the operators take; a busy machine does not add to them.
LIMIT = 0.05

# What a DAG file of any kind has loaded; then, each time in a fresh copy of that, the import, its time and
# what it brought. The best of five, because the machine may be busy.
PROBE = """if True:
    import gc, json, os, sys, time
    import airflow.providers.common.compat.sdk
    from airflow.providers.common.compat.sdk import DAG, BaseHook, BaseOperator, BaseSensorOperator
    from airflow.providers.common.compat.sdk import Connection, task

    def measure(module):
        before = set(sys.modules)
        begin = time.process_time()
        __import__(module)
        seconds = time.process_time() - begin
        return {"seconds": seconds, "before": sorted(before), "new": sorted(set(sys.modules) - before)}

    def in_a_copy(module):
        reading, writing = os.pipe()
        if os.fork() == 0:
            with os.fdopen(writing, "w") as pipe:
                json.dump(measure(module), pipe)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            found = json.load(pipe)
        os.wait()
        return found

    gc.freeze()
    best = {}
    for module in sys.argv[1:]:
        best[module] = min((in_a_copy(module) for _ in range(5)), key=lambda found: found["seconds"])
    print(json.dumps(best))
"""


@pytest.fixture(scope="module")
def measured():
    """The duration of each module's import, and the modules that it loaded."""
    command = [sys.executable, "-W", "ignore", "-c", PROBE, *MODULES]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def top(name):
    return name.partition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_no_third_party_package_is_newly_loaded(measured, module):
    """Airflow has already loaded every package that an operator class needs."""
    known = set(sys.stdlib_module_names) | set(map(top, measured[module]["before"])) | {OWN}
    assert sorted({name for name in measured[module]["new"] if top(name) not in known}) == []


@pytest.mark.parametrize("module", MODULES)
def test_no_module_of_any_other_package_is_loaded(measured, module):
    """Not even another module of a loaded package, except Airflow's own base classes."""
    known = set(sys.stdlib_module_names) | {OWN, "airflow"}
    assert [name for name in measured[module]["new"] if top(name) not in known] == []


@pytest.mark.parametrize("module", MODULES)
def test_what_only_some_tasks_need_is_not_loaded(measured, module):
    """The UI, the reports, the sandbox, its web server, and what only runs in a task, are imported when used."""
    compat = [f"airflow_compat.{part}" for part in ("records", "tasks", "variables", "asset_database")]
    heavy = [f"{OWN}.{part}" for part in ("ui", "reports", "sandbox", *compat, *RESOURCES)]
    new = measured[module]["new"]
    assert [name for name in new if name.startswith((*heavy, "fastapi", "uvicorn", "starlette"))] == []


def test_the_hook_loads_a_resource_on_first_use():
    """A task that waits for runs needs none of them."""
    probe = f"""if True:
        import sys
        from {OWN}.hooks.testerarmy import TesterArmyHook
        print([name for name in sys.modules if name.removeprefix("{OWN}.") in {RESOURCES!r}])
        from {OWN}.hooks import testerarmy_projects
        print(testerarmy_projects.projects.ProjectDetail.__module__)
    """
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", probe], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.splitlines()[-2:] == ["[]", f"{OWN}.client.testerarmy.projects"]


@pytest.mark.parametrize("module", MODULES)
def test_an_import_is_quick(measured, module):
    """Every parse of every DAG file pays for it."""
    assert measured[module]["seconds"] < LIMIT
