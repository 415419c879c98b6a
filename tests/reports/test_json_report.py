from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from airflow_provider_testerarmy.reports import json_report
from airflow_provider_testerarmy.runs.results import Issue, RunResult, Step
from tests.reports.cases import LONG, NAME, NIGHT, SCRIPT_URLS, hostile_run, summary_of

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()


def test_the_document():
    """The document has the summary as the task returned it, and each run with all of its fields."""
    summary = summary_of(NIGHT)
    document = json.loads(json_report.render(summary, NIGHT, name=NAME))
    assert (document["schema_version"], document["name"], document["summary"]) == (1, NAME, summary)
    assert document["commit"] == ""
    assert [run["title"] for run in document["runs"]] == [run.title for run in NIGHT]
    checkout = document["runs"][1]
    assert checkout["started_at"] == "2026-02-11T12:00:01+00:00"
    assert checkout["issues"][1]["reproduction_steps"] == ["Open the cart", "Read the total"]
    assert checkout["steps"][1]["error_code"] == "ASSERTION"


def test_nothing_is_left_out():
    """Long and hostile texts are kept completely; lone surrogates are escaped."""
    run = hostile_run(1, LONG, urls=SCRIPT_URLS[:1])
    text = json_report.render(summary_of([run]), [run])
    assert text.isascii()
    assert json.loads(text)["runs"][0]["reason"] == LONG


def test_the_commit_is_whole():
    """A program compares it, so it is neither shortened nor cleaned; a reader of the runs does not need it."""
    commit = f"{LONG}\n<b>4f2d1c9"
    text = json_report.render(summary_of(NIGHT), NIGHT, commit=commit)
    assert json.loads(text)["commit"] == commit
    assert json_report.read(text.encode()) == json_report.read(json_report.render({}, NIGHT).encode())


def test_every_field_of_the_document_is_documented():
    document = json.loads(json_report.render(summary_of(NIGHT), NIGHT))
    part = re.search(r"^## JSON$.*?(?=^###)", DOCUMENTED, re.MULTILINE | re.DOTALL)
    assert set(document) <= set(re.findall(r"^\| `(\w+)`", part[0], re.MULTILINE))


@pytest.mark.parametrize("model", [RunResult, Issue, Step])
def test_every_field_is_documented(model):
    """The documentation names every field in the table of its object."""
    part = re.search(rf"^### .*`{model.__name__.lower()}`.*?(?=^##|\Z)", DOCUMENTED, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`(\w+)`", part[0]))
    assert {field.name for field in fields(model)} <= named


def test_the_documented_version_is_the_one():
    """Incrementing the version requires a change in the documentation."""
    assert f"`schema_version` {json_report.SCHEMA_VERSION}" in DOCUMENTED
