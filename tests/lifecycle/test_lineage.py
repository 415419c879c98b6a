"""Without the OpenLineage provider there is no lineage, and no cost. tests/lineage/ has the facets."""

from __future__ import annotations

import sys

import pytest

from airflow_provider_testerarmy.exceptions import TestsFailed
from airflow_provider_testerarmy.lifecycle.lineage import WithLineage
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.docket import DocketRunSensor
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor


@pytest.mark.parametrize(
    "task",
    [
        TesterArmyRunGroupOperator(task_id="a", group_id=catalog.GROUP_ALL),
        DocketRunTestsOperator(task_id="b", test_blueprint_ids=[1]),
        TesterArmyRunSensor(task_id="c", run_ids=["a"]),
        DocketRunSensor(task_id="d", run_ids=[1]),
    ],
    ids=lambda task: task.task_type,
)
def test_without_the_provider_there_is_none(task, monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage", None)
    monkeypatch.delitem(sys.modules, "airflow_provider_testerarmy.lifecycle.lineage_facets", raising=False)
    assert task.get_openlineage_facets_on_start() is None
    assert task.get_openlineage_facets_on_complete(None) is None
    assert task.get_openlineage_facets_on_failure(None) is None


def test_a_judged_try_keeps_what_lineage_needs(tries):
    """Its gate, the verdict, the results and the summary."""
    task = TesterArmyRunGroupOperator(task_id="tests", group_id=catalog.GROUP_FAILING)
    assert isinstance(tries.execute(task), TestsFailed)
    summary = tries.summary
    assert isinstance(task, WithLineage)
    assert task._judgement.summary == summary
    assert str(task._judgement.verdict.kind) == summary["verdict"]
    assert [run.run_id for run in task._judgement.results] == summary["run_ids"]
