"""Responses of both vendors about another object, or with values that cannot be stored."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.hooks.docket import DocketService
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyService
from airflow_provider_testerarmy.runs.results import Outcome, RunResult
from airflow_provider_testerarmy.runs.service import RunRequest

A, B = "10000000-0000-4000-8000-00000000000a", "10000000-0000-4000-8000-00000000000b"


def run_of_testerarmy(run_id=A, **fields):
    fields = {"status": "completed", "output": {"result": "PASS"}, **fields}
    return {"id": run_id, "type": "test", "input": {}, "createdAt": "2026-01-01T00:00:00Z", **fields}


def docket_run(run_id=7, **fields):
    return {"test_run": {"id": run_id, "status": "passed", **fields}}


WHOLE_AND_GLANCE = pytest.mark.parametrize("method", ["fetch", "fetch_state"])


@WHOLE_AND_GLANCE
@pytest.mark.parametrize(
    ("service", "asked", "right", "wrong"),
    [
        (TesterArmyService(), A, run_of_testerarmy(), run_of_testerarmy(B)),
        (TesterArmyService(), A.upper(), run_of_testerarmy(), run_of_testerarmy(A + "\n0")),
        (DocketService(), 7, docket_run(), docket_run(8)),
    ],
)
def test_an_answer_about_another_run_is_not_an_answer(service, method, asked, right, wrong):
    """Its outcome would be that of another run."""
    question = getattr(service, method)(asked)
    assert question.parse(right).outcome is Outcome.PASSED
    with pytest.raises(ValueError, match=r"received (another )?run"):
        question.parse(wrong)


@WHOLE_AND_GLANCE
@pytest.mark.parametrize("odd", ["", " ", "a\nb", "\ud800", "x" * 201])
def test_an_unusable_id_is_refused(method, odd):
    """Before anything is sent."""
    for service in (TesterArmyService(), DocketService()):
        with pytest.raises(RequestInvalid):
            getattr(service, method)(odd)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("test", {"status": "queued", "runId": A, "testId": B}),
        ("test", {"status": "queued", "runId": ""}),
        ("test", {"status": "queued", "runId": "a\nb"}),
        ("group", {"status": "queued", "batchId": "b", "runIds": [A], "groupId": B}),
        ("group", {"status": "queued", "batchId": "b", "runIds": [A, ""]}),
        ("prompt", {"id": " ", "status": "queued"}),
    ],
)
def test_an_answer_about_another_target_is_no_submission(kind, answer):
    """The task looks up what was started."""
    question = TesterArmyService().submit(RunRequest(kind, A, {"prompt": "x"} if kind == "prompt" else {}))
    with pytest.raises(ValueError, match=r"received another one|cannot be used"):
        question.parse(answer)


@pytest.mark.parametrize("kind", ["test", "group"])
def test_a_look_at_another_target_is_not_an_answer(kind):
    """Its project is not where the runs will be."""
    question = TesterArmyService().prepare(RunRequest(kind, A))
    assert question.parse({"id": A.upper(), "projectId": "p"}).project_id == "p"
    with pytest.raises(ValueError, match="received another one"):
        question.parse({"id": B})


ODD_FIELDS = [
    {"durationMs": 10**30},
    {"durationMs": float("nan")},
    {"durationMs": 10**400},
    {"startedAt": "0001-01-01T00:00:00+14:00"},
    {"testId": "a\nb" * 5000},
    {"error": {"code": "X\nERROR forged", "message": "m" * 50_000}},
    {"output": {"result": "PASS", "featureName": "\ud800\x1b[31m"}},
    {"output": {"result": "PASS", "issues": [{"severity": 10**30, "name": "n\n" * 5000, "type": "warning"}]}},
    {"output": {"result": "PASS", "steps": [{"stepIndex": int("9" * 4000), "status": "passed"}]}},
    {"output": {"result": "PASS", "steps": [{"startedAtMs": float("inf"), "errorCode": "E\n" * 5000}]}},
    {"output": {"result": "PASS", "screenshots": ["https://x/" + "y" * 9000, "a b"]}},
]


@pytest.mark.parametrize("fields", ODD_FIELDS, ids=range(len(ODD_FIELDS)))
def test_an_odd_value_never_turns_a_pass_into_an_error(fields):
    """It is bounded or left out."""
    check(TesterArmyService().fetch(A).parse(run_of_testerarmy(**fields)))


ODD_DOCKET = [
    {"results": [{"task": "t\n" * 5000, "is_successful": True, "duration": float("inf")}]},
    {"results": [{"step_number": int("9" * 4000), "is_successful": True, "duration": 1e300}]},
    {"created_at": "0001-01-01T00:00:00+14:00", "updated_at": "9999-12-31T23:59:59-14:00"},
    {"blueprint_metadata": {"title": "\ud800\u202e" + "x" * 5000}},
    {"test_video_url": "https://x/\x00"},
]


@pytest.mark.parametrize("fields", ODD_DOCKET, ids=range(len(ODD_DOCKET)))
def test_an_odd_value_of_docket_never_turns_a_pass_into_an_error(fields):
    check(DocketService().fetch(7).parse(docket_run(**fields)))


def check(run: RunResult) -> None:
    assert run.outcome is Outcome.PASSED
    texts = [run.title, run.error_code, run.test_id, *(step.title for step in run.steps)]
    assert all(len(text) <= 300 and len(text.splitlines()) <= 1 for text in texts)
    values = [run.duration, *(step.started for step in run.steps), *(step.ended for step in run.steps)]
    json.dumps(
        [*texts, *values, run.screenshots, run.video_url], allow_nan=False, ensure_ascii=False
    ).encode()
