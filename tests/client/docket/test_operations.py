from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.client.docket import operations as docket
from airflow_provider_testerarmy.client.docket.models import GithubContext, TestRunAnswer
from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    BadRequest,
    CredentialsRejected,
    NotFound,
    RequestInvalid,
    ServerError,
)
from airflow_provider_testerarmy.client.http.sender import SyncSender
from airflow_provider_testerarmy.sandbox.docket import catalog
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY

COMMIT = {"repository": "acme/shop", "commit_sha": "4f2d1c9", "run_id": "9001", "ref": "refs/heads/main"}


def sender_of(service, key=DEFAULT_API_KEY):
    """Return a client of the sandbox's Docket."""
    endpoint = Endpoint(
        service.docket_url, key, key_header=docket.KEY_HEADER, error_format=docket.ERROR_FORMAT, key_prefix=""
    )
    return SyncSender(endpoint, sleep=lambda _seconds: None)


@pytest.fixture
def client(service):
    """A client with the right key, closed after the test."""
    with sender_of(service) as sender:
        yield sender


def test_a_trigger_starts_a_run_of_each_test(client, service):
    """The answer names the group run and its runs, all by integers."""
    group = client.send(docket.trigger_run(test_blueprint_ids=[181, 182])).value
    assert [run.test_blueprint_id for run in group.test_runs] == [181, 182]
    assert [run.id for run in group.test_runs] == service.control.log.submitted_run_ids()
    assert all(type(number) is int for number in (group.id, *(run.id for run in group.test_runs)))


def test_a_category_starts_all_of_its_tests(client):
    """One id stands for a suite."""
    operation = docket.trigger_run(test_blueprint_category_id=catalog.CATEGORY_REGRESSION)
    started = {run.test_blueprint_id for run in client.send(operation).value.test_runs}
    assert started == set(catalog.CATEGORIES[catalog.CATEGORY_REGRESSION])


def test_a_ci_run_takes_its_commit_along(client, service):
    """It goes to a path of its own."""
    group = client.send(docket.trigger_ci_run(COMMIT, test_blueprint_ids=181)).value
    assert service.control.docket.group_runs[group.id].github_context == COMMIT
    assert service.control.log.counts() == {"docket_trigger_ci_run": 1}


def test_a_run_is_read_from_running_to_its_end(client, service):
    """Its results are null while it runs."""
    run_id = client.send(docket.trigger_run(test_blueprint_ids=[182])).value.test_runs[0].id
    running = client.send(docket.get_test_run(run_id)).value
    assert (running.status, running.results, running.test_video_url) == ("running", (), None)
    service.control.clock.advance(60)
    run = client.send(docket.get_test_run(run_id)).value
    assert (run.id, run.status, run.test_blueprint_id) == (run_id, "failed", 182)
    assert [step.is_successful for step in run.results] == [True, True, False]


def test_a_trigger_is_never_repeated_after_it_may_have_taken_effect(client, service):
    """A second one would start, and bill, a second group run."""
    service.control.faults.add("status_after", "docket_trigger_run", status=504)
    with pytest.raises(ServerError):
        client.send(docket.trigger_run(test_blueprint_ids=[181]))
    service.control.faults.add("reset_after", "docket_trigger_run")
    with pytest.raises(AnswerLost):
        client.send(docket.trigger_run(test_blueprint_ids=[181]))
    assert len(service.control.log.entries("docket_trigger_run")) == 2


def test_a_look_at_a_run_is_repeated(client, service):
    """Reading twice does no harm."""
    run_id = client.send(docket.trigger_run(test_blueprint_ids=[181])).value.test_runs[0].id
    service.control.faults.add("status", "docket_get_test_run", status=502, times=2)
    assert client.send(docket.get_test_run(run_id)).value.id == run_id


@pytest.mark.parametrize(("key", "status"), [("sk_wrong", 401), ("sk_forbidden_x", 403)])
def test_a_wrong_key_is_rejected(service, key, status):
    """For every operation; the error does not contain the key."""
    with sender_of(service, key) as sender, pytest.raises(CredentialsRejected) as caught:
        sender.send(docket.check_key())
    assert caught.value.status == status
    assert key not in str(caught.value)


def test_the_good_key_finds_no_run_zero(client):
    """That is how a key is checked without starting anything."""
    with pytest.raises(NotFound):
        client.send(docket.check_key())


@pytest.mark.parametrize(("ids", "error"), [([catalog.UNKNOWN_BLUEPRINT], NotFound), ([181] * 3, None)])
def test_what_the_service_makes_of_ids(client, ids, error):
    """An unknown test is refused as a whole; a repeated one runs as often."""
    if error is None:
        assert len(client.send(docket.trigger_run(test_blueprint_ids=ids)).value.test_runs) == len(ids)
    else:
        with pytest.raises(error, match="999999 not found"):
            client.send(docket.trigger_run(test_blueprint_ids=ids))


def test_an_empty_category_is_refused(client):
    """There is nothing to run."""
    with pytest.raises(BadRequest):
        client.send(docket.trigger_run(test_blueprint_category_id=catalog.CATEGORY_EMPTY))


# -- ids


@pytest.mark.parametrize(
    ("given_ids", "ids"),
    [
        ([181, 182], (181, 182)),
        ((181,), (181,)),
        (181, (181,)),
        ("181", (181,)),
        (" [181, 182] ", (181, 182)),
        ("181,182", (181, 182)),
        ("['181', \"182\"]", (181, 182)),
        ("(181,)", (181,)),
        (["181"], (181,)),
    ],
)
def test_ids_may_come_as_a_template_renders_them(given_ids, ids):
    """They are converted to integers."""
    assert docket.check_ids(given_ids, "test_blueprint_ids") == ids


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        [181, False],
        0,
        -1,
        1.0,
        [1.5],
        "1.5",
        "x",
        "١٨١",
        "9" * 5000,
        2**63,
        None,
        {"id": 1},
        b"1",
        [None],
    ],
)
def test_what_is_no_id_is_refused(wrong):
    """Before anything is sent, with the parameter's name and a short message."""
    with pytest.raises(RequestInvalid, match="test_blueprint_ids") as caught:
        docket.check_ids(wrong, "test_blueprint_ids")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("empty", ["", " ", "[]", [], ()])
def test_no_ids_at_all_are_refused(empty):
    """A template may have rendered to nothing."""
    with pytest.raises(RequestInvalid, match="rendered to nothing"):
        docket.check_ids(empty, "test_blueprint_ids")


@pytest.mark.parametrize(
    ("ids", "category", "word"), [(None, None, "Neither"), ([181], 11, "Both"), ("", "", "Both")]
)
def test_tests_or_category(ids, category, word):
    """Both and neither are errors that say which it is."""
    with pytest.raises(RequestInvalid, match=word):
        docket.trigger_run(test_blueprint_ids=ids, test_blueprint_category_id=category)


@pytest.mark.parametrize("run_id", ["../company", "1?x=2", "", True])
def test_an_id_cannot_leave_its_path(run_id):
    """Only digits become part of a URL."""
    with pytest.raises(RequestInvalid):
        docket.get_test_run(run_id)


def test_the_operations_have_names_in_words():
    """Logs and errors show them."""
    operations = [
        docket.trigger_run(test_blueprint_ids=[181]),
        docket.trigger_ci_run(COMMIT, test_blueprint_ids=[181]),
        docket.get_test_run(38),
    ]
    assert [one.name for one in operations] == ["trigger run", "trigger CI run", "get test run"]
    assert [one.repeatable for one in operations] == [False, False, True]


# -- the commit


def test_numbers_in_a_commit_become_text():
    """GitHub's run id is a number that travels as text; what is unset is left out."""
    context = GithubContext(repository="acme/shop", commit_sha="4f2d1c9", run_id=9001)
    assert context.body() == {"repository": "acme/shop", "commit_sha": "4f2d1c9", "run_id": "9001"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"commit_sha": ""}, "commit_sha"),
        ({"repository": "shop"}, "repository"),
        ({"branch": "main"}, "branch"),
        ({"run_id": True}, "run_id"),
    ],
)
def test_a_wrong_commit_is_refused(wrong, field):
    """The error names the field."""
    with pytest.raises(RequestInvalid, match=f"github_context.{field}"):
        docket.trigger_ci_run({**COMMIT, **wrong}, test_blueprint_ids=[181])


@pytest.mark.parametrize("wrong", [{}, [], 7, "commit"])
def test_something_else_than_a_commit_is_refused(wrong):
    """The request is not sent."""
    with pytest.raises(RequestInvalid, match="github_context"):
        docket.trigger_ci_run(wrong, test_blueprint_ids=[181])


# -- answers


def test_unknown_fields_and_statuses_are_borne():
    """Unknown fields are ignored."""
    run = TestRunAnswer.model_validate({"test_run": {"id": 38, "status": "paused", "mood": {}}, "v": 2})
    assert run.test_run.status == "paused"


@pytest.mark.parametrize("run_id", ["38", True, 38.5, None, 0, -38])
def test_a_run_without_an_integer_id_is_another_shape(run_id):
    """The id is required."""
    with pytest.raises(ValueError, match=r"test_run\.id"):
        TestRunAnswer.model_validate({"test_run": {"id": run_id, "status": "running"}})


def test_a_list_of_runs_that_is_null_is_another_shape():
    """Runs may have been started, so this is not the same as an empty list."""
    parse = docket.trigger_run(test_blueprint_ids=[181]).parse
    with pytest.raises(ValueError, match="test_runs"):
        parse({"message": "ok", "test_group_run": {"id": 35, "test_runs": None}})
    assert parse({"test_group_run": {"id": None, "test_runs": []}}).test_runs == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OPTIONAL = (
    "test_blueprint_id",
    "blueprint_metadata",
    "results",
    "test_video_url",
    "additional_attempts",
    "created_at",
    "updated_at",
)


@given(st.fixed_dictionaries(dict.fromkeys(OPTIONAL, JSON)))
def test_no_optional_field_can_break_a_run(fields):
    """For any value."""
    document = json.loads(json.dumps({"test_run": {**fields, "id": 38, "status": "passed"}}))
    assert docket.get_test_run(38).parse(document).id == 38


def test_only_the_title_of_a_snapshot_is_kept():
    """The snapshot may hold the logins of the product under test."""
    snapshot = {
        "title": "Login",
        "credentials": {"password": "hunter2"},
        "steps": [{"action": "type hunter2"}],
    }
    run = docket.get_test_run(38).parse(
        {"test_run": {"id": 38, "status": "passed", "blueprint_metadata": snapshot}}
    )
    assert run.blueprint_metadata.title == "Login"
    assert "hunter2" not in repr(run)
