"""The guarantees that hold for Docket, from the operator to the socket, in the worker and in the triggerer."""

from __future__ import annotations

import json
import signal
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from airflow_provider_testerarmy.exceptions import (
    RequestRefused,
    RunErrored,
    RunInterrupted,
    ServiceUnavailable,
    SubmissionUnclear,
    TestsFailed,
    WaitTimedOut,
)
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.sandbox.docket import catalog
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from tests.lifecycle.tries import Died, TaskInstance, Tries

TRIGGER = "docket_trigger_run"
RUNS = "test_group_run.test_runs"


@pytest.fixture(autouse=True)
def connection(service, monkeypatch):
    """The connection `docket_default` to the sandbox."""
    fields = {"conn_type": "docket", "host": service.docket_url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_DOCKET_DEFAULT", json.dumps(fields))


@pytest.fixture
def tries(service):
    """The tries of a task instance."""
    return Tries(service)


@pytest.fixture(params=[False, True], ids=["in the worker", "through the trigger"])
def ending(request, tries):
    """Runs a try to its end, and returns the task's result or error."""

    def run(try_number=1, max_tries=0, **parameters):
        task = operator(deferrable=request.param, **parameters)
        came = tries.execute(task, try_number, max_tries)
        return tries.through_trigger(task) if isinstance(came, TaskDeferred) else came

    return run


def operator(*ids, **parameters):
    """Return an operator on some tests."""
    defaults = {"task_id": "tests", "deferrable": False, "poll_interval": 0.05}
    chosen = {"test_blueprint_ids": list(ids)} if ids else {}
    return DocketRunTestsOperator(**defaults | chosen | parameters)


def posts(service):
    """The number of triggers that the service has accepted."""
    return len(service.control.docket.group_runs)


def asked(service):
    """The tests of each group run that was started."""
    groups = service.control.docket.group_runs.values()
    return [[run.blueprint.id for run in group.runs if not run.is_login] for group in groups]


# -- the answer to a trigger


@pytest.mark.parametrize(
    "fault",
    [
        {"change": {RUNS: "repeat_first"}},
        {"change": {RUNS: "drop_first"}},
        {"put": {f"{RUNS}.*.id": 38}},
        {"put": {f"{RUNS}.*.test_blueprint_id": 181}},
        {"put": {f"{RUNS}.1.test_blueprint_id": 999}},
        {"put": {f"{RUNS}.1.test_group_run_id": 999}},
        {"put": {f"{RUNS}.0.is_login_test_run": True}},
        {"put": {RUNS: []}},
        {"put": {RUNS: None}},
        {"put": {f"{RUNS}.0.id": ""}},
        {"put": {"test_group_run": "started"}},
        {"drop": [RUNS]},
    ],
    ids=str,
)
def test_an_answer_that_does_not_fit_is_unclear_and_is_not_sent_again(ending, tries, service, fault):
    """Neither this try nor the next one sends the trigger again."""
    service.control.faults.add("edit", TRIGGER, **fault)
    error = ending(test_blueprint_ids=[181, 202], max_tries=2)
    assert type(error) is SubmissionUnclear
    assert posts(service) == 1
    assert tries.record["stage"] == "concluded"


def test_an_unclear_submission_names_the_group_and_the_runs(ending, service):
    """Three tests were requested, and the answer names two runs. The message names both: they are active."""
    service.control.faults.add("edit", TRIGGER, change={RUNS: "drop_first"})
    error = ending(test_blueprint_ids=[181, 202, 203])
    (group,) = service.control.docket.group_runs.values()
    named = [run.id for run in group.runs[1:]]
    assert list(error.run_ids) == named
    assert f"group run {group.id}" in str(error)
    assert all(str(run_id) in str(error) for run_id in named)
    assert "tests missing: 181" in str(error)


def test_an_empty_run_id_is_unclear(ending, service):
    """The answer is 202 with one unusable id. The message names the other one."""
    service.control.faults.add("edit", TRIGGER, put={f"{RUNS}.0.id": ""})
    error = ending(test_blueprint_ids=[181, 202])
    (group,) = service.control.docket.group_runs.values()
    assert (type(error), error.run_ids) == (SubmissionUnclear, (group.runs[1].id,))
    assert str(group.id) in str(error)


@pytest.mark.parametrize(
    "fault",
    [
        {"put": {f"{RUNS}.*.test_blueprint_id": None}},
        {"put": {"test_group_run.id": None}},
        {"drop": [f"{RUNS}.*.test_group_run_id", f"{RUNS}.*.is_login_test_run"]},
        {"change": {RUNS: "reverse"}},
    ],
    ids=str,
)
def test_silence_in_the_answer_is_no_contradiction(ending, service, fault):
    """Missing fields are no error if the number of runs is right. The runs are awaited and judged."""
    service.control.faults.add("edit", TRIGGER, **fault)
    summary = ending(test_blueprint_ids=[181, 202])
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 2, "passed": 2})
    assert posts(service) == 1


def test_a_login_run_is_not_awaited(ending, service):
    """A login run belongs to no requested test."""
    summary = ending(test_blueprint_ids=[catalog.BLUEPRINT_NEEDS_LOGIN, catalog.BLUEPRINT_PASSES])
    (group,) = service.control.docket.group_runs.values()
    assert summary["run_ids"] == [run.id for run in group.runs[1:]]
    assert summary["counts"] == {"total": 2, "passed": 2}


# -- how runs end


def test_a_pass_with_a_failed_step_is_a_warning(ending, tmp_path):
    """It passes by default, with a warning, and is a failure in JUnit."""
    report = tmp_path / "report.xml"
    summary = ending(test_blueprint_ids=[catalog.BLUEPRINT_PASSED_WITH_FAILED_STEP], report_path=str(report))
    assert summary["verdict"] == "passed"
    (issue,) = summary["issues"]
    assert (issue["type"], "Wait for the confirmation" in issue["name"]) == ("warning", True)
    assert 'failures="1"' in report.read_text()


def test_a_gate_can_refuse_a_pass_with_a_failed_step(ending):
    """A pass without failed steps still passes."""
    gate = {"fail_on_warnings": True}
    error = ending(test_blueprint_ids=[catalog.BLUEPRINT_PASSED_WITH_FAILED_STEP, 181], gate=gate)
    assert isinstance(error, TestsFailed)
    assert "Voucher lowers the total" in str(error)
    assert "Search finds a product" not in str(error)


def test_a_run_that_the_service_broke_is_errored(ending, tries):
    """Airflow retries the task. Without this outcome, the wait would not end."""
    ids = [catalog.BLUEPRINT_ERROR, catalog.BLUEPRINT_PASSES]
    error = ending(test_blueprint_ids=ids, timeout=timedelta(seconds=5))
    assert type(error) is RunErrored
    assert tries.summary["counts"] == {"total": 2, "errored": 1, "passed": 1}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "Blueprint 181 is archived"}, "Blueprint 181 is archived"),
        (
            {"detail": [{"loc": ["body", "test_blueprint_ids", 0], "msg": "gone"}]},
            "test_blueprint_ids.0: gone",
        ),
        ({"errors": ["No credits left", "No seats"]}, "No credits left; No seats"),
        ({"msg": "No credits left"}, "No credits left"),
        ({"message": "No credits left"}, "No credits left"),
    ],
)
def test_a_refusal_says_why(ending, service, body, words):
    """The message contains the service's reason, wherever the answer has it. Nothing is started."""
    service.control.faults.add("status", TRIGGER, status=422, body=body)
    error = ending(test_blueprint_ids=[181])
    assert type(error) is RequestRefused
    assert words in str(error)


def test_a_refusal_cannot_forge_a_line(ending, service):
    """The reason is one line of limited length."""
    forged = "No credits\n\x1b[31mERROR Task succeeded\r" + "x" * 5_000
    service.control.faults.add("status", TRIGGER, status=422, body={"detail": forged})
    said = str(ending(test_blueprint_ids=[181]))
    assert not {"\n", "\r", "\x1b"} & set(said)
    assert len(said) < 1_000


def test_a_time_out_judges_what_has_ended(ending, tries, tmp_path, capsys):
    """Nine of ten runs have ended. There are a summary and a report, and the active run is named once."""
    report = tmp_path / "report.xml"
    ids = [*[catalog.bulk_blueprint_id(number) for number in range(1, 10)], catalog.BLUEPRINT_ENDLESS]
    error = ending(test_blueprint_ids=ids, timeout=timedelta(seconds=1), report_path=str(report))
    assert type(error) is WaitTimedOut
    (left,) = error.run_ids
    assert left == tries.xcoms["run_ids"][-1]
    assert tries.summary["verdict"] == "errored"
    assert tries.summary["counts"] == {"total": 10, "passed": 9, "unknown": 1}
    assert 'tests="10"' in report.read_text()
    said = [line for line in capsys.readouterr().out.splitlines() if "Docket cannot cancel runs" in line]
    assert len(said) == 1
    assert f"1 run ({left})" in said[0]


def test_a_kill_counts_only_the_runs_that_go_on(tries, monkeypatch):
    """One of two runs has ended."""
    monkeypatch.setattr("airflow_provider_testerarmy.airflow_compat.own_state", lambda _ti: "failed")
    task = operator(181, catalog.BLUEPRINT_ENDLESS)
    error = tries.execute(task, max_tries=2, meanwhile=task.on_kill)
    left = tries.xcoms["run_ids"][-1]
    assert type(error) is RunInterrupted
    assert f"not cancelled (1 run ({left}))" in str(error)
    assert error.run_ids == (left,)


def test_a_worker_that_is_taken_away_names_all_runs(tries, monkeypatch):
    """The next try waits for all of them, so the message names no run as left active."""
    monkeypatch.setattr("airflow_provider_testerarmy.airflow_compat.own_state", lambda _ti: None)
    task = operator(181, catalog.BLUEPRINT_ENDLESS)
    error = tries.execute(task, max_tries=2, meanwhile=task.on_kill)
    assert list(error.run_ids) == tries.xcoms["run_ids"]
    assert "The next try reconnects (2 runs" in str(error)


def test_an_execution_timeout_judges_what_has_ended(tries, capsys):
    """It is handled as a time-out."""

    def time_out():
        raise AirflowTaskTimeout("Timeout")

    ids = [181, 202, catalog.BLUEPRINT_ENDLESS]
    error = tries.execute(operator(*ids), max_tries=0, meanwhile=time_out)
    assert isinstance(error, AirflowTaskTimeout)
    assert tries.summary["counts"] == {"total": 3, "passed": 2, "unknown": 1}
    said = [line for line in capsys.readouterr().out.splitlines() if "Docket cannot cancel runs" in line]
    assert len(said) == 1
    assert f"1 run ({tries.xcoms['run_ids'][-1]})" in said[0]


# -- started once


def test_a_trigger_that_execution_timeout_cuts_off_is_not_sent_again(tries, service):
    """The trigger takes effect at once, but its answer is late. The next try fails as unclear and is the last."""
    service.control.faults.add("timeout_after", TRIGGER)
    tries.store.on_set = lambda _record: signal.setitimer(signal.ITIMER_REAL, 0.3)

    def time_out():
        raise AirflowTaskTimeout("Timeout")

    assert isinstance(tries.execute(operator(181), max_tries=3, meanwhile=time_out), AirflowTaskTimeout)
    tries.store.on_set = lambda _record: None
    assert [part["state"] for part in tries.record["parts"].values()] == ["unclear"]
    error = tries.execute(operator(181), try_number=2, max_tries=3)
    assert type(error) is SubmissionUnclear
    assert isinstance(error, AirflowFailException)
    assert posts(service) == 1
    assert len(service.control.log.entries(TRIGGER)) == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_worker_that_dies_before_the_answer_leaves_it_unclear(tries, service, deferrable):
    """The next try knows only that a request was sent."""
    service.control.faults.add("timeout_after", TRIGGER)

    def die():
        raise Died

    tries.store.on_set = lambda _record: signal.setitimer(signal.ITIMER_REAL, 0.3)
    assert isinstance(tries.execute(operator(181), max_tries=3, meanwhile=die), Died)
    tries.store.on_set = lambda _record: None
    error = tries.execute(operator(181, deferrable=deferrable), try_number=2, max_tries=3)
    assert type(error) is SubmissionUnclear
    assert posts(service) == 1


def test_a_clear_after_an_unclear_submission_starts_anew(tries, service):
    """A user who clears the task has checked the dashboard."""
    service.control.faults.add("reset_after", TRIGGER)
    assert type(tries.execute(operator(181), max_tries=0)) is SubmissionUnclear
    assert tries.execute(operator(181), try_number=2, max_tries=1)["verdict"] == "passed"
    assert posts(service) == 2


@pytest.mark.parametrize("state", ["failed", None])
def test_a_kill_while_the_trigger_is_under_way_says_what_may_be_running(
    tries, service, monkeypatch, capsys, state
):
    """A user or a lost worker ends the task. Airflow may kill the process before the answer arrives."""
    monkeypatch.setattr("airflow_provider_testerarmy.airflow_compat.own_state", lambda _ti: state)
    task = operator(181)
    service.control.faults.add("delay_after", TRIGGER, seconds=1)
    tries.store.on_set = lambda _record: signal.setitimer(signal.ITIMER_REAL, 0.3)
    error = tries.execute(task, meanwhile=task.on_kill)
    (group,) = service.control.docket.group_runs.values()
    said = capsys.readouterr().out
    assert isinstance(error, RunInterrupted)
    assert "has been sent and has no answer yet" in said
    assert "test 181" in said
    assert error.run_ids == tuple(run.id for run in group.runs)


# -- retrying what failed


def test_failed_tests_run_again_in_one_request(ending, tries, service):
    """Two of twelve tests pass and stay passed. The other ten run again, once each."""
    passing = [catalog.BLUEPRINT_PASSES, catalog.BLUEPRINT_CART]
    failing = [catalog.bulk_blueprint_id(number) for number in range(1, 11)]
    for blueprint_id in failing:
        service.control.docket.override_script(blueprint_id, "flaky")
    parameters = {"test_blueprint_ids": [*passing, *failing], "retry_failed_tests": True, "max_tries": 2}
    assert isinstance(ending(**parameters), TestsFailed)
    first = tries.xcoms["run_ids"]
    summary = ending(try_number=2, **parameters)
    assert asked(service) == [[*passing, *failing], failing]
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 12, "passed": 12})
    assert summary["flaky"] == 10
    assert set(first[:2]) < set(summary["run_ids"])


def test_a_ci_run_is_retried_as_a_whole(ending, service):
    """Docket reports a CI run to its commit. A partial run would report the outcome of some tests for all."""
    service.control.docket.override_script(catalog.BLUEPRINT_CART, "flaky")
    ids = [catalog.BLUEPRINT_PASSES, catalog.BLUEPRINT_CART]
    commit = {"repository": "acme/shop", "commit_sha": "4f2d1c9"}
    parameters = {"test_blueprint_ids": ids, "github_context": commit, "retry_failed_tests": True}
    assert isinstance(ending(max_tries=2, **parameters), TestsFailed)
    assert ending(try_number=2, max_tries=2, **parameters)["verdict"] == "passed"
    assert asked(service) == [ids, ids]


def test_a_known_failure_names_the_commit_of_its_first_night(ending, service, tmp_path, monkeypatch):
    """The commit is that of the CI run in which the test failed first."""
    service.control.docket.override_script(catalog.BLUEPRINT_CART, "fails")
    gate = {"fail_on": "new"}
    ids = [catalog.BLUEPRINT_PASSES, catalog.BLUEPRINT_CART]
    parameters = {"test_blueprint_ids": ids, "gate": gate, "memory_path": tmp_path}
    for night, commit in enumerate(("4f2d1c9aa", "5e3d1c9aa")):
        monkeypatch.setattr(TaskInstance, "run_id", f"night {night}")
        context = {"repository": "acme/shop", "commit_sha": commit}
        came = ending(github_context=context, **parameters)
    assert came["verdict"] == "passed"
    assert came["known"][0]["commit"] == "4f2d1c9aa"
    assert "first on commit 4f2d1c9" in came["reasons"][0]


def test_no_test_of_a_round_is_lost_by_a_refused_submission(ending, tries, service):
    """The failed test runs again, its submission is refused for a while, and the next try sends it."""
    service.control.docket.override_script(catalog.BLUEPRINT_CART, "fails")
    ids = [catalog.BLUEPRINT_PASSES, catalog.BLUEPRINT_CART]
    parameters = {"test_blueprint_ids": ids, "retry_failed_tests": True, "max_outage": 0.2, "max_tries": 3}
    assert isinstance(ending(**parameters), TestsFailed)
    refusing = service.control.faults.add("status", TRIGGER, status=429, times=-1)
    assert isinstance(ending(try_number=2, **parameters), ServiceUnavailable)
    refusing.times = 0
    assert isinstance(ending(try_number=3, **parameters), TestsFailed)
    assert asked(service) == [ids, [catalog.BLUEPRINT_CART]]
    assert tries.summary["counts"] == {"total": 2, "passed": 1, "failed": 1}
