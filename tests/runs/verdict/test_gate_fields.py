"""The fields of a gate: what they accept, and what they mean."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from airflow_provider_testerarmy.runs.verdict.gate import (
    GateInvalid,
    QualityGate,
)
from tests.runs.verdict.test_gate import runs, with_issue

# -- the gate itself


@pytest.mark.parametrize(
    ("gate", "named"),
    [
        ({"min_pass_rat": 0.9}, "min_pass_rat: Extra inputs"),
        ({"min_pass_rate": 1.5}, "min_pass_rate: Input should be less than or equal to 1"),
        ({"min_pass_rate": -0.1}, "min_pass_rate: Input should be greater"),
        ({"min_pass_rate": "most"}, "min_pass_rate: Input should be a valid number"),
        ({"min_pass_rate": True}, "min_pass_rate"),
        ({"max_severity": True}, "max_severity"),
        ({"max_severity": 6}, "max_severity"),
        ({"max_severity": "grave"}, "max_severity"),
        ({"on_cancelled": "pass"}, "on_cancelled: Input should be 'fail' or 'ignore'"),
        ({"on_skipped": "ignore"}, "on_skipped"),
        ({"fail_on_warnings": "perhaps"}, "fail_on_warnings"),
        ({"non_blocking_tests": True}, "non_blocking_tests"),
        ({"non_blocking_tests": 7.5}, "non_blocking_tests"),
        ({"non_blocking_tests": {"a": 1}}, "non_blocking_tests"),
        ({"non_blocking_tests": [{"a": 1}]}, "non_blocking_tests"),
        ({"a": 1, "b": 2}, "a: Extra inputs are not permitted; b: Extra"),
        ("min_pass_rate=1", "must be a QualityGate or a dict of its fields, not str"),
        ([], "not list"),
    ],
)
def test_a_wrong_gate_is_refused(gate, named):
    """With every wrong field, and for a dict with the fields that there are."""
    with pytest.raises(GateInvalid) as caught:
        QualityGate.of(gate)
    assert named in str(caught.value)
    assert not isinstance(gate, dict) or "Its fields are min_pass_rate, max_severity" in str(caught.value)


def test_not_a_number_is_no_rate():
    """It compares to nothing, so it would let nothing pass, or everything."""
    for rate in ("nan", float("nan"), "inf"):
        with pytest.raises(GateInvalid, match="min_pass_rate"):
            QualityGate.of({"min_pass_rate": rate})


def test_templated_text_is_read():
    """Airflow's templates render to text."""
    gate = QualityGate.of(
        {
            "min_pass_rate": "0.9",
            "max_severity": "3",
            "fail_on_warnings": "true",
            "allow_empty": "False",
            "report_only": "1",
            "non_blocking_tests": "['a', \"b\", c ,]",
        }
    )
    assert gate == QualityGate(
        min_pass_rate=0.9,
        max_severity=3,
        fail_on_warnings=True,
        report_only=True,
        non_blocking_tests=frozenset("abc"),
    )


@pytest.mark.parametrize("rendered", ["", "None", " none ", "null", None])
@pytest.mark.parametrize("field", QualityGate.model_fields)
def test_every_field_may_render_to_nothing(field, rendered):
    """Which keeps its default, the strict one."""
    assert QualityGate.of({field: rendered}) == QualityGate()


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ({"min_pass_rate": " 0.9 "}, {"min_pass_rate": 0.9}),
        ({"max_severity": "3.0"}, {"max_severity": 3}),
        ({"fail_on_warnings": " True "}, {"fail_on_warnings": True}),
        ({"on_cancelled": "Ignore "}, {"on_cancelled": "ignore"}),
        ({"on_skipped": " PASS"}, {"on_skipped": "pass"}),
    ],
)
def test_rendered_text_of_every_kind(fields, same):
    """Blanks and case do not matter."""
    assert QualityGate.of(fields) == QualityGate.of(same)


def test_no_gate_is_the_strict_one():
    """Every run must pass."""
    gate = QualityGate(min_pass_rate=0.5)
    assert QualityGate.of(None) == QualityGate.of({}) == QualityGate()
    assert QualityGate.of(gate) is gate


@pytest.mark.parametrize(
    "ids",
    [
        ["a", 7],
        {"a", 7},
        ("A ", 7),
        "a, 7",
        '["a", 7]',
        "{'a', 7}",
        "frozenset({'a', '7'})",
        [["a"], [7]],
        ["a,7"],
        iter(["a", 7]),
        ["a", "", None, 7],
    ],
)
def test_ids_of_non_blocking_tests_may_be_any_collection(ids):
    """A list, a set, a tuple, numbers or text."""
    assert QualityGate.of({"non_blocking_tests": ids}).non_blocking_tests == {"a", "7"}


def test_ids_match_in_any_case():
    """A UUID is the same in capitals."""
    upper = uuid.UUID("20000000-0000-4000-8000-00000000abcd")
    for ids in (str(upper).upper(), [upper], str([upper])):
        gate = QualityGate.of({"non_blocking_tests": ids})
        assert not gate.is_blocking(replace(runs("F")[0], test_id=str(upper)))


def test_ids_that_match_no_run_are_warned_of():
    """A typo makes a test blocking, and nothing else would show it."""
    reasons = QualityGate(non_blocking_tests=["T0", "mistyped"]).judge(runs("P")).reasons
    assert "ids that match no run: mistyped. Check them." in reasons[-1]
    many = QualityGate(non_blocking_tests=[f"x{n}" for n in range(9)]).judge(runs("P")).reasons
    assert "x4, and 4 more" in many[-1]


@pytest.mark.parametrize(
    ("outcome", "gate", "blocks"),
    [
        ("P", {}, False),
        ("F", {}, True),
        ("E", {}, True),
        ("U", {}, True),
        ("-", {}, True),
        ("C", {}, True),
        ("C", {"on_cancelled": "ignore"}, False),
        ("S", {}, False),
        ("S", {"on_skipped": "pass"}, False),
        ("S", {"on_skipped": "fail"}, True),
        ("F", {"non_blocking_tests": ["T0"]}, False),
        ("F", {"report_only": True}, True),
    ],
)
def test_whether_one_run_blocks(outcome, gate, blocks):
    """As far as one run can."""
    assert QualityGate.of(gate).blocks(runs(outcome)[0]) is blocks


def test_a_pass_with_a_violation_blocks():
    """It does not count as a pass."""
    assert QualityGate(max_severity=4).blocks(with_issue(5))
    assert not QualityGate(max_severity=4).blocks(with_issue(4))
    assert QualityGate(fail_on_warnings=True).blocks(with_issue(1, confirmed=False))


def test_a_digest_is_that_of_the_fields():
    """Whatever the order, the spelling or the form in which they were given."""
    one = QualityGate.of({"min_pass_rate": "1", "non_blocking_tests": "b, A"})
    assert one.digest() == QualityGate(non_blocking_tests={"a", "b"}).digest()
    assert one.digest() != QualityGate(non_blocking_tests={"a"}).digest()
    assert len(one.digest()) == 64
