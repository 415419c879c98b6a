"""Whose HTML report the tab opens: only one about this task's own runs."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_testerarmy.lifecycle.reporting import render
from airflow_provider_testerarmy.ui.pages import Pages
from tests.reports.cases import NIGHT, summary_of
from tests.runs.scripted import finished
from tests.ui.test_pages import overview, recorded, reported


def opened(task, index=1):
    return asyncio.run(Pages().report(task, index))


def html_report(task, results, *, old=False):
    """Write an HTML report about these runs to the task's report path."""
    path = Path(task.rendered["report_path"][1])
    page = render(str(path), summary_of(results), results)
    path.write_text(re.sub("<meta name=.test-run-ids[^>]*>", "", page) if old else page)


@pytest.mark.parametrize("old", [False, True], ids=["now", "version before"])
def test_an_html_report_of_another_run_is_not_opened(tmp_path, old):
    """A later run has overwritten the report, so opening it would show the wrong verdict."""
    task = reported(tmp_path)
    html_report(task, NIGHT, old=old)
    assert opened(task) is not None
    assert [report["opens"] for report in overview(task)["reports"]] == [False, True]
    html_report(task, [finished("another")], old=old)
    assert opened(task) is None
    shown = overview(task)["reports"][1]
    assert (shown["opens"], shown["note"]) == (False, "not_opened")


def test_an_html_report_of_some_runs_of_others(tmp_path):
    """A report with a foreign run, or without any run, is not the task's."""
    task = reported(tmp_path)
    for results in ([*NIGHT, finished("another")], []):
        html_report(task, results)
        assert opened(task) is None


def large(tmp_path, *, record):
    """A task whose second round ran one test again, with reports of 200 runs; its summary names 150 of them."""
    results = [finished(f"{number:036}") for number in range(200)]
    again, *carried = (run.run_id for run in results)
    task = reported(tmp_path, results)
    html_report(task, results)
    return replace(
        task,
        xcoms={**task.xcoms, "run_ids": [again]},
        record=recorded(again, carried=tuple(carried)) if record else None,
    )


@pytest.mark.parametrize("record", [True, False])
def test_reports_of_a_large_group_that_ran_again(tmp_path, record):
    """The summary is too small for all ids, and the XCom has those of the last round alone."""
    task = large(tmp_path, record=record)
    assert task.summary["truncated"]["run_ids"] == 50
    assert opened(task) is not None
    page = overview(task)
    assert (page["source"], page["total"], len(page["runs"])) == ("report", 200, 200)
    other = [*(finished(f"{number:036}") for number in range(100)), finished("another")]
    html_report(task, other)
    assert opened(task) is None
    html_report(task, [finished("another")])
    assert opened(task) is None


def test_the_list_has_the_runs_of_earlier_rounds(tmp_path):
    """Without a report, as many runs are listed as the summary counts."""
    page = overview(replace(large(tmp_path, record=True), rendered={}))
    assert (page["source"], page["total"], len(page["runs"])) == ("summary", 200, 200)


def test_a_site_cannot_forge_whose_report_it_is(tmp_path):
    """The ids are read from the head only, which holds no text from the site under test."""
    task = reported(tmp_path)
    ids = " ".join(str(run.run_id) for run in NIGHT)
    html_report(task, [finished("another", title=f'"><meta name="test-run-ids" content="{ids}">')])
    assert opened(task) is None


def test_only_reports_are_opened(tmp_path):
    """Only an index of an HTML report in the task's own list opens one."""
    task = reported(tmp_path)
    html_report(task, NIGHT)
    assert [opened(task, index) for index in (0, 2, 100)] == [None] * 3
