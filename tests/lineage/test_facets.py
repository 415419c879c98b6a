"""The facets of a task, without Airflow's processes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import attrs
import pytest

from airflow_provider_testerarmy.lifecycle.lineage_facets import MAX_TESTS
from airflow_provider_testerarmy.lifecycle.verdict import Judgement
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRunGroupOperator,
    TesterArmyRunPromptOperator,
)
from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from airflow_provider_testerarmy.runs.verdict.summary import summarize
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lineage.schema import TEST, own


def run(number, outcome=Outcome.PASSED, **fields):
    return RunResult(
        f"run-{number}", "completed", Phase.FINISHED, outcome, test_id=f"test-{number}", **fields
    )


def ended(*results, gate=None, known=None, **fields):
    """The facets of a group whose runs have ended."""
    task = TesterArmyRunGroupOperator(task_id="t", group_id=catalog.GROUP_ALL, **fields)
    gate = gate or QualityGate()
    verdict = gate.judge(results)
    summary = summarize(verdict, results, run_ids=[each.run_id for each in results], known=known)
    task._judgement = Judgement(gate, verdict, results, summary)
    return facets(task)


def facets(task):
    lineage = task.get_openlineage_facets_on_complete(None)
    found = without_nulls({name: attrs.asdict(facet) for name, facet in lineage.run_facets.items()})
    if "test" in found:
        TEST.validate(found["test"])
    own("TestVerdictRunFacet").validate(found["testerarmy_verdict"])
    return found


def without_nulls(value):
    """As the client removes them before it sends an event."""
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.PASSED, "pass"),
        (Outcome.FAILED, "fail"),
        (Outcome.ERRORED, "skip"),
        (Outcome.CANCELLED, "skip"),
        (Outcome.SKIPPED, "skip"),
        (Outcome.UNKNOWN, "skip"),
    ],
)
def test_only_a_pass_is_a_pass(outcome, status):
    (test,) = ended(run(1, outcome))["test"]["tests"]
    assert (test["status"], test["params"]["outcome"]) == (status, str(outcome))


def test_an_event_is_bounded():
    """Those that need attention come first."""
    long, issue = "x" * 100_000, Issue("y" * 100_000, expected="e" * 100_000, actual="a" * 100_000)
    results = [run(n, title=long, reason=long, url=long) for n in range(999)]
    found = ended(*results, run(999, Outcome.FAILED, title=long, reason=long, issues=(issue,)))
    assert len(found["test"]["tests"]) == MAX_TESTS
    assert found["test"]["tests"][0]["status"] == "fail"
    assert found["testerarmy_verdict"]["testsOmitted"] == 1000 - MAX_TESTS
    assert len(json.dumps(found)) < 256 * 1024


def test_hostile_text_is_one_line():
    found = ended(run(1, Outcome.FAILED, title="a\nb\x1b[2J\u202ec", issues=(Issue("i\r\n", actual="\x00"),)))
    assert found["test"]["tests"][0]["name"] == "a b[2Jc"
    assert all(text.isprintable() for text in found["testerarmy_verdict"]["reasons"])


def test_a_failure_that_is_not_judged_is_a_warning():
    def severity(**fields):
        return ended(run(1, Outcome.FAILED), **fields)["test"]["tests"][0]["severity"]

    assert severity() == "error"
    assert severity(gate=QualityGate(non_blocking_tests={"TEST-1"})) == "warn"
    assert severity(gate=QualityGate(report_only=True)) == "warn"
    assert severity(known=[{"test_id": "test-1"}]) == "warn"


def test_a_task_that_ended_before_its_verdict_names_its_runs():
    task = TesterArmyRunGroupOperator(task_id="t", group_id=catalog.GROUP_ALL)
    task._lifecycle = SimpleNamespace(run_ids=("r1", "r2"), submission=SimpleNamespace(batch_id="b"))
    found = facets(task)
    assert found["testerarmy_verdict"]["runIds"] == ["r1", "r2"]
    assert found["externalQuery"]["externalQueryId"] == "b"
    assert "test" not in found
    assert "verdict" not in found["testerarmy_verdict"]


def test_the_text_of_a_prompt_stays_out():
    task = TesterArmyRunPromptOperator(task_id="t", prompt="log in with hunter2")
    lineage = task.get_openlineage_facets_on_start()
    assert lineage.job_facets["testerarmy_target"].kind == "prompt"
    assert "hunter2" not in str(lineage)


def test_fields_that_are_invalid_fail_nothing():
    task = TesterArmyRunGroupOperator(task_id="t", group_id="{{ x }}")
    task.group_id = "no id"
    assert task.get_openlineage_facets_on_start().job_facets == {}
    task.inlets = [SimpleNamespace(uri="http://[bad"), None]
    assert task.get_openlineage_facets_on_start().inputs == []


def test_whatever_fails_is_logged_alone(caplog):
    task = TesterArmyRunGroupOperator(task_id="t", group_id=catalog.GROUP_ALL)
    task._lifecycle = object()
    assert task.get_openlineage_facets_on_failure(None) is None
    assert "could not be built" in caplog.text
