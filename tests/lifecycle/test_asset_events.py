"""What the asset events of a task say, and which partitions a pass adds."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset

from airflow_provider_testerarmy.lifecycle.asset_events import MAX_BYTES, announce, make_extra, usable_key
from airflow_provider_testerarmy.operators.docket import DocketRunTestsOperator
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow_provider_testerarmy.runs.service import RunRequest

SUMMARY = {
    "verdict": "passed",
    "counts": {"total": 1},
    "run_ids": ["r1"],
    "batch_id": None,
    "url": "https://x/1",
}
TEST = "10000000-0000-4000-8000-000000000001"


def events_of(summary, key):
    asset = Asset("web")
    accessor = SimpleNamespace(extra={"mine": 1}, keys=[])
    accessor.add_partitions = accessor.keys.append
    task = SimpleNamespace(outlets=[asset, object()], report_path=None)
    announce(task, {"outlet_events": {asset: accessor}}, summary, RunRequest("group", "g", commit="abc"), key)
    return accessor


def test_a_pass_adds_its_partition_and_verdict():
    """What the user has put into the event stays."""
    found = events_of(SUMMARY, "abc")
    assert found.keys == ["abc"]
    assert found.extra["mine"] == 1
    assert (found.extra["verdict"], found.extra["commit"], found.extra["run_ids"]) == (
        "passed",
        "abc",
        ["r1"],
    )


@pytest.mark.parametrize("verdict", [None, "skipped", "not_judged", "failed"])
def test_only_a_pass_adds_a_partition(verdict):
    """An untested commit has not passed."""
    assert events_of({**SUMMARY, "verdict": verdict}, "abc").keys == []


def test_an_event_is_bounded():
    """Airflow stores it in its database, whatever the number of runs."""
    summary = {**SUMMARY, "run_ids": ["r" * 200] * 1000, "truncated": {"run_ids": 5}}
    extra = make_extra(
        summary, RunRequest("group", "g", commit="c" * 10_000, address="h" * 9_000), ["p" * 900] * 50
    )
    assert len(json.dumps(extra)) <= MAX_BYTES
    assert extra["truncated"] + len(extra["run_ids"]) == 1005


@pytest.mark.parametrize("wrong", ["", " ", "None", None, "a" * 251, "a\nb", "a\u202eb"])
def test_an_unusable_key_is_refused(wrong):
    """A template that renders to nothing must not promote anything."""
    with pytest.raises(ValueError, match="partition_key"):
        usable_key(wrong)


@pytest.mark.parametrize("make", ["testerarmy", "docket"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outlets": []}, "needs outlets"),
        ({"wait_for_completion": False}, "wait_for_completion"),
        ({"partition_key": "a" * 300}, "1 to 250"),
    ],
)
def test_a_mistake_is_refused_when_the_dag_is_parsed(make, changes, message):
    """For both vendors."""
    fields = {"task_id": "t", "outlets": [Asset("web")], "partition_key": "{{ params.commit }}", **changes}
    made, target = {
        "docket": (DocketRunTestsOperator, {"test_blueprint_ids": [1]}),
        "testerarmy": (TesterArmyRunTestOperator, {"test_id": TEST}),
    }[make]
    with pytest.raises(ValueError, match=message):
        made(**target, **fields)
