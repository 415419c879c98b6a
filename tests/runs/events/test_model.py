"""Which runs a watcher reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_testerarmy.runs.events.model import EventFilter, ListedEnd
from airflow_provider_testerarmy.runs.results import Outcome, Phase, RunResult

RUN = ListedEnd(
    RunResult("r1", "completed", Phase.FINISHED, Outcome.FAILED, test_id="T1", project_id="P1"),
    source="Scheduled",
    group_id="G1",
    environments=("Staging", "e1"),
)
MATCHES = {
    "project_id": "p1",
    "group_id": "g1",
    "test_id": "t1",
    "source": "scheduled",
    "environment": "e1",
    "verdict": "failed",
}


@pytest.mark.parametrize("field", MATCHES)
def test_each_filter_selects_by_its_own_field(field):
    """Alternatives are allowed, and all filters have to match."""
    others = {name: (value,) for name, value in MATCHES.items()}
    assert EventFilter(**{field: (MATCHES[field],)}).accepts(RUN)
    assert EventFilter(**{**others, field: ("other", MATCHES[field])}).accepts(RUN)
    assert not EventFilter(**{field: ("other",)}).accepts(RUN)
    assert not EventFilter(**{**others, field: ("other",)}).accepts(RUN)


def test_an_active_run_matches_in_what_is_known_before_its_end():
    """It is kept by its id, whatever its verdict will be."""
    result = replace(RUN.result, phase=Phase.RUNNING, outcome=None, status="running")
    active = replace(RUN, result=result)
    wanted = EventFilter(verdict=("failed",), project_id=("p1",))
    assert wanted.concerns(active)
    assert not wanted.accepts(active)
    assert not EventFilter(project_id=("other",)).concerns(active)


def test_a_run_without_the_field_does_not_match_a_filter():
    """A prompt run has no test and no group."""
    prompt = replace(RUN, group_id="", environments=(), result=replace(RUN.result, test_id=""))
    for field in ("group_id", "test_id", "environment"):
        assert not EventFilter(**{field: (MATCHES[field],)}).accepts(prompt)
    assert EventFilter().accepts(prompt)
