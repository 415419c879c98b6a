"""A budget: beyond it nothing is started, in either mode, for either vendor, in every kind of try."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import asset_states
from airflow_provider_testerarmy.exceptions import (
    BudgetExhausted,
    BudgetUnavailable,
    RequestRefused,
    RunErrored,
    ServiceUnavailable,
    SubmissionUnclear,
    TestsFailed,
    TestsSkipped,
)
from airflow_provider_testerarmy.lifecycle import budget as budgets
from airflow_provider_testerarmy.lifecycle.memory import FolderStorage
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunPromptOperator
from airflow_provider_testerarmy.runs.budget import ledger
from airflow_provider_testerarmy.runs.budget.rule import period_of
from airflow_provider_testerarmy.runs.memory.port import StorageFault
from airflow_provider_testerarmy.sandbox.docket.catalog import (
    BLUEPRINT_FAILS,
    BLUEPRINT_PASSES,
    CATEGORY_CHECKOUT,
)
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle import tries as tries_module
from tests.lifecycle.test_memory import NEEDS_ASSETS, AssetStates
from tests.lifecycle.tries import Died, Tries, cancelled, group, posts, single, started

pytestmark = pytest.mark.usefixtures("connections", "no_pauses")

#: Groups of two and of three tests.
PAIR, TRIO = catalog.GROUP_FLAKY, catalog.GROUP_SEQUENTIAL


@pytest.fixture(autouse=True)
def docket(service, monkeypatch):
    """The connection `docket_default` to the sandbox."""
    fields = {"conn_type": "docket", "host": service.docket_url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_DOCKET_DEFAULT", json.dumps(fields))


@pytest.fixture
def night(service, monkeypatch):
    """Starts another task instance of the same DAG."""
    number = iter(range(1, 100))

    def start():
        monkeypatch.setattr(tries_module.TaskInstance, "run_id", f"night {next(number)}")
        tries = Tries(service)
        tries.clear_number = 0
        return tries

    return start


def limited(tmp_path, runs=5, make=group, target=PAIR, **parameters):
    """An operator with a budget."""
    budget = {"runs": runs} | parameters.pop("budget", {})
    return make(target, memory_path=str(tmp_path), budget=budget, **parameters)


def docket_tests(*ids, **parameters):
    fixed = {"task_id": "tests", "deferrable": False, "poll_interval": 0.05, "test_blueprint_ids": list(ids)}
    return DocketRunTestsOperator(**fixed | parameters)


def run(tries, task, **options):
    """Run a try to its end, through the triggerer wherever it defers."""
    result = tries.execute(task, **options)
    while isinstance(result, TaskDeferred):
        result = tries.through_trigger(task)
    return result


def used(tmp_path, pool="dag"):
    """What the ledger of a pool counts today."""
    now = ServiceSession.clock()
    book = ledger.Book(pool, period_of("day", now), int(now // 86_400))
    storage, answer, steps = FolderStorage(str(tmp_path)), None, ledger.usage(book)
    try:
        while True:
            answer = budgets.apply(storage, steps.send(answer))
    except StopIteration as end:
        return end.value


# -- what is started, and what is not


@pytest.mark.parametrize("deferrable", [False, True])
def test_nothing_is_started_beyond_the_budget(night, service, tmp_path, deferrable):
    """Two groups of two tests fit into five runs, and a third does not. The message says what to do."""
    for _ in range(2):
        assert not isinstance(
            run(night(), limited(tmp_path, deferrable=deferrable, retry_failed_tests=False)), BudgetExhausted
        )
    assert (posts(service), used(tmp_path).runs) == (2, 4)
    error = run(night(), limited(tmp_path, deferrable=deferrable))
    assert isinstance(error, BudgetExhausted)
    assert isinstance(error, AirflowFailException)
    assert posts(service) == 2
    said = str(error)
    assert "pool 'dag'" in said
    assert "4 of 5 runs are used for the day" in said
    assert f"Not started: group {PAIR} (2 runs)" in said
    assert "00:00 UTC" in said


def test_a_smaller_task_still_fits(night, service, tmp_path):
    """One run is left of the budget."""
    for _ in range(2):
        run(night(), limited(tmp_path))
    run(night(), limited(tmp_path))
    summary = run(night(), limited(tmp_path, make=single, target=catalog.TEST_PASSES))
    assert (summary["verdict"], used(tmp_path).runs, posts(service)) == ("passed", 5, 3)


@pytest.mark.parametrize("deferrable", [False, True])
def test_docket_has_the_same_budget(night, service, tmp_path, deferrable):
    """Its tests are counted before they are started, and both vendors share a pool."""
    parameters = {"memory_path": str(tmp_path), "budget": {"runs": 3}, "deferrable": deferrable}
    two = docket_tests(BLUEPRINT_PASSES, BLUEPRINT_FAILS, **parameters)
    assert isinstance(run(night(), two), TestsFailed)
    assert used(tmp_path).runs == 2
    error = run(night(), docket_tests(BLUEPRINT_PASSES, BLUEPRINT_FAILS, **parameters))
    assert isinstance(error, BudgetExhausted)
    assert "(2 runs)" in str(error)
    assert len(service.control.docket.group_runs) == 1
    assert run(night(), limited(tmp_path, 3, single, catalog.TEST_PASSES))["verdict"] == "passed"
    assert isinstance(run(night(), limited(tmp_path, 3, single, catalog.TEST_PASSES)), BudgetExhausted)


def test_a_prompt_is_one_run(night, service, tmp_path):
    """The request alone tells."""

    def prompt():
        return TesterArmyRunPromptOperator(
            task_id="tests",
            prompt="Open https://shop.example",
            poll_interval=0.05,
            deferrable=False,
            memory_path=str(tmp_path),
            budget={"runs": 1},
        )

    run(night(), prompt())
    assert used(tmp_path).runs == 1
    assert isinstance(run(night(), prompt()), BudgetExhausted)


def test_a_category_is_corrected_from_the_answer(night, service, tmp_path):
    """Docket cannot list its tests, so one run is reserved. What was started counts."""
    task = DocketRunTestsOperator(
        task_id="tests",
        test_blueprint_category_id=CATEGORY_CHECKOUT,
        poll_interval=0.05,
        deferrable=False,
        memory_path=str(tmp_path),
        budget={"runs": 1},
    )
    run(night(), task)
    (begun,) = service.control.docket.group_runs.values()
    assert used(tmp_path).runs == len(begun.runs) > 1


def test_pools_and_dags(night, service, tmp_path, monkeypatch):
    """A DAG has a budget of its own, and a pool is shared by all that name it."""
    one = {"make": single, "target": catalog.TEST_PASSES, "runs": 1}
    run(night(), limited(tmp_path, **one))
    monkeypatch.setattr(tries_module.TaskInstance, "dag_id", "another")
    assert run(night(), limited(tmp_path, **one))["verdict"] == "passed"
    assert run(night(), limited(tmp_path, budget={"pool": "shared"}, **one))["verdict"] == "passed"
    monkeypatch.setattr(tries_module.TaskInstance, "dag_id", "third")
    error = run(night(), limited(tmp_path, budget={"pool": "shared"}, **one))
    assert isinstance(error, BudgetExhausted)
    assert "pool 'shared'" in str(error)


def test_a_task_can_be_skipped(night, service, tmp_path):
    """Its note says why."""
    tries = night()
    error = run(tries, limited(tmp_path, 1, budget={"on_exhausted": "skip"}))
    assert isinstance(error, TestsSkipped)
    assert "no room left" in tries.xcoms["test_runs"]["reason"]
    assert posts(service) == 0


def test_another_day_has_another_budget(night, service, tmp_path, no_pauses):
    """The calendar is that of UTC."""
    assert run(night(), limited(tmp_path, 2))
    no_pauses[0] += 86_400
    assert not isinstance(run(night(), limited(tmp_path, 2)), BudgetExhausted)
    assert posts(service) == 2


def test_without_waiting_runs_count_as_well(night, service, tmp_path):
    """`wait_for_completion=False` starts them all the same."""
    run(night(), limited(tmp_path, 2, wait_for_completion=False))
    assert isinstance(run(night(), limited(tmp_path, 2, wait_for_completion=False)), BudgetExhausted)


def test_mapped_tasks_reserve_each_for_itself(service, tmp_path):
    """They differ in their map index alone."""
    endings = [
        run(
            Tries(service, map_index=index),
            limited(tmp_path, 2, single, catalog.TEST_PASSES),
        )
        for index in range(3)
    ]
    assert [isinstance(each, BudgetExhausted) for each in endings] == [False, False, True]


# -- minutes


@pytest.mark.parametrize("deferrable", [False, True])
def test_minutes_are_counted_when_runs_have_ended(night, service, tmp_path, deferrable):
    """By the times of the service. The run that exceeds the budget is not cancelled."""
    short = {"budget": {"runs": None, "minutes": 0.05}, "make": single, "target": catalog.TEST_PASSES}
    assert run(night(), limited(tmp_path, deferrable=deferrable, **short))["verdict"] == "passed"
    assert used(tmp_path).seconds > 3
    assert cancelled(service) == []
    error = run(night(), limited(tmp_path, deferrable=deferrable, **short))
    assert isinstance(error, BudgetExhausted)
    assert "of 0.05 minutes are used" in str(error)


def test_docket_counts_minutes(night, service, tmp_path):
    """Its runs have times as well."""
    task = docket_tests(BLUEPRINT_PASSES, memory_path=str(tmp_path), budget={"minutes": 600})
    assert run(night(), task)["verdict"] == "passed"
    assert used(tmp_path).seconds > 0


def test_minutes_are_counted_once_when_a_try_judges_again(night, service, tmp_path):
    """The worker is lost after the verdict, before Airflow knew of it."""
    tries = night()
    task = limited(tmp_path, make=single, target=catalog.TEST_PASSES, retries=1)
    run(tries, task, max_tries=1)
    before = used(tmp_path)
    run(
        tries,
        limited(tmp_path, make=single, target=catalog.TEST_PASSES, retries=1),
        try_number=2,
        max_tries=1,
    )
    assert (used(tmp_path), posts(service)) == (before, 1)


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
    before = used(tmp_path).runs
    service.control.store.override_script(catalog.TEST_CART, None)
    summary = run(tries, limited(tmp_path, before + 1, **options), try_number=2, max_tries=1)
    assert (summary["verdict"], used(tmp_path).runs) == ("passed", before + 1)


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
    for number in (1, 2):
        assert isinstance(run(tries, task, try_number=number, max_tries=2), RunErrored)
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


class Broken:
    """A storage that fails the next calls of a kind."""

    def __init__(self, folder, kind, times):
        self.storage, self.kind, self.left = FolderStorage(folder), kind, times

    def __getattr__(self, name):
        def call(*arguments):
            if name == self.kind and self.left:
                self.left -= 1
                raise StorageFault("the disk is away")
            return getattr(self.storage, name)(*arguments)

        return call


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


# -- how it is written


@pytest.mark.parametrize("budget", [None, "", "None"])
def test_no_budget_stores_nothing(night, service, tmp_path, budget):
    """A template may render to nothing."""
    run(night(), group(PAIR, memory_path=str(tmp_path), budget=budget))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "budget", [{}, {"runs": True}, {"runs": 1, "per": "year"}, 500, True, "500", {"minutes": "x"}]
)
@pytest.mark.parametrize("make", [group, docket_tests])
def test_an_invalid_budget_fails_the_dag_file(tmp_path, make, budget):
    """Before anything is started."""
    with pytest.raises(ValueError, match="budget"):
        make(7, memory_path=str(tmp_path), budget=budget)


def test_text_from_expand_is_checked_when_the_task_runs(night, service, tmp_path):
    """`expand()` and templates give text."""
    task = group(PAIR, memory_path=str(tmp_path), budget="{{ budget }}")
    task.budget = '{"runs": "1"}'
    assert isinstance(run(night(), task), BudgetExhausted)
    task.budget = "one run"
    error = run(night(), task)
    assert isinstance(error, RequestRefused)
    assert "tojson" in str(error)
    assert started(service) == []


@NEEDS_ASSETS
def test_airflow_keeps_the_ledger(service, tmp_path):
    """The task has the asset as its inlet, and needs no folder."""

    class WithStates(Tries):
        def context(self, task):
            return super().context(task) | {"asset_state_store": {asset_states._asset(): states}}

    states = AssetStates()
    endings = []
    for index in range(2):
        task = single(budget={"runs": 1})
        assert [each.name for each in task.inlets] == ["testerarmy-memory"]
        endings.append(run(WithStates(service, map_index=index), task))
    assert [isinstance(each, BudgetExhausted) for each in endings] == [False, True]
    assert all(key.startswith("budget-") for key in states)
    states.broken = True
    assert isinstance(run(WithStates(service, map_index=2), single(budget={"runs": 5})), BudgetUnavailable)


def test_a_budget_needs_a_place(service, tries, monkeypatch):
    """Airflow before 3.3 has no store, and a budget of `expand()` adds no inlet."""
    task = single()
    task.budget = {"runs": 1}
    error = run(tries, task)
    assert isinstance(error, RequestRefused)
    assert "memory_path" in str(error)
    monkeypatch.setattr(type(airflow_compat.ASSET_STATE_STORE), "available", False)
    with pytest.raises(ValueError, match="Set memory_path"):
        single(budget={"runs": 1})
