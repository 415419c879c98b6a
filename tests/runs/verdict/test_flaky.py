"""The gate's fields for a gate that remembers: what they accept, and that nothing changes without them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from airflow_provider_testerarmy.runs.verdict.flaky import QuarantineRule
from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate, VerdictKind
from tests.runs.verdict.test_gate import runs, with_issue

FOURTEEN = timedelta(days=14)


def test_a_gate_without_them_keeps_its_digest():
    """Records of tasks that are under way compare it, also with that of the version before."""
    assert QualityGate().digest() == "3863594c47bd392a0d7a054d620c91877112f876172db8c122c7b0b2dca10452"
    gate = QualityGate(min_pass_rate=0.9, non_blocking_tests=["a"])
    assert gate.digest() == "55863e1c6c9dd0ed1eb3e34b817ad29097fac1eeb2014a387cb1ce709edbfa9c"
    assert QualityGate(fail_on="new").digest() != QualityGate().digest()


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"fail_on": " NEW "}, {"fail_on": "new"}),
        ({"baseline": "Accept"}, {"baseline": "accept"}),
        ({"on_flaky": "FAIL"}, {"on_flaky": "fail"}),
        ({"known_for": "3d"}, {"known_for": timedelta(days=3)}),
        ({"known_for": " 36 H "}, {"known_for": timedelta(hours=36)}),
        ({"known_for": "2w"}, {"known_for": FOURTEEN}),
        ({"known_for": 86400}, {"known_for": timedelta(days=1)}),
        ({"known_for": "86400"}, {"known_for": timedelta(days=1)}),
        ({"known_for": "P3D"}, {"known_for": timedelta(days=3)}),
        ({"known_for": str(timedelta(days=3, hours=2))}, {"known_for": timedelta(days=3, hours=2)}),
        ({"quarantine": "{}"}, {"quarantine": QuarantineRule()}),
        ({"quarantine": {"for": "14d", "of": "10"}}, {"quarantine": QuarantineRule()}),
        ({"quarantine": {"for": "", "of": None}}, {"quarantine": QuarantineRule()}),
        ({"quarantine": '{"of": 8, "for": "2w"}'}, {"quarantine": {"of": 8, "for": FOURTEEN}}),
        ({"quarantine": "{'of': 8, 'for': '1w'}"}, {"quarantine": {"of": 8, "for": "7d"}}),
    ],
)
def test_rendered_text_is_read(fields, same):
    """As the other fields' is."""
    assert QualityGate.of(fields) == QualityGate.of(same)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"fail_on": "some"}, "fail_on: Input should be 'all' or 'new'"),
        ({"baseline": "none so far"}, "baseline"),
        ({"on_flaky": "skip"}, "on_flaky"),
        ({"known_for": True}, "known_for"),
        ({"known_for": "soon"}, "known_for"),
        ({"known_for": "0d"}, "known_for"),
        ({"known_for": -1}, "known_for"),
        ({"known_for": "999999w"}, "known_for"),
        ({"known_for": float("nan")}, "known_for"),
        ({"quarantine": "often"}, "quarantine"),
        ({"quarantine": True}, "quarantine"),
        ({"quarantine": {"after": 4}}, "quarantine.after"),
        ({"quarantine": {"after_transitions": 1}}, "quarantine.after_transitions"),
        ({"quarantine": {"after_transitions": True}}, "quarantine.after_transitions"),
        ({"quarantine": {"of": 21}}, "quarantine.of"),
        ({"quarantine": {"after_transitions": 10}}, "after_transitions must be below of (10)"),
        ({"quarantine": {"for": "without limit"}}, "quarantine.for"),
    ],
)
def test_what_means_nothing_is_refused(fields, named):
    """With the field's name."""
    with pytest.raises(GateInvalid) as caught:
        QualityGate.of(fields)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"fail_on": "new"},
        {"known_for": "90m", "quarantine": {"for": "3d", "of": 5}},
        {"baseline": "accept"},
    ],
)
def test_the_text_of_a_gate_is_read_as_the_same_gate(fields):
    """Airflow serializes a mapped task's gate as text."""
    gate = QualityGate.of(fields)
    assert QualityGate.of(json.loads(str(gate))) == gate


def test_runs_that_are_set_aside_are_reported_and_not_judged():
    """Each with a note that says why."""
    results = runs("PF")
    verdict = QualityGate().judge(results, {"r1"}, {"r1": "known since 3 nights"})
    assert verdict.kind is VerdictKind.PASSED
    assert "run r1: failed (reported only: known since 3 nights)" in verdict.reasons
    assert "run r1: failed (new)" in QualityGate().judge(results, notes={"r1": "new"}).reasons


def test_a_violation_that_is_set_aside_is_no_pass():
    """With nothing else there, nothing was judged."""
    verdict = QualityGate(max_severity=2).judge([with_issue(4)], {"r"}, {"r": "known"})
    assert verdict.kind is VerdictKind.NOT_JUDGED
    assert "above the allowed severity 2" in verdict.reasons[1]
