"""Environments and credentials against the sandbox: once, whatever happens, and without a secret anywhere."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_testerarmy.client.testerarmy import environments
from airflow_provider_testerarmy.exceptions import (
    CredentialsRejected,
    RequestRefused,
    RunInterrupted,
    ServiceUnavailable,
)
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.lifecycle.resources import ResourceTry
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyCreateCredentialOperator,
    TesterArmyCreateEnvironmentOperator,
    TesterArmyDeleteEnvironmentOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.conftest import LOGIN, connections, no_pauses  # noqa: F401
from tests.lifecycle.tries import TaskInstance
from tests.operators.test_testerarmy import own_parameters

SHOP, URL = catalog.PROJECT_SHOP, "https://pr-7.shop.example/"


@pytest.fixture(autouse=True)
def _connected(connections, no_pauses):  # noqa: F811
    """A connection to the sandbox, and pauses that take no time."""


def create(**fields):
    given = {"task_id": "create", "project_id": SHOP, "name": "PR 7", "url": URL, **fields}
    return TesterArmyCreateEnvironmentOperator(**given)


def delete(**fields):
    return TesterArmyDeleteEnvironmentOperator(task_id="delete", project_id=SHOP, **fields)


def login(**fields):
    given = {
        "task_id": "login",
        "project_id": SHOP,
        "credential_label": "Buyer",
        "credentials_conn_id": "shop_login",
    }
    return TesterArmyCreateCredentialOperator(**{**given, **fields})


def run(task):
    context = {"ti": TaskInstance(lambda: None, 1, 0)}
    return SimpleNamespace(value=task.execute(context), xcoms=context["ti"].xcoms)


def listed(name="PR 7"):
    return [each for each in TesterArmyHook().list_environments(SHOP) if each.name == name]


def test_an_environment_is_created_once_and_deleted():
    """The second task of the same name gets the same id."""
    made = run(create())
    assert run(create(url=URL.rstrip("/"))).value == made.value
    assert [each.id for each in listed()] == [made.value]
    assert made.xcoms["testerarmy_url"] == "https://tester.army/dashboard/acme/projects/shop"
    for _ in range(2):
        assert run(delete(name="PR 7")).value is None
        assert listed() == []


def test_an_environment_is_deleted_by_its_id():
    """Twice, because a retry may follow a lost response."""
    made = run(create()).value
    run(delete(environment_id=made))
    run(delete(environment_id=made))
    assert listed() == []


@pytest.mark.parametrize("kind", ["reset_after", "status_after", "garbage", "wrong_shape"])
def test_a_lost_response_makes_no_second_environment(service, kind):
    """The environment is found by its name."""
    service.control.faults.add(kind=kind, match="POST /projects/*/environments")
    made = run(create()).value
    assert [each.id for each in listed()] == [made]
    assert _posts(service) == 1


@pytest.mark.parametrize("kind", ["reset_before", "status", "html"])
def test_a_hiccup_fails_no_task(service, kind):
    """The request is repeated, because a name cannot be taken twice."""
    service.control.faults.add(kind=kind, match="POST /projects/*/environments", times=2)
    made = run(create()).value
    assert [each.id for each in listed()] == [made]


def test_a_dead_service_is_retried_by_airflow(service):
    """The error is not final."""
    service.control.faults.add(kind="status", status=503, match="* /projects*", times=-1)
    with pytest.raises(ServiceUnavailable) as caught:
        run(create(max_outage=20))
    assert not isinstance(caught.value, AirflowFailException)


def test_an_environment_with_another_url_is_left_alone():
    """It may be somebody else's."""
    made = run(create()).value
    with pytest.raises(RequestRefused, match="another URL"):
        run(create(url="https://other.example/"))
    assert [each.id for each in listed()] == [made]


def test_production_cannot_be_deleted():
    """The service refuses it, and the task says so."""
    (production,) = [each for each in TesterArmyHook().list_environments(SHOP) if each.kind == "production"]
    with pytest.raises(RequestRefused, match="cannot be deleted"):
        run(delete(name=production.name))


def test_a_wrong_key(monkeypatch, service):
    """Named as such, and not retried."""
    fields = {"conn_type": "testerarmy", "host": service.url, "password": "sk_wrong"}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(fields))
    with pytest.raises(CredentialsRejected) as caught:
        run(create())
    assert "sk_wrong" not in str(caught.value)


def test_an_unknown_project_is_refused():
    """Before anything is created; and a deletion does not take it for success."""
    for task in (create(project_id="no-such-project"), login(project_id="no-such-project")):
        with pytest.raises(RequestRefused):
            run(task)
    with pytest.raises(RequestRefused):
        run(TesterArmyDeleteEnvironmentOperator(task_id="delete", project_id="no-such-project", name="PR 7"))


def test_a_killed_task_deletes_what_it_has_created(service, monkeypatch):
    """The signal arrives while the request is in flight."""
    task, note = create(), ResourceTry._note_sending

    def killed_while_sending(one_try):
        note(one_try)
        task.on_kill()

    monkeypatch.setattr(ResourceTry, "_note_sending", killed_while_sending)
    with pytest.raises(RunInterrupted):
        run(task)
    assert listed() == []
    assert _posts(service) == 1


def test_a_task_killed_during_the_search_deletes_what_it_has_created(service, monkeypatch):
    """The response was lost, so the environment is found by its name first."""
    service.control.faults.add(kind="reset_after", match="POST /projects/*/environments")
    task, pauses = create(), []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 1:
            assert len(listed()) == 1
            task.on_kill()

    monkeypatch.setattr(ServiceSession, "sleep", staticmethod(sleep))
    with pytest.raises(RunInterrupted):
        run(task)
    assert listed() == []


def test_a_killed_task_keeps_what_it_has_found(monkeypatch):
    """Another task may have created it."""
    made = run(create()).value
    task = create()
    find = environments.list_environments

    def found(project):
        task.on_kill()
        return find(project)

    monkeypatch.setattr(environments, "list_environments", found)
    with pytest.raises(RunInterrupted):
        run(task)
    monkeypatch.setattr(environments, "list_environments", find)
    assert [each.id for each in listed()] == [made]


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (create, {"url": "http://plain.example"}),
        (create, {"name": " "}),
        (create, {"project_id": ""}),
        (create, {"max_outage": 0}),
        (delete, {}),
        (delete, {"name": "a", "environment_id": "b"}),
        (login, {"kind": "robot"}),
        (login, {"credentials_conn_id": None}),
        (login, {"kind": "inbox"}),
        (login, {"auth_method": "telepathy"}),
    ],
)
def test_a_mistake_fails_the_dag_file(make, wrong):
    """Before any scheduled run."""
    with pytest.raises(ValueError, match=r"\w"):
        make(**wrong)


@pytest.mark.parametrize(
    ("task", "fields"),
    [
        (create, {"url": "{{ params.x }}"}),
        (create, {"name": "{{ params.x }}"}),
        (delete, {"name": "{{ params.x }}"}),
        (delete, {"environment_id": "{{ params.x }}"}),
        (login, {"credentials_conn_id": "{{ params.x }}"}),
    ],
)
@pytest.mark.parametrize("rendered", ["", "None"])
def test_what_rendered_to_nothing_is_refused(service, task, fields, rendered):
    """Nothing is sent that could change the project."""
    task = task(**fields)
    task.render_template_fields({"params": {"x": rendered}})
    with pytest.raises(RequestRefused):
        run(task)
    assert not [each for each in service.control.log.entries() if each.method != "GET"]


def test_a_login_is_created_once_from_a_connection(service, caplog):
    """The password reaches the service, and appears nowhere else."""
    caplog.set_level(logging.DEBUG)
    with DAG("dag", schedule=None):
        task = login()
    made = run(task)
    assert run(login()).value == made.value
    (found,) = TesterArmyHook().list_credentials(SHOP)
    assert (found.id, found.username, found.label) == (made.value, LOGIN["login"], "Buyer")
    rendered = {name: getattr(task, name) for name in task.template_fields}
    assert LOGIN["password"] not in f"{rendered} {made} {caplog.text} {task.__dict__}"


@pytest.mark.parametrize("kind", ["reset_after", "status_after", "garbage"])
def test_a_lost_response_makes_no_second_login(service, kind):
    """The service would accept a second one of the same label."""
    service.control.faults.add(kind=kind, match="POST /projects/*/credentials")
    made = run(login()).value
    assert [each.id for each in TesterArmyHook().list_credentials(SHOP)] == [made]


def test_an_error_shows_no_password(service):
    """The service may echo the request."""
    message = f"bad password {LOGIN['password']}"
    service.control.faults.add(kind="status", status=400, message=message, match="POST */credentials")
    with pytest.raises(RequestRefused) as caught:
        run(login())
    chain = [caught.value, caught.value.__cause__, caught.value.__cause__.__cause__]
    assert LOGIN["password"] not in "".join(map(repr, chain)) + "".join(map(str, chain))


def test_a_label_of_another_login_is_refused(monkeypatch):
    """Its password would be that of another user."""
    run(login())
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({**LOGIN, "login": "joe"}))
    with pytest.raises(RequestRefused, match="another credential"):
        run(login(credentials_conn_id="other"))


def test_a_connection_without_a_password_is_refused(monkeypatch):
    """Nothing is sent."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_LOGIN", json.dumps({"conn_type": "generic", "login": "jane"}))
    with pytest.raises(RequestRefused, match="needs a login and a password"):
        run(login())


def test_an_inbox_tells_its_address():
    """Tests of a sign-up read mail there."""
    made = run(login(credentials_conn_id=None, kind="inbox"))
    (found,) = TesterArmyHook().list_credentials(SHOP)
    assert (made.value, made.xcoms["username"]) == (found.id, found.username)


def _posts(service):
    return sum(each.method == "POST" for each in service.control.log.entries())


@pytest.mark.parametrize("task", [create, lambda: delete(name="PR 7"), login])
def test_every_field_that_is_data_is_templated(task):
    """A parameter that is not templated would fail this test."""
    kind = type(task())
    assert own_parameters(kind) == set(kind.template_fields)
