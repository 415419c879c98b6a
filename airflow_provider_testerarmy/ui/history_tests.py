"""The page of one test: its outcomes over time, its durations, and its issues by what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from airflow_provider_testerarmy.reports.commits import Repository
from airflow_provider_testerarmy.ui.history_figures import flakiness_of
from airflow_provider_testerarmy.ui.history_parts import RECENT, Calendar, Outcome, ranked_titles
from airflow_provider_testerarmy.ui.history_rows import HistoryRow, Result
from airflow_provider_testerarmy.ui.issue_texts import normalized
from airflow_provider_testerarmy.ui.payloads import Json
from airflow_provider_testerarmy.ui.tested import repository

#: The most nights, groups of issues and environments that the page shows.
MAX_NIGHTS: Final = 400
MAX_CLUSTERS: Final = 50
MAX_PLACES: Final = 50


def page_of_test(
    rows: Sequence[HistoryRow], key: str, calendar: Calendar, most: int = MAX_NIGHTS
) -> Json | None:
    """What the tasks say about a test; None if none of them ran it.

    :param rows: sorted, the newest first; those that did not run the test are ignored.
    :param key: the test's id, or its title if it has no id.
    :param calendar: where days begin.
    :param most: how many of the newest results to list.
    """
    ran = [(row, result) for row in rows for result in row.results_of(key)]
    if not ran:
        return None
    begin, links = calendar.beginning(), repository()
    outcomes = [
        Outcome(row.when, result.outcome, result.flaky, result.seconds, row.address) for row, result in ran
    ]
    return {
        "key": key,
        "title": ran[0][1].name.title,
        "counts": dict(Counter(each.outcome for each in outcomes)),
        "total": len(ran),
        "first": outcomes[-1].when,
        "last": outcomes[0].when,
        "last_of": {kind: _last(outcomes, kind) for kind in ("passed", "failed")},
        "nights": [{**night(row, result, links), "day": begin(row.when)} for row, result in ran[:most]],
        "places": _places(ran),
        "clusters": clusters([row for row, _ in ran], key)[:MAX_CLUSTERS],
    }


def night(row: HistoryRow, result: Result, links: Repository) -> Json:
    """One result of the test, and the task that has it.

    :param links: the repository that commits link to.
    """
    _, dag_id, run_id, task_id, map_index = row.order
    return {
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id,
        "map_index": map_index,
        "when": row.when,
        "outcome": result.outcome,
        "flaky": result.flaky,
        "seconds": result.seconds,
        "environment": row.place.environment,
        "address": row.address,
        "commit": row.commit,
        "commit_url": links.commit_url(row.commit),
        "issues": [issue.text for issue in row.issues if issue.name is result.name],
    }


def _last(outcomes: Sequence[Outcome], kind: str) -> float | None:
    return next((each.when for each in outcomes if each.outcome == kind), None)


def _places(ran: Sequence[tuple[HistoryRow, Result]]) -> list[Json]:
    """Each DAG, task and environment that ran the test, with its latest outcomes; the latest place first."""
    titles = ranked_titles(row for row, _ in ran)
    found: dict[object, list[tuple[HistoryRow, Result]]] = {}
    for row, result in ran:
        found.setdefault(row.place, []).append((row, result))
    shown = []
    for each in list(found.values())[:MAX_PLACES]:
        place = each[0][0].place
        recent = [
            Outcome(row.when, result.outcome, result.flaky, result.seconds, row.address)
            for row, result in reversed(each[:RECENT])
        ]
        shown.append(
            {
                "dag_id": place.dag_id,
                "task_id": place.task_id,
                "map_index": place.map_index,
                "group": place.group,
                "group_title": titles[place.group][1],
                "environment": place.environment,
                "runs": len(each),
                "outcomes": [[one.when, one.outcome, one.flaky] for one in recent],
                "durations": [one.seconds for one in recent],
                **flakiness_of(recent),
            }
        )
    return shown


def clusters(rows: Sequence[HistoryRow], key: str) -> list[Json]:
    """The test's issues by what they say, those of most tasks first.

    :param rows: sorted, the newest first.
    """
    found: dict[str, Json] = {}
    for row in rows:
        texts = {
            normalized(issue.text): issue.text for issue in row.issues if issue.name and issue.name.key == key
        }
        for what, text in texts.items():
            cluster = found.setdefault(
                what, {"text": text, "tasks": 0, "first": row.when, "last": row.when, "task": _task(row)}
            )
            cluster["tasks"] += 1
            cluster["first"] = row.when
    return sorted(found.values(), key=lambda cluster: (-cluster["tasks"], -cluster["last"]))


def _task(row: HistoryRow) -> Json:
    _, dag_id, run_id, task_id, map_index = row.order
    return {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
