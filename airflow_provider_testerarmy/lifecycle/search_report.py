"""What a bisecting search has found: sentences for the verdict, and entries for the summary and the reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_provider_testerarmy.runs.results import Deployment, RunResult
from airflow_provider_testerarmy.runs.submission.search import Search, Span, Trial
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.runs.verdict.bisect import (
    Answer,
    Found,
    Probe,
    describe,
    next_step,
    so_far,
)


def steps_of(search: Search) -> Iterator[tuple[Span, Probe | Found]]:
    """The next step of each test."""
    for span in search.spans:
        places = search.places(span)
        control = search.nights[span.good].usable
        yield span, next_step(len(places) - 2, _answers(search, span), control=control)


def report(search: Search, results: Sequence[RunResult]) -> list[dict[str, Any]]:
    """An entry for each test of a search that has ended.

    :param results: with the titles of the tests.
    """
    titles = {run.test_id: one_line(run.label, 120) for run in results}
    return [
        _entry(search, span, step, titles.get(span.test_id, span.test_id)) for span, step in steps_of(search)
    ]


def _entry(search: Search, span: Span, step: Probe | Found, title: str) -> dict[str, Any]:
    places, answers = search.places(span), _answers(search, span)
    found = so_far(len(places) - 2, answers) if isinstance(step, Probe) else step
    answered = {places[place] for place, answer in answers if answer is not Answer.NONE}
    good, bad = places[found.good], places[found.bad]
    untested = sum(number not in answered for number in range(good + 1, bad))
    nights = [search.nights[number] for number in places]
    trials = search.trials_of(span.test_id)
    return {
        "test_id": one_line(span.test_id, 200),
        "title": title,
        "end": str(found.end),
        "text": describe(title, found, nights, untested, len(trials), search.why_not),
        "good": _night(search.nights[good]),
        "bad": _night(search.nights[bad]),
        "tried": [_tried(search, trial) for trial in trials],
    }


def _answers(search: Search, span: Span) -> list[tuple[int, Answer]]:
    places = search.places(span)
    return [(places.index(trial.night), Answer(trial.shows)) for trial in search.trials_of(span.test_id)]


def _tried(search: Search, trial: Trial) -> dict[str, Any]:
    return {
        **_night(search.nights[trial.night]),
        "run_id": trial.run_id or None,
        "outcome": str(trial.outcome),
        "shows": trial.shows,
    }


def _night(night: Deployment) -> dict[str, Any]:
    return {
        "date": datetime.fromtimestamp(night.at, UTC).date().isoformat(),
        "commit": night.commit or None,
        "address": night.address or None,
    }
