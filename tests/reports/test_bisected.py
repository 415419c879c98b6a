"""The bisected failures in the reports: what was found, and which addresses were tried with which outcome."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.reports import html, json_report, markdown
from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate
from airflow_provider_testerarmy.runs.verdict.summary import MAX_BYTES, summarize
from tests.reports.cases import run

RUNS = (run(1, Outcome.FAILED, title="Pay"),)


def entry(number=1, title="Pay"):
    """A bisected failure."""
    tried = [
        {
            "date": f"2023-11-{day}",
            "commit": f"{day}4f2d1c9",
            "address": f"https://n{day}.shop.example/",
            "run_id": f"r{day}",
            "outcome": "passed" if day < 14 else "failed",
            "shows": "passed" if day < 14 else "failed",
        }
        for day in range(11, 16)
    ]
    return {
        "test_id": f"t{number}",
        "title": title,
        "end": "found",
        "text": f"{title}: commit 144f2d1 broke it.",
        "good": tried[2],
        "bad": tried[3],
        "tried": tried,
    }


def summary_with(*entries):
    return summarize(QualityGate().judge(RUNS), RUNS, run_ids=["r1"], bisected=entries)


@pytest.mark.parametrize("report", [html, json_report, markdown], ids=lambda report: report.__name__)
def test_a_report_lists_what_was_tried(report):
    """Each address with its outcome, in the order of the runs."""
    text = report.render(summary_with(entry()), RUNS, name="shop.nightly")
    assert "Pay: commit 144f2d1 broke it." in text
    if report is json_report:
        (found,) = json.loads(text)["summary"]["bisected"]
        assert len(found["tried"]) == 5
        assert found["tried"][0]["address"] == "https://n11.shop.example/"
        return
    places = [text.index(f"n{day}.shop.example") for day in range(11, 16)]
    assert places == sorted(places)
    assert "144f2d1c9" in text


@pytest.mark.parametrize("report", [html, markdown], ids=lambda report: report.__name__)
def test_a_hostile_title_stays_text(report):
    """It comes from the service."""
    text = report.render(summary_with(entry(title="<script>alert(1)</script> @team [x](http://e)")), RUNS)
    assert "<script>alert" not in text
    if report is markdown:
        assert "@team" not in text
        assert "[x](http" not in text


@pytest.mark.parametrize("report", [html, markdown], ids=lambda report: report.__name__)
def test_nothing_is_shown_without_a_search(report):
    """Most nights have none."""
    assert "Bisected" not in report.render(summarize(None, RUNS, run_ids=["r1"]), RUNS)


def test_the_summary_stays_bounded():
    """It is an XCom."""
    entries = [entry(number, "T" * 120) for number in range(40)]
    summary = summary_with(*entries)
    assert len(json.dumps(summary)) <= MAX_BYTES
    assert summary["truncated"]["bisected"] == 40 - len(summary["bisected"])
