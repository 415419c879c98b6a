from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(10, 10.0), (0.5, 0.5), ("90", 90.0), (" 1e2 ", 100.0), (timedelta(minutes=2), 120.0)],
)
def test_a_duration(given, seconds):
    """A number, a timedelta, or the text that a template makes of a number."""
    assert parameters.seconds(given, "timeout") == seconds


@pytest.mark.parametrize(
    "given", [0, -1, "", "None", "ten", "0:02:00", "nan", "inf", None, timedelta(0), timedelta(-1), [10]]
)
def test_what_is_no_duration(given):
    """The message names the parameter and what it was given."""
    with pytest.raises(RequestInvalid, match=r"timeout must be a positive number of seconds") as caught:
        parameters.seconds(given, "timeout")
    assert repr(given) in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        QualityGate(min_pass_rate=0.9, max_severity=3),
        {"min_pass_rate": 0.9, "max_severity": 3},
        {"min_pass_rate": "0.9", "max_severity": "3"},
        '{"min_pass_rate": 0.9, "max_severity": 3}',
    ],
)
def test_a_gate(given):
    """As an object, as a dict, as a dict whose values were rendered, or as JSON."""
    assert parameters.gate(given) == QualityGate(min_pass_rate=0.9, max_severity=3)


@pytest.mark.parametrize("given", [None, "", "  ", {}, "{}"])
def test_no_gate_is_the_strict_one(given):
    """Every run has to pass."""
    assert parameters.gate(given) == QualityGate()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"min_pas_rate": 1}, "min_pas_rate"),
        ({"min_pass_rate": 1.5}, "min_pass_rate"),
        ({"max_severity": 6}, "max_severity"),
        ({"on_skipped": "maybe"}, "on_skipped"),
        ("{'min_pass_rate': 1}", "not the JSON"),
        ("strict", "not the JSON"),
        ("[1]", "not list"),
        (3, "not int"),
    ],
)
def test_what_is_no_gate(given, words):
    """The message names the field."""
    with pytest.raises(GateInvalid, match=words):
        parameters.gate(given)


@pytest.mark.parametrize("given", [None, "results.json", "/tmp/results.json", "s3://bucket/a/b.json"])
def test_a_report_path(given):
    """It is used as it is."""
    assert parameters.report_path(given) == given


@pytest.mark.parametrize(("given", "words"), [("", "empty"), (" ", "empty"), ("out.pdf", "must end in")])
def test_what_is_no_report_path(given, words):
    """A template that rendered to nothing is a mistake, not a wish for no report."""
    with pytest.raises(RequestInvalid, match=words):
        parameters.report_path(given)


@pytest.mark.parametrize(
    "value",
    [
        "{{ params.x }}",
        "{% if a %}b{% endif %}",
        {"min_pass_rate": "{{ params.x }}"},
        ["a", ["{{ params.x }}"]],
        {"a": [{"b": "{{ c }}"}]},
        SimpleNamespace(resolve=None),
    ],
)
def test_a_template(value):
    """Also deep inside, and whatever else is only known when the task runs."""
    assert parameters.is_template(value)


@pytest.mark.parametrize("value", ["text", "{ }", 5, None, {"a": 1}, ["a"], timedelta(1), QualityGate()])
def test_what_is_known_now(value):
    """It can be checked when the DAG file is parsed."""
    assert not parameters.is_template(value)
