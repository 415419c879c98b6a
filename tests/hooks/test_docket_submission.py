"""Docket's response to a trigger is checked against the request, over HTTP."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.hooks.docket import DocketService
from airflow_provider_testerarmy.runs.service import FaultKind, RunRequest, ServiceFault

ASKED = RunRequest("tests", "180, 181", {"test_blueprint_ids": [180, 181]})
CATEGORY = RunRequest("category", "11", {"test_blueprint_category_id": 11})
A, B = {"id": 38, "test_blueprint_id": 180}, {"id": 39, "test_blueprint_id": 181}
LOGIN = {"id": 37, "test_blueprint_id": 170, "is_login_test_run": True}


@pytest.fixture
def answered(connect_docket, service):
    """Puts a trigger whose answer has these runs, in this group; the submission or the fault."""
    hook = connect_docket()
    put, close = hook.asker()

    def ask(request, runs, group_id=35):
        body = {"message": "ok", "test_group_run": {"id": group_id, "test_runs": runs}}
        service.control.faults.add("status", "docket_trigger_*", status=200, body=body)
        try:
            return put(hook.service().submit(request)).value
        except ServiceFault as fault:
            return fault

    yield ask
    close()


@pytest.mark.parametrize("runs", [[A, B], [B, A], [{**A, "test_group_run_id": 35}, B], [LOGIN, A, B]])
def test_each_test_once_is_a_submission(answered, runs):
    """In any order; the run of a login test is kept apart."""
    submission = answered(ASKED, runs)
    assert (set(submission.run_ids), submission.batch_id) == ({38, 39}, "35")


@pytest.mark.parametrize(
    ("runs", "candidates"),
    [
        ([A, {**B, "id": 38}], (38,)),
        ([A, A], (38,)),
        ([A, {"id": 39, "test_blueprint_id": 180}], (38, 39)),
        ([A, B, {"id": 40, "test_blueprint_id": 181}], (38, 39, 40)),
        ([A, {"id": 39, "test_blueprint_id": 999}], (38, 39)),
        ([A, B, {"id": 40, "test_blueprint_id": 999}], (38, 39, 40)),
        ([A, {**B, "test_group_run_id": 36}], (38, 39)),
        ([A, {**B, "is_login_test_run": True}], (38, 39)),
        ([A, {**B, "test_blueprint_id": None}, {**B, "id": 40, "test_blueprint_id": None}], (38, 39, 40)),
        ([{**A, "test_blueprint_id": None}], (38,)),
        ([{**A, "test_blueprint_id": 999}, {**B, "test_blueprint_id": None}], (38, 39)),
        ([A, {**B, "test_blueprint_id": None, "is_login_test_run": True}], (38, 39)),
        ([{**A, "test_group_run_id": 35}, {**B, "test_group_run_id": 36}], (38, 39)),
        ([A], (38,)),
        ([], ()),
        (None, ()),
        ([A, {**B, "id": 0}], (38,)),
        ([A, {**B, "id": -39}], (38,)),
        ([A, {**B, "id": None}], (38,)),
        ([A, {**B, "id": ""}], (38,)),
        ([A, {**B, "id": True}], (38,)),
        ([A, {**B, "id": 10**30}], (38,)),
        ([A, {**B, "id": "39"}], (38, 39)),
        ([A, "39"], (38,)),
        ([A, None], (38,)),
    ],
)
def test_an_answer_that_does_not_fit_is_unclear_and_names_what_it_gave(answered, runs, candidates):
    """A missing test would count as tested, and started runs are billed."""
    fault = answered(ASKED, runs)
    assert isinstance(fault, ServiceFault)
    assert (fault.kind, fault.may_have_effect) == (FaultKind.TRANSIENT, True)
    assert (fault.candidates, fault.batch_id) == (candidates, "35")


@pytest.mark.parametrize("test_id", [None, "x", 0, True, 10**30, ""])
def test_a_run_that_does_not_name_its_test_stands_for_the_missing_one(answered, test_id):
    """A missing field contradicts nothing if there is a run for each test, even if no run has its test id."""
    silent = {"test_blueprint_id": test_id}
    assert answered(ASKED, [A, {**B, **silent}]).run_ids == (38, 39)
    assert answered(ASKED, [LOGIN, {**A, **silent}, {**B, **silent}]).run_ids == (38, 39)


@pytest.mark.parametrize("group_id", [None, 0, -35, "", "group", True, 35.5, 10**30])
def test_an_answer_without_its_group_is_a_submission_without_a_link(answered, group_id):
    """Unless the runs name the group."""
    submission = answered(ASKED, [A, B], group_id)
    assert (submission.run_ids, submission.batch_id) == ((38, 39), "")
    assert DocketService().submission_url(submission) == ""
    assert answered(ASKED, [{**A, "test_group_run_id": 35}, B], group_id).batch_id == "35"


def test_runs_of_two_groups_in_an_answer_without_its_group_are_unclear(answered):
    """It is unclear which of the groups was requested."""
    fault = answered(ASKED, [{**A, "test_group_run_id": 35}, {**B, "test_group_run_id": 36}], None)
    assert (fault.candidates, fault.batch_id, fault.may_have_effect) == ((38, 39), "", True)


def test_a_long_answer_that_does_not_fit_is_named_shortly(answered):
    """The exception has all of the ids, the message ten."""
    asked = RunRequest("tests", "many", {"test_blueprint_ids": list(range(1, 101))})
    runs = [{"id": 1000 + number, "test_blueprint_id": 5} for number in range(100)]
    fault = answered(asked, runs)
    assert len(fault.candidates) == 100
    assert "... (100 in all)" in fault.message
    assert len(fault.message) < 400


@pytest.mark.parametrize("runs", [[A], [LOGIN, A, B]])
def test_a_category_starts_an_unknown_number_of_tests(answered, runs):
    """One at least, and a login test is none."""
    assert 37 not in answered(CATEGORY, runs).run_ids


@pytest.mark.parametrize("runs", [[], [LOGIN], [A, A], [A, {**B, "test_blueprint_id": 180}]])
def test_a_category_without_a_test_or_with_one_twice_is_unclear(answered, runs):
    """Without a test there is no pass."""
    assert answered(CATEGORY, runs).may_have_effect


def test_a_test_that_is_asked_for_twice_runs_twice(answered):
    """Once is not enough then."""
    twice = RunRequest("tests", "180, 180", {"test_blueprint_ids": [180, 180]})
    assert answered(twice, [A, {**A, "id": 39}]).run_ids == (38, 39)
    assert answered(twice, [A]).candidates == (38,)


def test_several_tests_are_run_again_by_one_request():
    """Each once, and not as a CI run: its commit would show the outcome of these alone."""
    (request,) = DocketService().some_tests(CATEGORY, ["181", "180", "181"])
    assert (request.label, request.body) == ("tests 181, 180", {"test_blueprint_ids": [181, 180]})
    (one,) = DocketService().some_tests(CATEGORY, ["181"])
    assert (one.label, one.body) == ("test 181", {"test_blueprint_ids": [181]})
    assert DocketService().some_tests(CATEGORY, []) is None
    assert DocketService().some_tests(CATEGORY, ["181", ""]) is None
    assert DocketService().some_tests(RunRequest("tests", "1", {"github_context": {}}), ["1"]) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "Blueprint 181 is archived"}, "Blueprint 181 is archived"),
        (
            {"detail": [{"loc": ["body", "test_blueprint_ids", 0], "msg": "not an integer"}]},
            "body.test_blueprint_ids.0: not an integer",
        ),
        ({"errors": ["too many", "too old"]}, "too many; too old"),
        ({"errors": {"test_blueprint_ids": ["unknown"]}}, "test_blueprint_ids: unknown"),
        ({"msg": "No credits left"}, "No credits left"),
        ({"message": "No credits left"}, "No credits left"),
    ],
)
def test_a_refusal_says_why(docket_driver, service, body, words):
    """Wherever the service puts its reason."""
    service.control.faults.add("status", "docket_trigger_run", status=422, body=body)
    assert words in docket_driver.submit(181).message
