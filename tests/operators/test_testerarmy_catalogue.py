"""The operators for tests as code, against the sandbox."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from airflow_provider_testerarmy.exceptions import (
    RequestRefused,
    RunInterrupted,
    ServiceUnavailable,
    TestsFailed,
)
from airflow_provider_testerarmy.hooks import catalogue_folder
from airflow_provider_testerarmy.hooks.catalogue_folder import select_test_ids
from airflow_provider_testerarmy.lifecycle.catalogue_lock import only_one
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyListTestsOperator,
    TesterArmySyncTestsOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.catalogue.conftest import PROJECT, folder
from tests.lifecycle.conftest import no_pauses
from tests.lifecycle.test_memory import Nights, fail
from tests.lifecycle.tries import TaskInstance, group

__all__ = ["folder", "no_pauses"]

pytestmark = pytest.mark.usefixtures("connections")


def sync(**fields):
    return TesterArmySyncTestsOperator(
        **{"task_id": "sync", "folder": "tests", "project_id": PROJECT, **fields}
    )


def listing(**fields):
    return TesterArmyListTestsOperator(**{"task_id": "list", "project_id": PROJECT, **fields})


@pytest.fixture
def run(folder):
    """Runs a task of a DAG beside the folder."""

    def execute(task):
        dag = SimpleNamespace(fileloc=str(folder.path.parent / "dag.py"))
        return task.execute({"ti": TaskInstance(lambda: None, 1, 0), "dag": dag})

    return execute


def test_a_sync(folder, run, tmp_path):
    """The folder is beside the DAG; the lock may be elsewhere."""
    folder.write("a.md", "Login", group="Nightly")
    actions = {"create group": 1, "create": 1, "add to group": 1}
    assert run(sync(plan_only=True)) == {"tests": 1, "applied": 0, "actions": actions}
    assert folder.titled("Login") == []
    lock_path = str(tmp_path / "locks" / "app.json")
    assert run(sync(lock_path=lock_path)) == {"tests": 1, "applied": 3, "actions": actions}
    assert run(sync(lock_path=lock_path, project_id=None)) == {"tests": 1, "applied": 0, "actions": {}}
    (folder.path / "a.md").unlink()
    run(sync(lock_path=lock_path, delete=True))
    assert folder.titled("Login") == []


@pytest.mark.usefixtures("no_pauses")
def test_a_hiccup_and_an_outage(folder, run):
    """A request that had no effect is sent again. After an outage, the next try goes on."""
    folder.write("a.md", "Login")
    folder.service.control.faults.add("status", "create_test", status=503)
    with pytest.raises(ServiceUnavailable):
        run(sync())
    folder.service.control.faults.add("status", "list_tests", status=503, times=2)
    run(sync())
    assert len(folder.titled("Login")) == 1


@pytest.mark.usefixtures("no_pauses")
def test_what_fails_without_a_retry(folder, run):
    """A conflict, an invalid file, no folder. A sync that meets another one is retried by Airflow."""
    folder.write("a.md", "Login")
    run(sync())
    folder.hook.update_test(folder.titled("Login")[0].id, description="Somebody's")
    with pytest.raises(RequestRefused, match="somebody changed the test"):
        run(sync(plan_only=True))
    folder.write("b.md", "Pay", color="red")
    with pytest.raises(RequestRefused, match="'color' is no field"):
        run(sync())
    with pytest.raises(RequestRefused, match="is no folder"):
        run(sync(folder="typo"))
    (folder.path / "b.md").unlink()
    with only_one(str(folder.path / "tests.lock.json"), str(folder.path)), pytest.raises(ServiceUnavailable):
        run(sync(overwrite=True))


def test_a_task_that_is_stopped_ends_between_two_actions(folder, run, monkeypatch):
    """And the next try goes on."""
    for name in "abc":
        folder.write(f"{name}.md", f"Test {name}")
    task = sync()
    goes_on = task._goes_on

    def stopped(one_try, done, action):
        task.on_kill()
        goes_on(one_try, done, action)

    monkeypatch.setattr(task, "_goes_on", stopped)
    with pytest.raises(RunInterrupted):
        run(task)
    assert len(folder.titled("Test a")) == 1
    assert run(sync())["actions"] == {"create": 2}


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (sync, {"folder": ""}),
        (sync, {"delete": "perhaps"}),
        (listing, {"project_id": ""}),
        (listing, {"tag": "smoke"}),
        (listing, {"last_failed": True}),
    ],
)
def test_a_mistake_fails_the_dag_file(make, wrong):
    with pytest.raises(ValueError, match=r"\w"):
        make(**wrong)


def test_a_list_of_tests(folder, run):
    """Of a project, a group, or a folder; by tag and owner. Disabled tests are not among them."""
    every = run(listing())
    assert every == [test.id for test in folder.hook.list_tests(PROJECT) if test.enabled]
    folder.write("a.md", "Login", tags="[smoke]", owner="web", group="Nightly")
    folder.write("b.md", "Pay", tags="[smoke]", owner="shop")
    folder.write("c.md", "Old", tags="[smoke]", enabled="false")
    folder.sync()
    login, pay = (folder.titled(title)[0].id for title in ("Login", "Pay"))
    (nightly,) = [each.id for each in folder.hook.list_groups(PROJECT) if each.name == "Nightly"]
    assert run(listing(group_id=nightly)) == [login]
    assert sorted(run(listing(folder="tests"))) == sorted([login, pay])
    assert run(listing(folder="tests", tag="smoke", owner_of_tests="shop")) == [pay]
    assert run(listing(folder="tests", tag="other")) == []
    assert [test.id for test in folder.hook.list_tests(PROJECT, folder=folder.path, owner="web")] == [login]
    assert select_test_ids(folder.path, tag="smoke") == [login, pay]
    folder.write("d.md", "New")
    with pytest.raises(RequestRefused, match=r"d\.md is not at the service yet"):
        run(listing(folder="tests"))


def test_a_list_of_what_last_failed(run, service, monkeypatch, tmp_path):
    """By the memory of a gate; a failure of an earlier night that was repaired does not count."""
    memory = str(tmp_path / "memory")
    nights = Nights(service, monkeypatch)
    options = {"gate": {"fail_on": "new"}, "memory_path": memory}
    wanted = {"project_id": catalog.PROJECT_SHOP, "memory_path": memory, "last_failed": True}
    fail(service, catalog.TEST_CART, catalog.TEST_LOGIN)
    assert isinstance(nights.night(group(**options)), TestsFailed)
    service.control.store.override_script(catalog.TEST_LOGIN, "passes")
    nights.night(group(**options))
    assert run(listing(**wanted)) == [catalog.TEST_CART]
    assert run(listing(**wanted, group_id=catalog.GROUP_FLAKY)) == []
    service.control.store.override_script(catalog.TEST_CART, "passes")
    nights.night(group(**options))
    assert run(listing(**wanted)) == []


def test_a_list_in_an_event_loop_reads_the_files_beside_it(folder, monkeypatch):
    """The loop goes on while the files are read. If they were read in the loop, nothing would set the event."""
    folder.write("a.md", "Login", owner="web")
    folder.write("b.md", "Pay")
    folder.sync()
    began, goes_on, read = threading.Event(), threading.Event(), catalogue_folder.read_valid_files

    def slow(path):
        began.set()
        assert goes_on.wait(10), "the event loop is blocked"
        return read(path)

    async def listed():
        found = folder.hook.alist_tests(PROJECT, folder=folder.path, owner="web")
        return [test.title async for test in found]

    async def both():
        listing = asyncio.create_task(listed())
        await asyncio.to_thread(began.wait, 10)
        goes_on.set()
        return await listing

    monkeypatch.setattr(catalogue_folder, "read_valid_files", slow)
    assert asyncio.run(both()) == ["Login"]
