"""A budget: beyond it nothing is started, in either mode, and for either vendor."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import asset_states
from airflow_provider_testerarmy.exceptions import (
    BudgetExhausted,
    BudgetUnavailable,
    RequestRefused,
    ServiceUnavailable,
    TestRunError,
    TestsFailed,
    TestsSkipped,
)
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunPromptOperator
from airflow_provider_testerarmy.sandbox.docket.catalog import (
    BLUEPRINT_FAILS,
    BLUEPRINT_PASSES,
    CATEGORY_CHECKOUT,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.lifecycle import tries as tries_module
from tests.lifecycle.budgeted import PAIR, docket_tests, limited, run, used
from tests.lifecycle.test_memory import NEEDS_ASSETS, AssetStates
from tests.lifecycle.tries import Tries, cancelled, group, posts, single, started

pytestmark = pytest.mark.usefixtures("connections", "docket_connection", "no_pauses")


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


def test_a_ci_run_of_docket_has_the_same_budget(night, service, tmp_path):
    """It starts the same tests."""
    commit = {"repository": "acme/shop", "commit_sha": "4f2d1c9aa"}
    shared = {"memory_path": str(tmp_path), "budget": {"runs": 1}, "github_context": commit}
    error = run(night(), docket_tests(BLUEPRINT_PASSES, BLUEPRINT_FAILS, **shared))
    assert isinstance(error, BudgetExhausted)
    assert run(night(), docket_tests(BLUEPRINT_PASSES, **shared))["verdict"] == "passed"
    assert used(tmp_path).runs == 1


def test_a_group_without_tests_uses_nothing(night, service, tmp_path):
    """There was nothing to run."""
    assert isinstance(run(night(), limited(tmp_path, target=catalog.GROUP_EMPTY)), TestRunError)
    assert used(tmp_path).runs == 0


def test_tests_that_cannot_be_counted_now_are_not_started(night, service, tmp_path):
    """The service is down. Airflow retries the task."""
    service.control.faults.add("status", "list_tests", status=503, times=-1)
    error = run(night(), limited(tmp_path))
    assert type(error) is ServiceUnavailable
    assert (posts(service), used(tmp_path).runs) == (0, 0)


def test_tests_that_the_service_does_not_list_are_counted_afterwards(night, service, tmp_path):
    """One run is reserved, and the answer corrects it."""
    service.control.faults.add("status", "list_tests", status=404, times=-1)
    run(night(), limited(tmp_path, 1))
    assert (posts(service), used(tmp_path).runs) == (1, 2)


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


def test_a_dag_gives_its_budget_to_all_of_its_tasks(tmp_path):
    """By its default arguments; a sensor ignores it."""
    shared = {"budget": {"runs": 1}, "memory_path": str(tmp_path)}
    with DAG("dag", default_args=shared, schedule=None):
        tasks = (
            single(),
            docket_tests(BLUEPRINT_PASSES, task_id="docket"),
            TesterArmyRunSensor(task_id="wait", run_ids="a"),
        )
    assert [task.budget for task in tasks] == [{"runs": 1}, {"runs": 1}, None]


@NEEDS_ASSETS
def test_a_mapped_task_has_the_inlet_as_well():
    """With a budget in `partial()`."""
    mapped = DocketRunTestsOperator.partial(task_id="a", budget={"runs": 1})
    mapped = mapped.expand(test_blueprint_ids=[[1], [2]])
    assert [each.name for each in mapped.partial_kwargs["inlets"]] == ["testerarmy-memory"]


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
