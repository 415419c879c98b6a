from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pkgutil import resolve_name

import pytest

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.exceptions import (
    CredentialsRejected,
    RequestRefused,
    RunCancelled,
    RunInterrupted,
    SubmissionUnclear,
    TestsFailed,
    WaitTimedOut,
)
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.hooks.docket import DocketHook
from airflow_provider_testerarmy.operators.docket import DocketRunLink, DocketRunTestsOperator
from airflow_provider_testerarmy.sandbox.docket import catalog
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sensors.docket import DocketRunSensor

COMMIT = {"repository": "acme/shop", "commit_sha": "4f2d1c9"}


@pytest.fixture(autouse=True)
def connection(service, monkeypatch):
    """The connection `docket_default` to the sandbox."""
    fields = {"conn_type": "docket", "host": service.docket_url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_DOCKET_DEFAULT", json.dumps(fields))


class TaskInstance:
    """As much of a task instance as a try needs.

    :param started: called as soon as the runs are started.
    """

    try_number, max_tries, map_index = 1, 0, -1
    dag_id, task_id, run_id = "dag", "tests", "manual"

    def __init__(self, started):
        self.start_date = datetime.now(UTC)
        self.xcoms = {}
        self._started = started

    def xcom_push(self, key, value):
        self.xcoms[key] = value
        if key == "run_ids":
            self._started()


@pytest.fixture
def execute(service):
    """Executes a task, and returns its result or error and its XComs."""

    def run(task, started=lambda: service.control.clock.advance(60)):
        ti = TaskInstance(started)
        try:
            outcome = task.execute({"ti": ti, "task": task})
        except Exception as error:
            outcome = error
        return outcome, ti.xcoms

    return run


def operator(**parameters):
    """Return an operator that does not defer."""
    return DocketRunTestsOperator(task_id="tests", deferrable=False, poll_interval=0.05, **parameters)


# -- what is started


@pytest.mark.parametrize("ids", [[181, 182], "[181, 182]", "181,182", ["181", 182]])
def test_the_tests_as_a_template_renders_them(ids):
    """The request contains integers, whatever the form of the ids."""
    request = operator(test_blueprint_ids=ids).build_request()
    assert (request.label, request.body) == ("tests 181, 182", {"test_blueprint_ids": [181, 182]})


def test_a_category():
    """The request contains the category instead of tests."""
    request = operator(test_blueprint_category_id="11").build_request()
    assert (request.label, request.body) == ("category 11", {"test_blueprint_category_id": 11})


@pytest.mark.parametrize("context", [COMMIT, json.dumps(COMMIT)])
def test_a_commit(context):
    """A dict, or JSON from a template."""
    request = operator(test_blueprint_ids=181, github_context=context).build_request()
    assert request.body == {"test_blueprint_ids": [181], "github_context": COMMIT}


def test_a_label_stays_short():
    """The label names only the first ids."""
    request = operator(test_blueprint_ids=list(range(1, 301))).build_request()
    assert request.label == "tests 1, 2, 3, 4, 5, ... (300 in all)"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "Neither test_blueprint_ids nor test_blueprint_category_id"),
        ({"test_blueprint_ids": [181], "test_blueprint_category_id": 11}, "Both test_blueprint_ids and"),
        ({"test_blueprint_ids": []}, "test_blueprint_ids is empty"),
        ({"test_blueprint_ids": [True]}, "test_blueprint_ids True"),
        ({"test_blueprint_category_id": "regression"}, "test_blueprint_category_id 'regression'"),
        ({"test_blueprint_ids": [181], "github_context": {"repository": "x"}}, "github_context.repository"),
        ({"test_blueprint_ids": [181], "github_context": "a: 1"}, "tojson"),
    ],
)
def test_a_mistake_fails_the_dag_file(parameters, words):
    """The mistake is found when the DAG file is parsed."""
    with pytest.raises(RequestInvalid, match=words.replace("[", r"\[")):
        operator(**parameters)


def test_what_is_templated_is_checked_once_it_is_rendered(execute, service):
    """The mistake fails the task before anything is sent."""
    task = operator(test_blueprint_ids="{{ params.ids }}", github_context={"repository": "{{ params.repo }}"})
    task.render_template_fields({"params": {"ids": "", "repo": "acme/shop"}})
    outcome, _ = execute(task)
    assert isinstance(outcome, RequestRefused)
    assert "rendered to nothing" in str(outcome)
    assert len(service.control.log) == 0


def test_every_field_is_templated():
    """Airflow renders nested lists and dicts as well."""
    task = operator(
        test_blueprint_ids=["{{ params.id }}", 182],
        github_context={"repository": "acme/{{ params.repo }}", "commit_sha": "{{ params.id }}"},
        docket_conn_id="{{ params.conn }}",
    )
    task.render_template_fields({"params": {"id": 181, "repo": "shop", "conn": "docket_eu"}})
    assert task.build_request().body["test_blueprint_ids"] == [181, 182]
    assert task.github_context == {"repository": "acme/shop", "commit_sha": "181"}
    assert task.hook.docket_conn_id == "docket_eu"


# -- how it goes


def test_a_category_that_passes(execute, service):
    """The summary has the group run, its link, and the ids as integers."""
    summary, xcoms = execute(operator(test_blueprint_category_id=catalog.CATEGORY_REGRESSION))
    (group,) = service.control.docket.group_runs.values()
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 4, "passed": 4})
    assert summary["run_ids"] == xcoms["run_ids"] == [run.id for run in group.runs]
    assert summary["batch_id"] == xcoms["batch_id"] == str(group.id)
    assert summary["url"] == xcoms["docket_url"] == f"https://app.docketqa.com/dashboard/grouprun/{group.id}"
    assert {test["title"] for test in summary["tests"]} == {run.blueprint.title for run in group.runs}


def test_a_failed_test_fails_the_task(execute):
    """The reason contains the step, and the summary is in XCom."""
    error, xcoms = execute(operator(test_blueprint_ids=[181, 182]))
    assert isinstance(error, TestsFailed)
    assert 'Checkout with a credit card: failed: step "Wait for the confirmation" failed' in str(error)
    assert xcoms["return_value"]["verdict"] == "failed"


def test_a_stopped_test_has_not_passed(execute):
    """A user stopped it on the dashboard."""
    error, _ = execute(operator(test_blueprint_ids=[catalog.BLUEPRINT_STOPPED, 181]))
    assert isinstance(error, RunCancelled)


def test_a_retried_test_is_counted_as_flaky(execute):
    """A flaky test passes."""
    summary, _ = execute(operator(test_blueprint_ids=catalog.BLUEPRINT_RETRIED))
    assert (summary["verdict"], summary["flaky"]) == ("passed", 1)


def test_a_non_blocking_test_is_named_by_its_number(execute):
    """The number may be an integer or text."""
    summary, _ = execute(operator(test_blueprint_ids=[181, 182], gate={"non_blocking_tests": [182]}))
    assert summary["verdict"] == "passed"


def test_not_waiting(execute):
    """The runs are started, nothing is judged."""
    summary, _ = execute(operator(test_blueprint_ids=[181], wait_for_completion=False), started=int)
    assert (summary["verdict"], summary["counts"]) == (None, {"total": 1})


def test_an_unclear_submission_says_that_a_run_may_exist(execute, service):
    """The request is not sent a second time."""
    service.control.faults.add("reset_after", "docket_trigger_run")
    error, _ = execute(operator(test_blueprint_ids=[181]))
    assert isinstance(error, SubmissionUnclear)
    assert "may or may not have been started" in str(error)
    assert len(service.control.docket.group_runs) == 1


def test_a_time_out_says_that_the_runs_go_on(execute, capsys):
    """The message does not claim that the runs were cancelled."""
    error, xcoms = execute(
        operator(test_blueprint_ids=[catalog.BLUEPRINT_ENDLESS], timeout=timedelta(seconds=0.1))
    )
    assert isinstance(error, WaitTimedOut)
    assert "were not cancelled and may still be running" in str(error)
    assert f"Docket cannot cancel runs. 1 run ({xcoms['run_ids'][0]}) may continue" in capsys.readouterr().out


def test_a_kill_says_that_the_runs_go_on(execute, service, capsys):
    """A kill stops only the wait."""
    task = operator(test_blueprint_ids=[catalog.BLUEPRINT_ENDLESS])
    error, xcoms = execute(task, started=task.on_kill)
    assert isinstance(error, RunInterrupted)
    assert f"Its runs were not cancelled (1 run ({xcoms['run_ids'][0]}))" in str(error)
    assert "Docket cannot cancel runs" in capsys.readouterr().out
    assert service.control.docket.active_run_ids() == xcoms["run_ids"]


def test_a_rejected_key_starts_nothing(execute, service):
    """The message names the connection's password."""
    service.control.keys.revoke(DEFAULT_API_KEY)
    error, _ = execute(operator(test_blueprint_ids=[181]))
    assert isinstance(error, CredentialsRejected)
    assert service.control.docket.group_runs == {}


# -- the sensor and the link


@pytest.mark.parametrize("form", [list, str, lambda ids: ", ".join(map(str, ids))])
def test_the_sensor_judges_runs_that_something_else_started(execute, service, form):
    """Ids as integers or as text, and the link of their group run."""
    started, xcoms = execute(operator(test_blueprint_ids=[181, 181], wait_for_completion=False))
    sensor = DocketRunSensor(task_id="wait", run_ids=form(xcoms["run_ids"]), deferrable=False)
    summary, _ = execute(sensor)
    assert (summary["verdict"], summary["run_ids"]) == ("passed", started["run_ids"])
    assert summary["url"] == started["url"]


def test_the_sensor_takes_no_text_for_an_id(execute):
    """Nor does it accept the id of another vendor's run."""
    outcome, _ = execute(DocketRunSensor(task_id="wait", run_ids=["3f0e8a52"], deferrable=False))
    assert isinstance(outcome, Exception)
    assert "is not a Docket id" in str(outcome)


def test_airflow_finds_everything_by_its_path():
    """The hook, the link and the modules that the provider's description names."""
    info = get_provider_info()
    (connection,) = [one for one in info["connection-types"] if one["connection-type"] == "docket"]
    assert resolve_name(connection["hook-class-name"]) is DocketHook
    assert f"{DocketRunLink.__module__}.DocketRunLink" in info["extra-links"]
    named = [one for folder in ("operators", "sensors", "hooks") for one in info[folder]]
    modules = [name for one in named if one["integration-name"] == "Docket" for name in one["python-modules"]]
    assert [import_module(name).__name__.rpartition(".")[2] for name in modules] == ["docket"] * 3


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ([[181], ["182"]], [181, 182]),
        ("[181, 182]", [181, 182]),
        ("(181, '182')", [181, 182]),
        (181, [181]),
        (["181,182"], [181, 182]),
    ],
)
def test_ids_of_every_kind(given, ids):
    """Mapped outputs are lists of lists, and templates render them to text."""
    task = operator(test_blueprint_ids="{{ params.ids }}")
    task.test_blueprint_ids = given
    assert task.build_request().body == {"test_blueprint_ids": ids}


def test_one_of_two_templates_renders_to_nothing():
    """The other template counts."""
    for ids, category, body in (
        ("None", "11", {"test_blueprint_category_id": 11}),
        ("181", " ", {"test_blueprint_ids": [181]}),
    ):
        task = operator(
            test_blueprint_ids="{{ params.ids }}",
            test_blueprint_category_id="{{ params.category }}",
            github_context="{{ params.context }}",
        )
        task.render_template_fields({"params": {"ids": ids, "category": category, "context": None}})
        assert task.build_request().body == body


@pytest.mark.parametrize(
    "runs",
    [
        [{"id": 38, "test_blueprint_id": 181}, {"id": 38, "test_blueprint_id": 182}],
        [{"id": 38, "test_blueprint_id": 181}, {"id": 39, "test_blueprint_id": 181}],
        [
            {"id": 38, "test_blueprint_id": 181},
            {"id": 39, "test_blueprint_id": 182, "is_login_test_run": True},
        ],
        [{"id": 38, "test_blueprint_id": 181}],
    ],
)
def test_an_answer_that_does_not_fit_is_never_a_pass(execute, service, runs):
    """The trigger is not sent again."""
    body = {"test_group_run": {"id": 35, "test_runs": runs}}
    service.control.faults.add("status_after", "docket_trigger_run", status=200, body=body)
    error, _ = execute(operator(test_blueprint_ids=[181, 182]))
    assert isinstance(error, SubmissionUnclear)
    assert len(service.control.log.entries("docket_trigger_run")) == 1
