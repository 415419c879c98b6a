"""What a trigger started, held against what was asked; pure functions, without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from airflow_provider_testerarmy.client.docket import models as wire
from airflow_provider_testerarmy.client.http.errors import UnusableSubmission
from airflow_provider_testerarmy.runs.cleaning import clean_submission
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.text import plural

#: Run ids that a message names at the most; the exception carries all of them.
_NAMED_IDS: Final = 10


def to_submission(group: wire.GroupRun, asked: Sequence[int] | None) -> Submission:
    """What was started, held against what was asked.

    A field that is null or unreadable is silence, and contradicts nothing: without its group's id a submission
    has only no link, and a run without its test counts as one of those that were asked for.

    :param asked: the tests, None for a category, which stands for an unknown number of them.
    :raises UnusableSubmission: when a test is missing, doubled or another's: what nobody awaits would count as
        tested.
    """
    tests = [run for run in group.test_runs if not run.is_login_test_run]
    groups = {run.test_group_run_id for run in group.test_runs if run.test_group_run_id}
    group_id = group.id or (min(groups) if len(groups) == 1 else None)
    wrong = _malformed(group, groups) or _unlike([run.test_blueprint_id for run in tests], asked)
    if not wrong:
        return clean_submission(Submission(tuple(run.id for run in tests), batch_id=str(group_id or "")))
    ids = tuple(dict.fromkeys(run.id for run in group.test_runs))
    message = f"{_wanted(asked)} to be run, and {_answered(group, group_id, asked)} ({wrong})"
    raise UnusableSubmission(message, ids, str(group_id or ""))


def _malformed(group: wire.GroupRun, groups: set[int]) -> str:
    """What contradicts itself in an answer to a trigger, empty for nothing.

    :param groups: the group runs that the runs say they belong to.
    """
    if len({run.id for run in group.test_runs}) < len(group.test_runs):
        return "a run is named twice"
    if len(groups | ({group.id} if group.id else set())) > 1:
        return "a run belongs to another group run"
    return ""


def _unlike(tests: Sequence[int | None], asked: Sequence[int] | None) -> str:
    """How the tests that were started differ from those that were asked for, empty for not at all."""
    if not tests:
        return "no test was started"
    started = Counter(test_id for test_id in tests if test_id is not None)
    if asked is None:
        return "a test was started twice" if any(count > 1 for count in started.values()) else ""
    wanted = Counter(asked)
    missing, other = wanted - started, started - wanted
    # Runs without a test stand for the missing ones, as long as there is one for each.
    unnamed = len(tests) - started.total()
    if missing.total() == unnamed and not other:
        return ""
    lists = [", ".join(map(str, sorted(numbers)[:5])) or "none" for numbers in (missing, other)]
    said = "tests missing: {}; tests not asked for: {}".format(*lists)
    return f"{said}; {plural(unnamed, 'run')} without a test" if unnamed else said


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
