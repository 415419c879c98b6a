"""A DAG run with a task group, without Airflow: the tries of each task, and the XComs that they share."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG, TaskDeferred

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.task_groups.testerarmy import TesterArmyGroupTaskGroup
from tests.lifecycle.tries import TaskInstance, Tries

TITLES = {
    catalog.TEST_PASSES: "Home page",
    catalog.TEST_PASSES_WITH_WARNING: "Newsletter",
    catalog.TEST_FAILS: "Checkout",
    catalog.TEST_PASSES_WITH_SEVERE_ISSUE: "Voucher",
    catalog.TEST_CART: "Cart",
}
#: The tests of `catalog.GROUP_FAILING`.
TESTS = [{"id": test_id, "title": title} for test_id, title in TITLES.items()]


def task_group(tests=TESTS, operator_args=None, **parameters):
    """The task group of a new DAG, over a group with one test that fails."""
    given = {"testerarmy_group_id": catalog.GROUP_FAILING, **parameters}
    with DAG("dag", schedule=None):
        return TesterArmyGroupTaskGroup(
            "regression", tests=tests, operator_args={"poll_interval": 0.05, **(operator_args or {})}, **given
        )


class SharedTaskInstance(TaskInstance):
    """A task instance that reads the XComs of other tasks."""

    def __init__(self, run, task_id, *arguments):
        super().__init__(*arguments)
        self._all = run.xcoms
        self.task_id = task_id
        self.xcoms = run.xcoms[task_id, self.map_index] = {}

    def xcom_pull(self, task_ids, key, map_indexes):
        return self._all.get((task_ids, map_indexes), {}).get(key)


class TaskTries(Tries):
    """The tries of one task of the group."""

    def __init__(self, service, run, task_id, map_index=-1):
        super().__init__(service, map_index=map_index)
        self._run, self.task_id = run, task_id
        self.clear_number = 0

    def task_instance(self, try_number, max_tries):
        return SharedTaskInstance(
            self._run, self.task_id, self._pass_time, try_number, max_tries, self.map_index
        )


class GroupRun:
    """One DAG run.

    :param group: the task group; another one is the same DAG after an edit.
    """

    def __init__(self, service, group=None):
        self.service = service
        self.group = group or task_group()
        self.xcoms = {}
        self.clear_number = 0
        self._tries = {}
        self._cleared = {}

    def tries(self, name):
        """The tries of a task."""
        task_id = f"regression.{name}"
        if task_id not in self._tries:
            self._tries[task_id] = TaskTries(self.service, self, task_id)
        return self._tries[task_id]

    def task(self, name):
        return self.group.children[f"regression.{name}"]

    def begin(self, name, try_number=None, retries=0):
        """Start a try of a task, and return how it ended or that it waits; the next one without a number."""
        tries, task = self.tries(name), self.task(name)
        tries.clear_number = self.clear_number
        number = try_number or (1 if tries.ti is None else tries.ti.try_number + 1)
        most = self._cleared.get(name, retries)
        return tries.execute(task, try_number=number, max_tries=most)

    def run(self, name, **numbers):
        """Run a task to its end."""
        ending = self.begin(name, **numbers)
        return (
            self.tries(name).through_trigger(self.task(name)) if isinstance(ending, TaskDeferred) else ending
        )

    def clear(self, *names):
        """Clear tasks, as Airflow does."""
        if self.clear_number is not None:
            self.clear_number += 1
        for name in names:
            ti = self.tries(name).ti
            self._cleared[name] = ti.try_number if ti else 0

    def run_ids(self, name):
        """The runs that a task has named."""
        return self.xcoms[f"regression.{name}", -1]["run_ids"]

    def summary(self, name):
        """The summary that a failed task has pushed."""
        return self.xcoms[f"regression.{name}", -1]["return_value"]
