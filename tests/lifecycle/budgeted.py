"""Tasks with a budget, the ledger that they share, and a storage that fails."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.lifecycle.memory import FolderStorage
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.runs.budget import ledger
from airflow_provider_testerarmy.runs.budget.rule import period_of
from airflow_provider_testerarmy.runs.memory.cells import apply
from airflow_provider_testerarmy.runs.memory.port import StorageFault
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import group

#: Groups of two and of three tests.
PAIR, TRIO = catalog.GROUP_FLAKY, catalog.GROUP_SEQUENTIAL


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
            answer = apply(storage, steps.send(answer))
    except StopIteration as end:
        return end.value


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
