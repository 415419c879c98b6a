"""Bisection: finds the first night on which a test fails, with few runs and without guessing.

The *places* of a search are numbered: 0 is the last good night, 1 to ``count`` are the nights between that can be
tested, and ``count + 1`` is the first bad night. The module is pure: the answers so far decide the next step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from airflow_provider_testerarmy.runs.results import Deployment, Outcome, RunResult
from airflow_provider_testerarmy.runs.text import plural

#: The runs of a search on top of its halvings: one at the last good night, one that repeats each of the two
#: neighbours, and two at places that do not answer.
EXTRA: Final = 5


class Answer(StrEnum):
    """What a run at a place shows. ``NONE``: nothing, because it did not end with the failure or with a pass."""

    PASSED = "passed"
    FAILED = "failed"
    NONE = "no answer"


class End(StrEnum):
    """How a search ends.

    ``FOUND``: the places ``good`` and ``bad`` are neighbours. ``NARROWED``: the places between do not answer.
    ``FLAKY``: a place has answered both. ``UNRELATED``: the test fails at the last good night too. ``LIMIT``: the
    runs are used up. ``NOTHING``: no night between can be tested. ``STOPPED``: something else ended it.
    """

    FOUND = "found"
    NARROWED = "narrowed"
    FLAKY = "flaky"
    UNRELATED = "unrelated"
    LIMIT = "limit"
    NOTHING = "nothing"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Probe:
    """The place that the next run tests."""

    place: int


@dataclass(frozen=True, slots=True)
class Found:
    """The end of a search: the test passes at ``good``, fails at ``bad``, and nothing is known of places between.

    :param place: the place that has answered both, for ``FLAKY``.
    """

    end: End
    good: int
    bad: int
    place: int = 0


def limit(count: int) -> int:
    """The runs of a search at most: log2 of the number of gaps between its places, rounded up, and ``EXTRA``."""
    return count.bit_length() + EXTRA


def next_step(count: int, answers: Sequence[tuple[int, Answer]], *, control: bool) -> Probe | Found:
    """What to do after these answers.

    :param count: the nights between that can be tested.
    :param answers: the places that were tested, in order, and what each run showed.
    :param control: whether place 0 can be tested as well. It is tested first: if the test fails there now, the
        cause is not in the commits.
    """
    if not count:
        return Found(End.NOTHING, 0, 1)
    found = so_far(count, answers)
    if found.end is not End.STOPPED:
        return found
    if len(answers) >= limit(count):
        return Found(End.LIMIT, found.good, found.bad)
    place = _untried(count, answers, found, control=control)
    if place is not None:
        return Probe(place)
    return Found(End.FOUND if found.bad - found.good == 1 else End.NARROWED, found.good, found.bad)


def _untried(count: int, answers: Sequence[tuple[int, Answer]], found: Found, *, control: bool) -> int | None:
    """The place that the next run tests; None if no further run is needed."""
    tried = {place for place, _ in answers}
    if control and 0 not in tried:
        return 0
    untried = [place for place in range(found.good + 1, found.bad) if place not in tried]
    if untried:
        return min(untried, key=lambda place: abs(2 * place - found.good - found.bad))
    # One run may be an accident. The ends of the range decide, so each of them has to answer twice.
    counts = Counter(place for place, answer in answers if answer is not Answer.NONE)
    return next((end for end in (found.good, found.bad) if 0 < end <= count and counts[end] < 2), None)


def so_far(count: int, answers: Sequence[tuple[int, Answer]]) -> Found:
    """What the answers show if no run follows; see :func:`next_step`."""
    passed, failed = (
        {place for place, answer in answers if answer is wanted} for wanted in (Answer.PASSED, Answer.FAILED)
    )
    both = passed & failed
    if 0 in failed - both:
        return Found(End.UNRELATED, 0, count + 1)
    good = max(passed - both, default=0)
    bad = min((place for place in failed - both if place > good), default=count + 1)
    return Found(End.FLAKY, good, bad, min(both)) if both else Found(End.STOPPED, good, bad)


def answer_of(run: RunResult, tonight: RunResult | None, blocks: Callable[[RunResult], bool]) -> Answer:
    """What a run at another night's address shows.

    An address that no longer works makes a test fail too, at another step. Such a failure is no answer.

    :param tonight: the failed run that is searched for.
    :param blocks: whether a run counts against the gate.
    """
    if not run.finished or run.outcome not in (Outcome.PASSED, Outcome.FAILED):
        return Answer.NONE
    if not blocks(run):
        return Answer.PASSED if run.outcome is Outcome.PASSED else Answer.NONE
    return Answer.NONE if tonight is not None and _differs(run, tonight) else Answer.FAILED


def _differs(run: RunResult, tonight: RunResult) -> bool:
    """Whether two failures are known to be of different steps, or of different kinds."""
    one, other = run.failed_step, tonight.failed_step
    if (one is None) != (other is None):
        return True
    if one is None or other is None:
        return run.outcome is not tonight.outcome
    return (one.key, one.error_code) != (other.key, other.error_code)


def describe(
    title: str, found: Found, places: Sequence[Deployment], untested: int, runs: int, why: str = ""
) -> str:
    """The end of a search in a few sentences.

    :param places: the last good night, the nights between that could be tested, and the first bad night.
    :param untested: the nights between ``good`` and ``bad`` of which nothing is known.
    :param runs: the runs of the search.
    :param why: why it stopped before its end.
    """
    good, bad = places[found.good].text, places[found.bad].text
    between = f"It broke after {good}, and by {bad}"
    if untested:
        between += f"; {plural(untested, 'night')} between could not be tested"
    ends = f"First bad {bad}, last good {good}."
    commit = places[found.bad].commit
    broken_by = f"commit {commit[:7]} broke it" if commit else "the first bad night is found"
    no_night = (
        f"none of the {plural(untested, 'night')} between has an address of its own"
        if untested
        else "no night lies between"
    )
    result = {
        End.FOUND: f"bisected. {between}." if untested else f"{broken_by}. {ends}",
        End.NARROWED: f"bisected. {between}.",
        End.FLAKY: f"bisected without a result. It passes and fails at {places[found.place].text}. {between}.",
        End.UNRELATED: f"bisected without a result. It now fails at {good} too, where it passed. Therefore no "
        "later commit explains the failure.",
        End.LIMIT: f"bisected up to the limit of {plural(runs, 'run')}. {between}.",
        End.NOTHING: f"nothing to bisect, because {no_night}. {between if untested else ends[:-1]}.",
        End.STOPPED: f"{'bisecting stopped' if runs else 'not bisected'}, because {why}. {between}.",
    }
    return f"{title}: {result[found.end]}"
