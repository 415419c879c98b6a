"""What every operator without runs does with a bad connection, refusals, kills, clears and hostile names."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException

from airflow_provider_testerarmy.exceptions import CredentialsRejected, RequestRefused, RunInterrupted
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.operators import testerarmy as operators
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.conftest import connections, no_pauses
from tests.lifecycle.tries import TaskInstance

__all__ = ["connections", "no_pauses"]

pytestmark = pytest.mark.usefixtures("connections", "no_pauses")

SHOP, APP = catalog.PROJECT_SHOP, catalog.PROJECT_APP
NAME, URL = "PR 7", "https://pr-7.shop.example/"
ID = "40000000-0000-4000-8000-00000000dead"


def environment(name=NAME):
    return operators.TesterArmyCreateEnvironmentOperator(task_id="t", project_id=SHOP, name=name, url=URL)


def login(name=NAME):
    return operators.TesterArmyCreateCredentialOperator(
        task_id="t", project_id=SHOP, credential_label=name, credentials_conn_id="shop_login"
    )


def memory(name=NAME):
    return operators.TesterArmyCreateMemoryOperator(task_id="t", project_id=SHOP, title=name, content=name)


@pytest.fixture
def build(tmp_path):
    """A build on the worker's disk."""
    path = tmp_path / "shop.ipa"
    path.write_bytes(b"a build")
    return path


@pytest.fixture
def tests_folder(tmp_path):
    """A folder with a test."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "a.md").write_text("---\ntitle: Login\n---\n\n1. Open it\n")
    return folder


@pytest.fixture
def make(build, tests_folder):
    """Makes an operator by its name."""
    makers = {
        "environment": environment,
        "login": login,
        "memory": memory,
        "app": lambda name="shop.ipa": operators.TesterArmyUploadAppOperator(
            task_id="t", project_id=APP, path=build, filename=name
        ),
        "delete environment": lambda name=NAME: operators.TesterArmyDeleteEnvironmentOperator(
            task_id="t", project_id=SHOP, name=name
        ),
        "delete environment by id": lambda: operators.TesterArmyDeleteEnvironmentOperator(
            task_id="t", project_id=SHOP, environment_id=ID
        ),
        "delete memory": lambda name=NAME: operators.TesterArmyDeleteMemoryOperator(
            task_id="t", project_id=SHOP, title=name
        ),
        "delete memory by id": lambda: operators.TesterArmyDeleteMemoryOperator(
            task_id="t", project_id=SHOP, memory_id=ID
        ),
        "delete app": lambda: operators.TesterArmyDeleteAppOperator(task_id="t", project_id=APP, app_id=ID),
        "sync": lambda: operators.TesterArmySyncTestsOperator(
            task_id="t", folder=str(tests_folder), project_id=APP
        ),
        "list": lambda: operators.TesterArmyListTestsOperator(task_id="t", project_id=APP),
        "webhook": lambda: operators.TesterArmyTriggerGroupOperator(task_id="t"),
    }
    return lambda kind, *args: makers[kind](*args)


CREATED = ("environment", "login", "memory", "app")
BY_ID = ("delete environment by id", "delete memory by id", "delete app")
DELETED = ("delete environment", "delete memory", *BY_ID)
WITH_KEY = (*CREATED, *DELETED, "sync", "list")


def run(task, try_number=1):
    dag = SimpleNamespace(fileloc=__file__)
    return task.execute({"ti": TaskInstance(lambda: None, try_number, 1), "dag": dag})


def listed(kind):
    """The names of what a kind of operator creates."""
    hook = TesterArmyHook()
    return {
        "environment": lambda: [each.name for each in hook.list_environments(SHOP) if each.url == URL],
        "login": lambda: [each.label for each in hook.list_credentials(SHOP)],
        "memory": lambda: [each.title for each in hook.list_memories(SHOP).memories],
        "app": lambda: [each.filename for each in hook.list_apps(APP) if each.id != catalog.MOBILE_APP],
    }[kind]()


@pytest.mark.parametrize("kind", WITH_KEY)
def test_a_wrong_key(make, kind, monkeypatch, service, caplog):
    """It is named as such, not retried by Airflow, and in no text."""
    caplog.set_level(logging.DEBUG)
    fields = {"conn_type": "testerarmy", "host": service.url, "password": "sk_wrong_c0ffee"}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    with pytest.raises(CredentialsRejected) as caught:
        run(make(kind))
    assert isinstance(caught.value, AirflowFailException)
    assert "sk_wrong_c0ffee" not in f"{caught.value!r} {caught.value} {caplog.text}"


@pytest.mark.parametrize("kind", [*WITH_KEY, "webhook"])
def test_a_connection_that_was_deleted(make, kind, monkeypatch, service):
    """Airflow's own error names it, and nothing was sent."""
    monkeypatch.delenv("AIRFLOW_CONN_TESTERARMY_DEFAULT")
    with pytest.raises(AirflowNotFoundException, match="testerarmy_default"):
        run(make(kind))
    assert service.control.log.entries() == []


@pytest.mark.parametrize("kind", WITH_KEY)
def test_a_key_without_the_right(make, kind, service):
    """The message says so, and the service has created nothing."""
    service.control.faults.add("status", "*", status=403, times=-1)
    with pytest.raises(CredentialsRejected):
        run(make(kind))


@pytest.mark.parametrize("kind", CREATED)
def test_a_project_that_is_gone(make, kind, service):
    """Nothing is created, and Airflow does not retry."""
    service.control.faults.add("status", "*", status=404, times=-1)
    with pytest.raises(RequestRefused) as caught:
        run(make(kind))
    assert isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("kind", BY_ID)
def test_what_does_not_exist_is_deleted(make, kind):
    """Somebody else has deleted it, or an earlier try."""
    for _ in range(2):
        assert run(make(kind)) is None


@pytest.mark.parametrize("kind", ["environment", "memory"])
@pytest.mark.parametrize("fault", ["reset_after", "status_after", "garbage"])
def test_a_deletion_whose_answer_is_lost(make, kind, fault, service):
    """It is sent again, and what is gone by then is deleted."""
    run(make(kind))
    service.control.faults.add(fault, f"delete_{kind}")
    run(make(f"delete {kind}"))
    assert listed(kind) == []
    assert len(service.control.log.entries(f"delete_{kind}")) == 2


@pytest.mark.parametrize("kind", CREATED)
def test_a_kill_between_request_and_answer(make, kind, service):
    """A second try, and a clear, find what the first one has created."""
    operation = {"app": "confirm_app_upload", "login": "create_credential"}.get(kind, f"create_{kind}")
    service.control.faults.add("reset_after", operation)
    task = make(kind)
    made = run(task)
    assert len(listed(kind)) == 1
    for number in (2, 3):
        assert run(make(kind), number) == made
    assert len(listed(kind)) == 1


@pytest.mark.parametrize("kind", [*CREATED, "sync"])
def test_a_task_that_was_stopped_before_it_began(make, kind, service):
    """Nothing is created."""
    task = make(kind)
    task.on_kill()
    with pytest.raises(RunInterrupted):
        run(task)
    assert [each.method for each in service.control.log.entries() if each.method != "GET"] == []


HOSTILE = [
    "../../etc/passwd",
    "%s %d {0} {name} %(x)s",
    "<script>alert(1)</script>",
    "a' OR '1'='1",
    "\u202edrowssap\u202c \u200b",
    "Änderung 🦀 変更",
    "x" * 5000,
    "two\nlines\r\nINFO - forged",
    "nul \x00 and \x1b[31mred",
    "lone \ud800 surrogate",
]


@pytest.mark.parametrize("kind", CREATED)
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_created_once_or_refused(make, kind, name, service, capsys):
    """It comes from a branch or a title of somebody else. No line of the log is forged."""
    refused = None
    try:
        made = run(make(kind, name))
    except RequestRefused as error:
        refused = error
    if refused is not None:
        assert listed(kind) == []
        assert "\n" not in str(refused)
    else:
        assert run(make(kind, name)) == made
        assert len(listed(kind)) == 1
        if kind in ("environment", "memory"):
            run(make(f"delete {kind}", name))
            assert listed(kind) == []
    assert "\nINFO - forged" not in capsys.readouterr().out
