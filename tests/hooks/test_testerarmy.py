from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from airflow.exceptions import AirflowException

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook, TesterArmyService, dashboard_prefix
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.rig.airflow import free_port

KEY = "sk_test"


@pytest.fixture
def connect(service, monkeypatch):
    """Sets the connection `testerarmy_default`; by default one to the sandbox."""

    def set_connection(**fields):
        connection = {
            "conn_type": "testerarmy",
            "host": service.url,
            "password": DEFAULT_API_KEY,
            **fields,
        }
        monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(connection))
        return TesterArmyHook()

    return set_connection


# -- where the service is


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": None}, "https://tester.army/api/v1"),
        ({"host": ""}, "https://tester.army/api/v1"),
        ({"host": "  "}, "https://tester.army/api/v1"),
        ({"host": "tester.army"}, "https://tester.army/api/v1"),
        ({"host": "https://tester.army"}, "https://tester.army/api/v1"),
        ({"host": "https://tester.army/"}, "https://tester.army/api/v1"),
        ({"host": "https://tester.army/api/v1/"}, "https://tester.army/api/v1"),
        ({"host": "tester.army/api/v2"}, "https://tester.army/api/v2"),
        ({"host": "https://eu.tester.army/gateway"}, "https://eu.tester.army/gateway"),
        ({"host": "tester.army", "port": 0}, "https://tester.army/api/v1"),
        ({"host": "tester.army", "port": 8443}, "https://tester.army:8443/api/v1"),
        ({"host": "https://tester.army:8443/api/v1", "port": 443}, "https://tester.army:8443/api/v1"),
        ({"host": "https://tester.army/api/v1", "port": 8443}, "https://tester.army:8443/api/v1"),
        ({"host": "tester.army", "schema": "https"}, "https://tester.army/api/v1"),
        ({"host": "tester.army", "schema": "api/v3"}, "https://tester.army/api/v3"),
        ({"host": "localhost", "schema": "http", "port": 8123}, "http://localhost:8123/api/v1"),
        ({"host": "http://127.0.0.1:8123"}, "http://127.0.0.1:8123/api/v1"),
        ({"host": "http://[::1]:8123/api/v1"}, "http://[::1]:8123/api/v1"),
    ],
)
def test_the_base_url(connect, fields, url):
    """For any form of the host; a bare host gets the service's default path."""
    hook = connect(**fields)
    assert hook.base_url() == url
    assert hook.endpoint.base_url == url


def test_port_zero_is_none():
    """The connection form sends it for an empty field."""
    hook = TesterArmyHook()
    hook._connection = SimpleNamespace(host="tester.army", port=0, schema=None)
    assert hook.base_url() == "https://tester.army/api/v1"


@pytest.mark.parametrize("uri", ["testerarmy://:sk_test@tester.army", "testerarmy://:sk_test@"])
def test_a_connection_as_a_uri(monkeypatch, uri):
    """The form that Airflow's documentation shows first."""
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", uri)
    endpoint = TesterArmyHook().endpoint
    assert (endpoint.base_url, endpoint.key) == ("https://tester.army/api/v1", KEY)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "http://tester.army/api/v1"}, "plain http"),
        ({"host": "tester.army", "schema": "http"}, "plain http"),
        ({"host": "ftp://tester.army"}, "is not a base URL"),
        ({"host": "https://jane:secret@tester.army"}, "no user, password"),
        ({"host": "https://tester.army/api/v1?key=1"}, "query"),
        ({"password": ""}, "API key is empty"),
        ({"password": None}, "API key is empty"),
        ({"password": "sk_a\nsk_b"}, "line break"),
        ({"password": "sk_a sk_b"}, "a space"),
    ],
)
def test_a_connection_that_cannot_be_used(connect, fields, words):
    """The message says what to change, and shows no secret."""
    with pytest.raises(RequestInvalid, match=words) as caught:
        _ = connect(**fields).endpoint
    assert not [secret for secret in ("secret", "sk_a") if secret in str(caught.value)]


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        (True, True),
        ("true", True),
        ("True", True),
        ("1", True),
        (False, False),
        ("no", False),
        (None, False),
        ("", False),
    ],
)
def test_plain_http_has_to_be_allowed(connect, value, allowed):
    """A form, a URI and JSON each write it their own way."""
    assert connect(extra={"allow_http": value}).allow_http is allowed


def test_fields_that_a_form_left_empty(connect):
    """They arrive as null or blank, and are as good as absent."""
    extra = {"workspace": None, "project_short_id": "", "allow_http": None, "other": 0}
    assert connect(extra=extra).extra == {"other": 0}


@pytest.mark.parametrize("extra", [None, "", "{}"])
def test_no_extra(connect, extra):
    """It is empty."""
    assert connect(extra=extra).extra == {}


def test_a_connection_that_is_not_there(monkeypatch):
    """Airflow's own error names it."""
    monkeypatch.delenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", raising=False)
    with pytest.raises(AirflowException, match="not_there"):
        _ = TesterArmyHook("not_there").endpoint


# -- links


@pytest.mark.parametrize(
    ("extra", "prefix"),
    [
        ({}, ""),
        ({"workspace": "acme"}, ""),
        ({"project_short_id": "shop"}, ""),
        (
            {"workspace": "acme", "project_short_id": "shop"},
            "https://tester.army/dashboard/acme/projects/shop",
        ),
        (
            {"workspace": "a/../b?c#d", "project_short_id": "ü x"},
            "https://tester.army/dashboard/a%2F..%2Fb%3Fc%23d/projects/%C3%BC%20x",
        ),
        ({"workspace": 7, "project_short_id": 8}, "https://tester.army/dashboard/7/projects/8"),
    ],
)
def test_the_dashboard(extra, prefix):
    """It needs both names, each of them one segment of the path."""
    assert dashboard_prefix(extra) == prefix


def test_a_runs_link(connect):
    """None where the dashboard is not known."""
    linked = connect(extra={"workspace": "acme", "project_short_id": "shop"}).service()
    assert linked.run_url("a b").endswith("/projects/shop?run=a%20b")
    assert linked.submission_url(Submission(("x", "y"))).endswith("?run=x")
    assert linked.submission_url(Submission(())) == ""
    assert connect().service().run_url("x") == ""


# -- asking


def many(hook, count):
    for _ in range(count):
        hook.send(hook.service().submit(RunRequest("test", catalog.TEST_PASSES)))


def test_runs_are_listed_page_by_page(connect, service):
    """Further pages are fetched as they are needed."""
    hook = connect()
    many(hook, 130)
    runs = hook.list_runs(test_id=catalog.TEST_PASSES)
    first = next(runs)
    assert len(service.control.log.entries("list_runs")) == 1
    ids = [first.id, *(run.id for run in runs)]
    assert sorted(ids) == sorted(service.control.log.submitted_run_ids())
    assert len(service.control.log.entries("list_runs")) == 2
    hook.close()


def test_runs_are_listed_in_an_event_loop(connect, service):
    """The same runs."""
    hook = connect()
    many(hook, 3)

    async def collect():
        return [run.id async for run in hook.alist_runs(status="queued")]

    assert set(asyncio.run(collect())) == set(service.control.log.submitted_run_ids())
    hook.close()


def test_one_call_in_an_event_loop(connect):
    """It opens a client for itself."""
    hook = connect()
    scope = asyncio.run(hook.asend(hook.service().prepare(RunRequest("group", catalog.GROUP_NIGHTLY))))
    assert (scope.project_id, scope.title) == (catalog.PROJECT_SHOP, "Nightly regression")


# -- the Test button


def test_a_good_connection(connect):
    """It names the projects that the key can access."""
    good, message = connect(port=0, extra={"workspace": None}).test_connection()
    assert (good, "3 projects: Acme Shop" in message) == (True, True)


@pytest.mark.parametrize("password", ["sk_wrong", "sk_forbidden_1"])
def test_a_bad_key(connect, password):
    """The message says where to create a new key, and does not show this one."""
    good, message = connect(password=password).test_connection()
    assert not good
    assert "https://tester.army/dashboard/profile/api-keys" in message
    assert password not in message


def test_no_service(connect):
    """It says that there was no connection."""
    host = f"http://127.0.0.1:{free_port()}/api/v1"
    good, message = connect(host=host).test_connection()
    assert (good, host in message) == (False, True)


@pytest.mark.parametrize("kind", ["html", "empty", "garbage", "wrong_shape", "status", "truncated"])
def test_a_service_that_is_not_the_api(connect, service, kind):
    """It never raises: the button shows what it returns."""
    service.control.faults.add(kind, "list_projects")
    good, message = connect().test_connection()
    assert (good, bool(message)) == (False, True)


@pytest.mark.parametrize("fields", [{"host": "http://tester.army"}, {"password": ""}])
def test_a_connection_form_with_a_mistake(connect, fields):
    """The mistake is reported without a request."""
    good, message = connect(**fields).test_connection()
    assert (good, bool(message)) == (False, True)


def test_some_tests_of_a_group_take_a_request_each():
    """A trigger starts a group or one test; an address is lost on a test alone."""
    service = TesterArmyService("")
    group = RunRequest("group", "g", {})
    assert [one.target for one in service.some_tests(group, ["a", "b", "a"])] == ["a", "b"]
    assert service.some_tests(RunRequest("group", "g", {"targetUrl": "https://x"}), ["a"]) is None
    assert service.some_tests(group, []) is None
    assert service.some_tests(group, ["a", ""]) is None
