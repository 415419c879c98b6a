"""A budget in every kind of try: retries, clears, lost workers, confirming rounds; and a ledger that fails."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_testerarmy.exceptions import (
    BudgetExhausted,
    BudgetUnavailable,
    RequestRefused,
    RunErrored,
    RunInterrupted,
    ServiceUnavailable,
    SubmissionUnclear,
    TestsFailed,
)
from airflow_provider_testerarmy.lifecycle import budget as budgets
from airflow_provider_testerarmy.lifecycle.memory import FolderStorage
from airflow_provider_testerarmy.lifecycle.record_store import PartJournal
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.budget import ledger
from airflow_provider_testerarmy.runs.budget.entries import Entry, Place, State
from airflow_provider_testerarmy.runs.budget.rule import period_of
from airflow_provider_testerarmy.runs.memory.cells import Cell
from airflow_provider_testerarmy.sandbox.docket.catalog import (
    BLUEPRINT_FAILS,
    BLUEPRINT_PASSES,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.budgeted import PAIR, TRIO, Broken, docket_tests, limited, run, used
from tests.lifecycle.tries import Died, cancelled, posts, single, started

pytestmark = pytest.mark.usefixtures("connections", "docket_connection", "no_pauses")


# -- tries


def test_a_try_that_reconnects_reserves_nothing(night, service, tmp_path):
    """The budget may be used up by then."""
    tries = night()
    tries.execute(limited(tmp_path, 2, retries=1, deferrable=True), max_tries=1)
    assert posts(service) == 1
    ending = run(tries, limited(tmp_path, 2, retries=1), try_number=2, max_tries=1)
    assert not isinstance(ending, BudgetExhausted)
    assert (posts(service), used(tmp_path).runs) == (1, 2)


def test_a_clear_starts_again_and_reserves_again(night, service, tmp_path):
    """It costs as much as the first time."""
    tries = night()
    run(tries, limited(tmp_path, 3))
    tries.clear_number = 1
    error = run(tries, limited(tmp_path, 3), try_number=2, max_tries=1)
    assert isinstance(error, BudgetExhausted)
    assert (posts(service), used(tmp_path).runs) == (1, 2)


def test_a_retry_reserves_its_round_alone(night, service, tmp_path):
    """The group has three tests, of which one failed."""
    service.control.store.override_script(catalog.TEST_CART, "fails")
    tries, options = night(), {"target": TRIO, "retry_failed_tests": True, "retries": 1}
    assert isinstance(run(tries, limited(tmp_path, 4, **options), max_tries=1), TestsFailed)
    before, seconds = used(tmp_path).runs, used(tmp_path).seconds
    service.control.store.override_script(catalog.TEST_CART, None)
    summary = run(tries, limited(tmp_path, before + 1, **options), try_number=2, max_tries=1)
    assert (summary["verdict"], used(tmp_path).runs) == ("passed", before + 1)
    assert used(tmp_path).seconds > seconds > 0


@pytest.mark.parametrize("lost", [False, True])
def test_a_round_that_two_tries_start_counts_once(night, service, tmp_path, lost):
    """The first one starts one of two tests: then Airflow is down, or the worker is lost."""
    for test in (catalog.TEST_CART, catalog.TEST_LOGIN):
        service.control.store.override_script(test, "fails")
    options = {"target": TRIO, "retry_failed_tests": True, "retries": 2}
    tries = night()
    assert isinstance(run(tries, limited(tmp_path, 100, **options), max_tries=2), TestsFailed)
    before = used(tmp_path).runs

    def die(record):
        states = [part["state"] for part in record["parts"].values()] if record["again"] else []
        if lost and "started" in states:
            raise Died
        if "started" in states and "sending" in states:
            raise RuntimeError("the API server is away")

    tries.store.on_set = die
    ending = run(tries, limited(tmp_path, 100, **options), try_number=2, max_tries=2)
    assert isinstance(ending, Died if lost else Exception)
    assert (posts(service), used(tmp_path).runs) == (2, before + (2 if lost else 1))
    tries.store.on_set = lambda record: None
    run(tries, limited(tmp_path, before + 2, **options), try_number=3, max_tries=2)
    assert (posts(service), used(tmp_path).runs) == (3, before + 2)


@pytest.mark.parametrize("on_exhausted", ["fail", "skip"])
def test_a_skip_hides_no_failure(night, service, tmp_path, on_exhausted):
    """The first round has failed, and there is no room for the second."""
    service.control.store.override_script(catalog.TEST_CART, "fails")
    options = {
        "target": TRIO,
        "retry_failed_tests": True,
        "retries": 1,
        "budget": {"on_exhausted": on_exhausted},
    }
    tries = night()
    assert isinstance(run(tries, limited(tmp_path, 100, **options), max_tries=1), TestsFailed)
    size = used(tmp_path).runs
    error = run(tries, limited(tmp_path, size, **options), try_number=2, max_tries=1)
    assert isinstance(error, BudgetExhausted)
    assert posts(service) == 1


@pytest.mark.parametrize("key", ["test_runs"])
def test_a_worker_lost_before_the_request(night, service, tmp_path, key):
    """It has reserved and stored its intent. The next try finds nothing, sends the request, and counts it once."""
    tries = night()

    def die(record):
        if any(part["state"] == "sending" for part in record["parts"].values()):
            raise Died

    tries.store.on_set = die
    assert isinstance(tries.execute(limited(tmp_path, 2, retries=1), max_tries=1), Died)
    assert (posts(service), used(tmp_path).runs) == (0, 2)
    tries.store.on_set = lambda record: None
    ending = run(tries, limited(tmp_path, 2, retries=1), try_number=2, max_tries=1)
    assert not isinstance(ending, BudgetExhausted)
    assert (posts(service), used(tmp_path).runs) == (1, 2)


def test_a_worker_lost_after_the_request(night, service, tmp_path):
    """The runs exist. The next try takes them though the budget has no room, and counts them once."""
    tries = night()

    def die(record):
        if any(part["state"] == "started" for part in record["parts"].values()):
            del tries.store["test_runs"]
            tries.store["test_runs"] = before[-1]
            raise Died
        before.append(record)

    before = []
    tries.store.on_set = die
    assert isinstance(tries.execute(limited(tmp_path, 2, retries=1), max_tries=1), Died)
    tries.store.on_set = lambda record: None
    ending = run(tries, limited(tmp_path, 0, retries=1), try_number=2, max_tries=1)
    assert not isinstance(ending, BudgetExhausted)
    assert (posts(service), used(tmp_path).runs) == (1, 2)


def test_without_a_record_every_try_reserves(night, service, tmp_path):
    """`durable=False` starts new runs on every try."""
    tries = night()
    task = limited(tmp_path, 2, single, catalog.TEST_BREAKS, durable=False, retries=2)
    seconds = [0]
    for number in (1, 2):
        assert isinstance(run(tries, task, try_number=number, max_tries=2), RunErrored)
        seconds.append(used(tmp_path).seconds)
    assert seconds == sorted(set(seconds))
    assert isinstance(run(tries, task, try_number=3, max_tries=2), BudgetExhausted)
    assert posts(service) == 2


def test_a_refused_request_gives_its_reservation_back(night, service, tmp_path):
    """The service has certainly started nothing."""
    service.control.faults.add("status", "trigger_*", status=422)
    assert isinstance(run(night(), limited(tmp_path, 2)), RequestRefused)
    assert used(tmp_path).runs == 0
    service.control.faults.clear()
    assert not isinstance(run(night(), limited(tmp_path, 2)), BudgetExhausted)


def test_an_unclear_request_keeps_its_reservation(night, service, tmp_path):
    """Docket cannot tell what a lost request has started."""
    service.control.faults.add("reset_after", "docket_trigger_run")
    task = docket_tests(BLUEPRINT_PASSES, memory_path=str(tmp_path), budget={"runs": 1})
    assert isinstance(run(night(), task), SubmissionUnclear)
    assert used(tmp_path).runs == 1


def test_rejected_runs_do_not_count(night, service, tmp_path):
    """The service has cancelled them at once."""
    run(night(), limited(tmp_path, 10, target=catalog.GROUP_ALL_REJECTED))
    assert (posts(service), used(tmp_path).runs) == (1, 0)
    run(night(), limited(tmp_path, 10, target=catalog.GROUP_SOME_REJECTED))
    assert 0 < used(tmp_path).runs < len(started(service))


def test_a_kill_while_it_waits_for_other_tasks(night, service, tmp_path, monkeypatch):
    """It starts nothing, and takes its announcement back. That of the other task stays."""
    now = ServiceSession.clock()
    book = ledger.Book("dag", period_of("day", now), int(now // 86_400))
    # The cell of the other task is behind that of this one, which therefore does not step back.
    place, other = Place(book.today, 0, Cell(book.today, 1)), Entry("other", State.PENDING, 2)
    FolderStorage(str(tmp_path)).set(place.key(book.prefix), other.text())
    task = limited(tmp_path, 2)
    monkeypatch.setattr(ServiceSession, "sleep", staticmethod(lambda _seconds: task.on_kill()))
    error = night().execute(task)
    assert isinstance(error, RunInterrupted)
    assert (posts(service), used(tmp_path).runs) == (0, 2)
    states = [json.loads(path.read_text())["state"] for path in tmp_path.glob("*-entry.json")]
    assert sorted(states) == ["pending", "returned"]


@pytest.mark.parametrize("later", [False, True])
def test_execution_timeout_while_the_request_is_sent(night, service, tmp_path, monkeypatch, later):
    """What was certainly not sent is given back."""

    def pass_out(self, intent):
        if later:
            keep(self, intent)
        raise AirflowTaskTimeout("timed out")

    keep = PartJournal.intent
    monkeypatch.setattr(PartJournal, "intent", pass_out)
    assert isinstance(night().execute(limited(tmp_path, 2)), AirflowTaskTimeout)
    assert (posts(service), used(tmp_path).runs) == (0, 2 if later else 0)


# -- confirming rounds


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_confirming_round_reserves_as_well(night, service, tmp_path, deferrable):
    """Two runs, and one that confirms the failure."""
    summary = run(night(), limited(tmp_path, 3, gate={"confirm": 2}, deferrable=deferrable))
    assert (summary["verdict"], used(tmp_path).runs) == ("passed", 3)


@pytest.mark.parametrize("on_exhausted", ["fail", "skip"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failure_stands_when_the_budget_ends(night, service, tmp_path, deferrable, on_exhausted):
    """It is not confirmed, and the reasons say why."""
    tries, budget = night(), {"on_exhausted": on_exhausted}
    error = run(tries, limited(tmp_path, 2, gate={"confirm": 2}, deferrable=deferrable, budget=budget))
    assert isinstance(error, TestsFailed)
    assert "Failures were not confirmed: The budget of pool 'dag' has no room left" in str(error)
    assert (posts(service), used(tmp_path).runs) == (1, 2)


@pytest.mark.parametrize("deferrable", [False, True])
def test_docket_confirms_within_the_budget(night, service, tmp_path, deferrable):
    """The second run of the test has room, or not."""
    parameters = {"memory_path": str(tmp_path), "deferrable": deferrable, "gate": {"confirm": 2}}
    error = run(night(), docket_tests(BLUEPRINT_FAILS, budget={"runs": 2}, **parameters))
    assert isinstance(error, TestsFailed)
    assert (len(service.control.docket.group_runs), used(tmp_path).runs) == (2, 2)
    error = run(night(), docket_tests(BLUEPRINT_FAILS, budget={"runs": 3}, **parameters))
    assert "not confirmed: The budget of pool" in str(error)
    assert (len(service.control.docket.group_runs), used(tmp_path).runs) == (3, 3)


def test_an_edited_task_reserves_again(night, service, tmp_path):
    """Its retry cancels the runs of the old target, which were started all the same."""
    tries = night()
    tries.seconds = 0
    tries.execute(limited(tmp_path, 3, retries=1, deferrable=True), max_tries=1)
    error = run(tries, limited(tmp_path, 3, target=TRIO, retries=1), try_number=2, max_tries=1)
    assert isinstance(error, BudgetExhausted)
    assert set(cancelled(service)) == set(started(service))
    assert (posts(service), used(tmp_path).runs) == (1, 2)


def test_the_minutes_of_the_first_round_count_before_it_is_confirmed(night, service, tmp_path):
    """Over the minutes nothing further is started."""
    budget = {"runs": None, "minutes": 0.01}
    error = run(night(), limited(tmp_path, gate={"confirm": 2}, budget=budget))
    assert isinstance(error, TestsFailed)
    assert "not confirmed" in str(error)
    assert posts(service) == 1


def test_a_worker_lost_before_a_confirming_round_without_room(night, service, tmp_path):
    """The next try lets the failure stand as well."""
    tries = night()

    def die(record):
        if record.get("confirming"):
            raise Died

    tries.store.on_set = die
    options = {"gate": {"confirm": 2}, "retries": 1}
    assert isinstance(tries.execute(limited(tmp_path, 2, **options), max_tries=1), Died)
    tries.store.on_set = lambda record: None
    error = run(tries, limited(tmp_path, 2, **options), try_number=2, max_tries=1)
    assert isinstance(error, TestsFailed)
    assert "not confirmed" in str(error)
    assert posts(service) == 1


# -- a ledger that does not answer


@pytest.mark.parametrize("kind", ["get", "set"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_ledger_that_does_not_answer_lets_nothing_start(
    night, service, tmp_path, monkeypatch, kind, deferrable
):
    """Airflow retries the task, and the next try goes on."""
    broken = Broken(str(tmp_path), kind, 10_000)
    monkeypatch.setattr(budgets, "FolderStorage", lambda _folder: broken)
    tries = night()
    error = run(tries, limited(tmp_path, deferrable=deferrable, retries=1), max_tries=1)
    assert isinstance(error, BudgetUnavailable)
    assert isinstance(error, ServiceUnavailable)
    assert not isinstance(error, AirflowFailException)
    assert posts(service) == 0
    assert "the disk is away" in str(error)
    assert f"group {PAIR} (2 runs)" in str(error)
    broken.left = 0
    run(tries, limited(tmp_path, deferrable=deferrable, retries=1), try_number=2, max_tries=1)
    assert (posts(service), used(tmp_path).runs) == (1, 2)


@pytest.mark.parametrize("kind", ["get", "set"])
def test_a_hiccup_of_the_ledger_fails_no_task(night, service, tmp_path, monkeypatch, kind):
    """Three calls fail, and each is repeated."""
    broken = Broken(str(tmp_path), kind, 3)
    monkeypatch.setattr(budgets, "FolderStorage", lambda _folder: broken)
    run(night(), limited(tmp_path))
    assert (posts(service), used(tmp_path).runs) == (1, 2)


def test_a_ledger_that_breaks_after_the_start_hides_no_verdict(night, service, tmp_path, monkeypatch, capsys):
    """The log says what is not counted."""
    broken = Broken(str(tmp_path), "set", 0)
    monkeypatch.setattr(budgets, "FolderStorage", lambda _folder: broken)
    tries = night()

    def break_it(record):
        broken.left = 10_000

    tries.store.on_set = break_it
    summary = run(tries, limited(tmp_path, make=single, target=catalog.TEST_PASSES))
    assert summary["verdict"] == "passed"
    said = capsys.readouterr().out
    assert "still counts the 1 run that were reserved" in said or "still counts" in said
    assert "are not counted in the budget" in said


def test_a_changed_ledger_lets_nothing_start(night, service, tmp_path):
    """Somebody has edited an entry."""
    run(night(), limited(tmp_path))
    (entry,) = tmp_path.glob("budget-*-entry.json")
    entry.write_text("{")
    error = run(night(), limited(tmp_path))
    assert isinstance(error, BudgetUnavailable)
    assert "is not valid" in str(error)
    assert posts(service) == 1
