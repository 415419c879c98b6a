"""`on_failed="ask"`: a person decides what failed tests mean for the task."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import people
from airflow_provider_testerarmy.airflow_compat.features import ASK
from airflow_provider_testerarmy.exceptions import TestsFailed, TestsFailedFinally, TriggerFailed
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.runs.submission.answer import LABELS, Answer, Choice
from airflow_provider_testerarmy.runs.submission.stored import from_json, to_json
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import TaskInstance, cancelled, group, posts, started

exceptions = pytest.importorskip("airflow.sdk.exceptions")
if not hasattr(exceptions, "TaskAwaitingInput"):
    pytest.skip("this Airflow does not park a task that asks", allow_module_level=True)
TaskAwaitingInput = exceptions.TaskAwaitingInput

pytestmark = pytest.mark.usefixtures("connections", "docket_connection")

FLAKY, FAILING = catalog.GROUP_FLAKY, catalog.GROUP_FAILING
AT = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
JANE = {"id": "7", "name": "Jane Doe"}


@pytest.fixture
def questions(monkeypatch):
    """The questions that Airflow has stored."""
    asked = []
    monkeypatch.setattr(airflow_compat, "submit_question", lambda _context, question: asked.append(question))
    return asked


def answered(choice, words="", user=JANE, timedout=False):
    """The event with which Airflow resumes a task after an answer."""
    return {
        "chosen_options": [LABELS[choice]],
        "params_input": {"words": words},
        "responded_at": AT,
        "responded_by_user": user,
        "timedout": timedout,
    }


def parked(run):
    """Run a step of a task that has to end with a question."""
    with pytest.raises(TaskAwaitingInput) as caught:
        run()
    assert caught.value.method_name == "execute_answered"
    return caught.value


def resume(tries, task, event):
    return tries.resume(task, "execute_answered", {"event": event})


def ask(group_id=FAILING, **parameters):
    return group(group_id, on_failed="ask", **parameters)


def test_a_failed_verdict_asks(tries, service, questions):
    """The question shows the verdict, and no run is active meanwhile."""
    wait = parked(lambda: tries.execute(ask(ask_timeout=timedelta(hours=2), ask_users=["jane"])))
    (question,) = questions
    assert wait.timeout == timedelta(hours=2)
    assert (question.options, question.default) == (["Accept", "Reject", "Run what failed again"], "Reject")
    assert question.users == ({"id": "jane", "name": "jane"},)
    assert "Checkout with a credit card" in question.body
    assert tries.summary["verdict"] == "failed"
    assert not from_json(tries.record).to_clean_up
    assert cancelled(service) == []


def test_a_pass_asks_nobody(tries, questions):
    assert tries.execute(ask(catalog.GROUP_SEQUENTIAL))["verdict"] == "passed"
    assert questions == []


def test_a_broken_service_asks_nobody(tries, questions):
    """Only what was tested can be accepted."""
    tries.execute(ask(catalog.GROUP_BROKEN))
    assert questions == []


def test_accepted(tries, service, questions, tmp_path):
    """The task succeeds, its verdict stays, and summary and reports say who decided."""
    paths = [str(tmp_path / f"report{suffix}") for suffix in (".json", ".xml", ".html", ".md")]
    task = ask(report_path=paths)
    parked(lambda: tries.execute(task))
    summary = resume(tries, task, answered(Choice.ACCEPT, words="a known <b>fault</b> of the demo"))
    assert summary["verdict"] == "failed"
    assert summary["decisions"] == [
        {
            "choice": "accept",
            "by": "Jane Doe",
            "user": "7",
            "at": "2026-03-01T06:00:00+00:00",
            "words": "a known <b>fault</b> of the demo",
            "timed_out": False,
        }
    ]
    assert summary["reasons"][0].startswith("Accepted by Jane Doe (7) at 2026-03-01T06:00:00+00:00")
    for path in paths:
        text = Path(path).read_text()
        assert "Accepted by Jane Doe" in text, path
        assert "<b>fault</b>" not in text or path.endswith((".json", ".md"))
    assert posts(service) == 1


def test_rejected(tries, service, questions):
    """The task fails without a retry, and says who decided."""
    parked(lambda: tries.execute(ask()))
    error = resume(tries, ask(), answered(Choice.REJECT))
    assert type(error) is TestsFailedFinally
    assert "Rejected by Jane Doe (7)" in str(error)
    assert tries.summary["decisions"][0]["choice"] == "reject"
    assert posts(service) == 1


@pytest.mark.parametrize("default", ["accept", "reject"])
def test_nobody_answers(tries, questions, default):
    """The default counts, and the summary does not name a person."""
    task = ask(ask_default=default, ask_timeout=60)
    parked(lambda: tries.execute(task))
    end = resume(tries, task, answered(Choice(default), user=None, timedout=True))
    summary = end if default == "accept" else tries.summary
    assert isinstance(end, dict if default == "accept" else TestsFailed)
    assert summary["decisions"][0]["timed_out"] is True
    assert summary["reasons"][0].startswith("Nobody answered in time.")


@pytest.mark.parametrize("deferrable", [False, True])
def test_what_failed_runs_again(tries, service, questions, deferrable):
    """Only those tests start, once, and the verdict covers the passes from before."""
    tries.clear_number = 0
    task = ask(FLAKY, deferrable=deferrable)
    end = parked if not deferrable else lambda run: run()
    end(lambda: tries.execute(task))
    if deferrable:
        parked(lambda: tries.through_trigger(task))
    summary = resume(tries, task, answered(Choice.AGAIN, "try once more"))
    if deferrable:
        assert set(tries.deferred.trigger.run_ids) == set(started(service)[2:])
        summary = tries.through_trigger(task)
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1]
    assert (summary["verdict"], summary["counts"]) == ("passed", {"total": 2, "passed": 2})
    assert summary["decisions"][0]["choice"] == "again"
    assert "try once more" in summary["reasons"][0]
    assert cancelled(service) == []


def test_docket_runs_what_failed_again(tries, service, questions):
    """The other vendor behaves the same."""
    service.control.docket.override_script(202, "flaky")
    task = DocketRunTestsOperator(
        task_id="tests",
        test_blueprint_ids=[201, 202],
        on_failed="ask",
        deferrable=False,
        poll_interval=0.05,
    )
    parked(lambda: tries.execute(task))
    summary = resume(tries, task, answered(Choice.AGAIN))
    assert summary["verdict"] == "passed"
    assert len(service.control.docket.runs) == 3


def test_a_second_failure_asks_again(tries, service, questions):
    """An answer is about one round. Both answers are in the summary."""
    parked(lambda: tries.execute(ask()))
    parked(lambda: resume(tries, ask(), answered(Choice.AGAIN)))
    assert len(questions) == 2
    summary = resume(tries, ask(), answered(Choice.ACCEPT))
    assert [one["choice"] for one in summary["decisions"]] == ["again", "accept"]
    assert summary["reasons"][0].startswith("Accepted")
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [5, 1]


@pytest.mark.parametrize("choice", Choice)
def test_a_worker_lost_after_the_answer(tries, service, questions, choice):
    """The next try applies the stored answer. It neither asks again nor starts a run twice."""
    parked(lambda: tries.execute(ask(FLAKY), max_tries=1))
    record = from_json(tries.record)
    answer = Answer(choice, len(record.rounds), "Jane Doe", "7")
    _store(tries, replace(record, answers=(answer,)))
    end = tries.execute(ask(FLAKY), try_number=2, max_tries=1)
    assert len(questions) == 1
    assert isinstance(end, TestsFailed if choice is Choice.REJECT else dict)
    assert len(started(service)) == (3 if choice is Choice.AGAIN else 2)


def test_an_unsigned_answer_does_not_count(tries, questions):
    """Users can edit task state through Airflow's REST API."""
    parked(lambda: tries.execute(ask(), max_tries=1))
    forged = {**tries.record, "answers": [Answer(Choice.ACCEPT, 0, "Jane Doe", "7").to_json()]}
    tries.store["test_runs"] = forged
    parked(lambda: tries.execute(ask(), try_number=2, max_tries=1))
    assert len(questions) == 2


def test_a_clear_while_it_waits_starts_anew(tries, service, questions):
    """As everywhere: the runs before the clear are over, and the new ones are asked about on their own."""
    tries.clear_number = 0
    parked(lambda: tries.execute(ask(), max_tries=0))
    tries.clear_number = 1
    parked(lambda: tries.execute(ask(), try_number=2, max_tries=1))
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [5, 5]
    assert cancelled(service) == []


def test_a_clear_of_another_task_while_it_waits(tries, service, questions):
    """It changes the number of clears, and starts nothing here."""
    tries.clear_number = 0
    parked(lambda: tries.execute(ask(FLAKY)))
    tries.clear_number = 1
    assert resume(tries, ask(FLAKY), answered(Choice.AGAIN))["verdict"] == "passed"
    assert [len(one.run_ids) for one in service.control.log.submissions()] == [2, 1]


def test_a_mark_while_it_waits(tries, service, questions, listener):
    """The listener finds nothing to cancel."""
    parked(lambda: tries.execute(ask()))
    listener(tries.record)
    assert cancelled(service) == []


def test_retries_come_first(tries, questions):
    """With `retry_failed_tests`, a person is asked only once Airflow does not retry any more."""
    task = ask(retry_failed_tests=True)
    tries.execute(task, max_tries=1)
    assert questions == []
    parked(lambda: tries.execute(task, try_number=2, max_tries=1))
    assert len(questions) == 1


def test_without_an_answer_the_next_try_asks_again(tries, questions):
    """Airflow 3.1 and 3.2 may resume the task with an error of their trigger."""
    parked(lambda: tries.execute(ask(), max_tries=1))
    error = resume(tries, ask(), {"error": "no such\noption", "error_type": "validation"})
    assert type(error) is TriggerFailed
    parked(lambda: tries.execute(ask(), try_number=2, max_tries=1))


def test_airflow_that_takes_no_question(tries, monkeypatch):
    """The verdict stands: a person can clear the task."""

    def refuse(_context, _question):
        raise RuntimeError("422")

    monkeypatch.setattr(airflow_compat, "submit_question", refuse)
    assert type(tries.execute(ask())) is TestsFailedFinally
    assert from_json(tries.record).judged


def test_airflow_3_1_and_3_2_wait_in_a_trigger(tries, questions, monkeypatch):
    """The trigger of the standard provider gets the question, and resumes the same method."""
    monkeypatch.setattr(people, "_PARKS", False)
    monkeypatch.setattr(TaskInstance, "id", uuid4(), raising=False)
    tries.execute(ask(ask_timeout=60))
    assert tries.deferred.method_name == "execute_answered"
    path, arguments = tries.deferred.trigger.serialize()
    assert path == "airflow.providers.standard.triggers.hitl.HITLTrigger"
    assert (arguments["options"], arguments["defaults"]) == (questions[0].options, ["Reject"])
    assert arguments["timeout_datetime"] > datetime.now(UTC)
    summary = resume(tries, ask(), answered(Choice.ACCEPT))
    assert summary["decisions"][0]["by"] == "Jane Doe"


def test_without_the_standard_provider(monkeypatch):
    """Those versions need it, and the message names it."""
    monkeypatch.setattr(people, "_PARKS", False)
    monkeypatch.setattr(people, "find_spec", lambda _name: None)
    with pytest.raises(ValueError, match="apache-airflow-providers-standard"):
        ask()


def test_a_notifier_that_fails(tries, questions):
    """Each is called once; a fault in one hides neither the question nor the others."""
    told = []

    def broken(_context):
        raise OSError("no mail server")

    parked(lambda: tries.execute(ask(ask_notifiers=[broken, lambda context: told.append(context["ti"])])))
    assert told == [tries.ti]


def test_a_gate_that_only_reports_asks_nobody(tries, questions):
    assert tries.execute(ask(gate={"report_only": True}))["verdict"] == "failed"
    assert questions == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"on_failed": "retry"}, "on_failed"),
        ({"on_failed": "fail", "ask_timeout": 5}, "ask_timeout"),
        ({"on_failed": "fail", "ask_users": ["a"]}, "ask_users"),
        ({"on_failed": "ask", "ask_default": "again"}, "ask_default"),
        ({"on_failed": "ask", "ask_default": "maybe"}, "ask_default"),
        ({"on_failed": "ask", "ask_timeout": "soon"}, "ask_timeout"),
        ({"on_failed": "ask", "ask_users": [""]}, "ask_users"),
        ({"on_failed": "ask", "ask_users": [{"id": "a"}]}, "ask_users"),
        ({"on_failed": "ask", "ask_notifiers": "mail"}, "ask_notifiers"),
        ({"on_failed": "ask", "durable": False}, "durable"),
        ({"on_failed": "ask", "wait_for_completion": False}, "wait_for_completion"),
    ],
)
def test_mistakes_fail_when_the_file_is_parsed(given, name):
    with pytest.raises(ValueError, match=name):
        group(**given)


def test_older_airflow_refuses_at_parse_time(monkeypatch):
    """The message names the version."""
    monkeypatch.setattr(airflow_compat, "ASK", replace(ASK, since=(99, 0)))
    with pytest.raises(ValueError, match=r"on_failed='ask' needs Airflow 99\.0 or later"):
        ask()


def test_answers_survive_the_record():
    """With hostile words, on one line and bounded."""
    answer = Answer.of(Choice.ACCEPT, 2, by="J\nD", user="x" * 500, words="\x1b[31m" + "w" * 900)
    assert Answer.from_json(json.loads(json.dumps(answer.to_json()))) == answer
    assert len(answer.words) <= 300
    assert "\n" not in answer.sentence


def _store(tries, record):
    """Store a record as the task itself does."""
    from airflow_provider_testerarmy.lifecycle.record_store import identity_of
    from airflow_provider_testerarmy.runs.submission.stored import signature

    data = {**to_json(record), "try": 1}
    data["signature"] = signature(data, identity_of(tries.ti), DEFAULT_API_KEY)
    tries.store["test_runs"] = json.loads(json.dumps(data))
