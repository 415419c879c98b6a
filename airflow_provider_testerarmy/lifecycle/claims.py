"""Which task owns which run, so that a task whose answer was lost never adopts another task's run.

No task can read another task's record. So each task also stores a claim under one of its run ids in an Airflow
Variable, which all tasks can read. The claim outlives the task, because a try that looks for a lost request may
begin hours later. The listener removes it after a day. It contains no secret.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.runs.flow import Flow, pause
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.run_id_codec import pack, unpack

log = logging.getLogger(__name__)

PREFIX: Final = "testerarmy_run:"
#: Seconds for which claims are kept.
KEPT: Final = 24 * 3600.0
#: Seconds between two attempts to store a claim, and the number of attempts. The pause is shorter than
#: `lookup.CLAIM_SETTLES`: a task that adopts the run as soon as Airflow stores claims again then sees this one.
AGAIN_AFTER: Final = 1.0
ATTEMPTS: Final = 30


class TaskClaims:
    """The claims of one task instance; see :class:`airflow_provider_testerarmy.runs.submission.setting.Claims`.

    :param identity: the id of the task instance, the same in all of its tries.
    :param read: reads a Variable; None if there is no such Variable.
    :param writes: whether this process can write Variables. The listener cannot.
    """

    def __init__(self, identity: str, read: Callable[[str], str | None], *, writes: bool = True) -> None:
        self._identity = identity
        self._get = read
        self._writes = writes
        #: Whether Airflow has refused claims for long, as it does where tasks may not write Variables.
        self.given_up = False
        self.slowest = 0.0

    def of_others(self, run_ids: tuple[RunId, ...], *, most: int = 50) -> frozenset[RunId] | None:
        """The runs that another task has claimed; None if Airflow does not answer, which proves nothing."""
        taken: set[RunId] = set()
        reads = 0
        # In sorted order, because the claim of a submission is stored under its smallest id.
        for run_id in sorted(run_ids, key=str):
            if run_id in taken:
                continue
            if (reads := reads + 1) > most:
                break
            try:
                with self._timed():
                    note = _read(self._get(_key(run_id)))
            except Exception as error:
                log.warning("Airflow did not say whether another task started run %s: %s", run_id, error)
                return None
            if note and note.get("by") != self._identity:
                taken |= {run_id, *_runs(note)}
        return frozenset(taken & set(run_ids))

    def claim(self, run_ids: tuple[RunId, ...]) -> bool:
        """Store the claim; False if Airflow did not take it. Then it may have refused that of another task too."""
        if not run_ids or not self._writes:
            return True
        note = json.dumps({"by": self._identity, "at": time.time(), "runs": pack(run_ids)})
        try:
            with self._timed():
                airflow_compat.set_variable(
                    _first(run_ids), note, "A test run, and the task that started it."
                )
        except Exception as error:
            log.info("Airflow did not store which task started run %s: %s", run_ids[0], error)
            return False
        return True

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Measure one call to Airflow."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.slowest = max(self.slowest, time.monotonic() - begun)


def claim_patiently(claims: TaskClaims, run_ids: tuple[RunId, ...]) -> Flow[None]:
    """Store the claim of new runs, if Airflow stores it within half a minute. A failure is only logged.

    After such a failure, the claims of further requests have one attempt each: a task may send hundreds.
    """
    for _ in range(1 if claims.given_up else ATTEMPTS):
        if claims.claim(run_ids):
            return
        if not claims.given_up:
            yield from pause(AGAIN_AFTER)
    claims.given_up = True
    log.warning(
        "Airflow did not store that this task started run %s. A task that loses an answer may take it for its own.",
        run_ids[0],
    )


def claims_of(identity: str) -> TaskClaims | None:
    """The claims of a task instance; None in a process without a supervisor, which cannot read Variables."""
    return TaskClaims(identity, airflow_compat.get_variable) if airflow_compat.has_variables() else None


def _first(run_ids: tuple[RunId, ...]) -> str:
    # One Variable per submission: it is stored under the smallest id, and names all runs.
    return _key(min(run_ids, key=str))


def _key(run_id: RunId) -> str:
    # Airflow's column for the key of a Variable has 250 characters.
    return f"{PREFIX}{str(run_id)[:200]}"


def _read(text: str | None) -> Mapping[str, Any] | None:
    try:
        note = json.loads(text) if text else None
    except ValueError:
        return None
    return note if isinstance(note, Mapping) else None


def _runs(note: Mapping[str, Any]) -> list[RunId]:
    try:
        return unpack(note.get("runs", ()))
    except (KeyError, TypeError, ValueError):
        return []
