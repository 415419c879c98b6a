from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(10, 10.0), (0.5, 0.5), ("90", 90.0), (" 1e2 ", 100.0), (timedelta(minutes=2), 120.0)],
)
def test_a_duration(given, seconds):
    """A number, a timedelta, or a number as rendered text."""
    assert parameters.seconds(given, "timeout") == seconds


@pytest.mark.parametrize(
    "given",
    [0, -1, "", "None", "ten", "0:02:00", "nan", "inf", None, timedelta(0), timedelta(-1), [10], True],
)
def test_what_is_no_duration(given):
    """The message contains the parameter's name and value."""
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
        "{'min_pass_rate': 0.9, 'max_severity': 3, 'report_only': False}",
        str(QualityGate(min_pass_rate=0.9, max_severity=3)),
    ],
)
def test_a_gate(given):
    """An object, a dict, a dict with rendered values, or JSON."""
    assert parameters.gate(given) == QualityGate(min_pass_rate=0.9, max_severity=3)


@pytest.mark.parametrize("given", [None, "", "  ", {}, "{}", "None", " null "])
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
        ("{'min_pass_rate': }", "\\| tojson"),
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


@pytest.mark.parametrize("given", ["", " ", "None", "null", None])
def test_no_report_path(given):
    """A template that renders to nothing counts as no path."""
    assert parameters.report_path(given) is None


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (Path("r.xml"), "r.xml"),
        (ObjectStoragePath("s3://bucket/r.xml"), "s3://bucket/r.xml"),
        ("~/r.xml", str(Path.home() / "r.xml")),
        (Path("~/r.xml"), str(Path.home() / "r.xml")),
        ([Path("a.xml"), "b.md"], ["a.xml", "b.md"]),
        ({"b.md", "a.xml"}, ["a.xml", "b.md"]),
        ("['a.xml', 'b.md']", ["a.xml", "b.md"]),
        (iter(["a.xml"]), ["a.xml"]),
        (" a.XML ", " a.XML "),
    ],
)
def test_report_paths_of_every_kind(given, paths):
    """Text, paths, object-store paths, the home directory, and collections of them."""
    assert parameters.report_path(given) == paths


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "empty"),
        (["a.xml", " "], "empty"),
        ("out.pdf", "must end in"),
        (7, "must be a path"),
        ([7], "must be"),
        ({"a.xml": 1}, "must be a path"),
    ],
)
def test_what_is_no_report_path(given, words):
    """The message says what is wrong."""
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
        {"{{ params.x }}"},
    ],
)
def test_a_template(value):
    """Also a nested template, and any other value that is known only at run time."""
    assert parameters.is_template(value)


@pytest.mark.parametrize(
    "value", ["text", "{ }", 5, None, {"a": 1}, ["a"], timedelta(1), QualityGate(), Path("a"), {"a"}]
)
def test_what_is_known_now(value):
    """It can be checked when the DAG file is parsed."""
    assert not parameters.is_template(value)


@pytest.mark.parametrize(
    ("given", "value"), [("False", False), (" true ", True), (0, False), (1, True), ("no", False)]
)
def test_a_switch(given, value):
    """As text too: `bool("False")` is True."""
    assert parameters.flag(given, "durable") is value


@pytest.mark.parametrize("given", ["", "None", None, "{{ params.x }}", 2, [True]])
def test_what_is_no_switch(given):
    """The message contains the parameter's name."""
    with pytest.raises(ValueError, match="durable must be True or False"):
        parameters.flag(given, "durable")


SUMMARY = {"verdict": "passed", "run_ids": ["a", "b"], "counts": {"total": 2}, "truncated": {}}


@pytest.mark.parametrize(
    "given",
    [
        ["a", "b"],
        [["a"], ["b"]],
        (["a"], "b", "a"),
        SUMMARY,
        [SUMMARY],
        str(SUMMARY),
        json.dumps(SUMMARY),
        [{"run_ids": ["a"]}, {"run_ids": "b"}],
        ["a,b"],
        {"a": 1, "run_ids": "['a', 'b']"},
        (each for each in (["a"], iter(["b"]))),
    ],
)
def test_ids_of_every_kind(given):
    """Nested, lazy, as text, and from summaries, without duplicates."""
    assert parameters.ids(given, "run_ids") == ["a", "b"]


def test_ids_of_a_summary_that_leaves_some_out():
    """A verdict on the rest would count untested runs as passed."""
    summary = {**SUMMARY, "truncated": {"run_ids": 50}}
    with pytest.raises(RequestInvalid, match=r'leaves out 50 of its ids: use task.output\["run_ids"\]'):
        parameters.ids(summary, "run_ids")


def test_a_dict_that_is_no_summary():
    """The message says what to pass instead."""
    with pytest.raises(RequestInvalid, match=r'task.output\["run_ids"\]'):
        parameters.ids({"verdict": "passed"}, "run_ids")


@pytest.mark.parametrize("given", [{"b", "a"}, frozenset("ab"), ("a", "b")])
def test_a_stable_value(given):
    """The order of a set differs from process to process."""
    assert parameters.stable({"ids": [given]}) == {"ids": [["a", "b"]]}
