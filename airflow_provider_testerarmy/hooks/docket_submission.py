"""Checks Docket's response to a trigger against the request; pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from airflow_provider_testerarmy.client.docket import models as wire
from airflow_provider_testerarmy.client.http.errors import UnusableSubmission
from airflow_provider_testerarmy.runs.cleaning import clean_submission
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.text import plural

#: The maximum number of run ids in a message; the exception has all of them.
_NAMED_IDS: Final = 10


def to_submission(group: wire.GroupRun, asked: Sequence[int] | None) -> Submission:
    """Convert a group run to a submission, after checking it against the request.

    Null and unreadable fields contradict nothing. Without a group run id, the submission has no link. A run without
    a test id counts as a run of a requested test.

    :param asked: the requested tests; None for a category, which has an unknown number of tests.
    :raises UnusableSubmission: if a test is missing, duplicated or was not requested. A missing test would count as
        tested otherwise.
    """
    tests = [run for run in group.test_runs if not run.is_login_test_run]
    groups = {run.test_group_run_id for run in group.test_runs if run.test_group_run_id}
    group_id = group.id or (min(groups) if len(groups) == 1 else None)
    wrong = _malformed(group, groups) or _unlike([run.test_blueprint_id for run in tests], asked)
    if not wrong:
        return clean_submission(Submission(tuple(run.id for run in tests), batch_id=str(group_id or "")))
    ids = tuple(dict.fromkeys(run.id for run in group.test_runs))
    message = f"{_wanted(asked)} requested, but {_answered(group, group_id, asked)} ({wrong})"
    raise UnusableSubmission(message, ids, str(group_id or ""))


def _malformed(group: wire.GroupRun, groups: set[int]) -> str:
    """The contradiction within a response, or an empty string.

    :param groups: the group run ids in the runs.
    """
    if len({run.id for run in group.test_runs}) < len(group.test_runs):
        return "a run is listed twice"
    if len(groups | ({group.id} if group.id else set())) > 1:
        return "a run belongs to another group run"
    return ""


def _unlike(tests: Sequence[int | None], asked: Sequence[int] | None) -> str:
    """The difference between the started and the requested tests, or an empty string."""
    if not tests:
        return "no test was started"
    started = Counter(test_id for test_id in tests if test_id is not None)
    if asked is None:
        return "a test was started twice" if any(count > 1 for count in started.values()) else ""
    wanted = Counter(asked)
    missing, other = wanted - started, started - wanted
    # Runs without a test id count as the missing tests if there is one for each.
    unnamed = len(tests) - started.total()
    if missing.total() == unnamed and not other:
        return ""
    lists = [", ".join(map(str, sorted(numbers)[:5])) or "none" for numbers in (missing, other)]
    said = "tests missing: {}; tests not requested: {}".format(*lists)
    return f"{said}; {plural(unnamed, 'run')} without a test id" if unnamed else said


def _wanted(asked: Sequence[int] | None) -> str:
    if asked is None:
        return "a category was"
    return f"{len(asked)} tests were" if len(asked) > 1 else "a test was"


def _answered(group: wire.GroupRun, group_id: int | None, asked: Sequence[int] | None) -> str:
    ids = dict.fromkeys(run.id for run in group.test_runs)
    named = ", ".join(map(str, list(ids)[:_NAMED_IDS])) or "none"
    if len(ids) > _NAMED_IDS:
        named += f", ... ({len(ids)} in all)"
    has = "has fewer runs" if asked and len(group.test_runs) < len(asked) else "has other runs"
    return f"group run {group_id or '(no id)'} {has}: {named}"
