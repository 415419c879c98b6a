"""A watcher's cursor: which ends it has delivered, and from where it continues after a restart.

The cursor is written before an event is sent (as *announced*) and after Airflow has stored it (as *delivered*). A
crash between the two repeats the event and marks it as a repeat. No run is lost:

* Every sweep reads from the *floor*, which stays :data:`OVERLAP` behind the newest run.
* An active run that the floor passes is kept by its id, and read on its own.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from airflow_provider_testerarmy.runs.cleaning import usable_id
from airflow_provider_testerarmy.runs.events.model import EventFilter, ListedEnd
from airflow_provider_testerarmy.runs.events.sweep import OVERLAP, Sweep
from airflow_provider_testerarmy.runs.results import RunId

VERSION: Final = 1
#: The maximum number of runs of each kind in a cursor. Airflow's asset state store accepts 64 KiB.
DELIVERED: Final = 1_000
OPEN: Final = 300
#: The maximum number of events that are sent before Airflow has stored the earlier ones.
ANNOUNCED: Final = 200
#: Seconds after which a run that does not end is forgotten.
MAX_AGE: Final = 24 * 3600.0


class CursorUnreadable(ValueError):
    """The stored cursor has another format."""


@dataclass(frozen=True, slots=True)
class Due:
    """A run that ended and has to be reported.

    :param repeat: whether an event for it may have been stored before.
    """

    run: ListedEnd
    created: float
    repeat: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a watcher has delivered; times are creation times of runs in seconds since the epoch.

    :param floor: runs created before it are delivered, or open, or none of this watcher's.
    :param delivered: the hashes of delivered runs from the floor on, with their times.
    :param announced: runs whose events may not have been stored yet.
    :param open: active runs.
    :param stamp: who wrote it last, to notice another triggerer.
    """

    floor: float
    delivered: Mapping[str, float] = field(default_factory=dict)
    announced: Mapping[RunId, float] = field(default_factory=dict)
    open: Mapping[RunId, float] = field(default_factory=dict)
    stamp: str = ""

    def due(self, sweep: Sweep, wanted: EventFilter, sent: Iterable[RunId] = ()) -> list[Due]:
        """The runs to report, in the order of their ends.

        :param sent: the runs that this process has reported.
        """
        known = frozenset(sent)
        found = [
            Due(each.run, each.created, run_id in self.announced)
            for run_id, each in sweep.seen.items()
            if wanted.accepts(each.run) and run_id not in known and self._mine(run_id, each.created)
        ]
        return sorted(found, key=_ended)

    def _mine(self, run_id: RunId, created: float) -> bool:
        if run_id in self.announced or run_id in self.open:
            return digest(run_id) not in self.delivered
        return created >= self.floor and digest(run_id) not in self.delivered

    def announce(self, due: Iterable[Due]) -> Cursor:
        """The cursor before these runs are reported."""
        return replace(
            self, announced={**self.announced, **{each.run.result.run_id: each.created for each in due}}
        )

    def deliver(self, run_ids: Iterable[RunId]) -> Cursor:
        """The cursor after Airflow has stored the events of these runs."""
        done = {run_id: self.announced[run_id] for run_id in run_ids if run_id in self.announced}
        return replace(
            self,
            delivered={**self.delivered, **{digest(run_id): created for run_id, created in done.items()}},
            announced={key: value for key, value in self.announced.items() if key not in done},
            open={key: value for key, value in self.open.items() if key not in done},
        )

    def advance(self, sweep: Sweep, wanted: EventFilter) -> Cursor:
        """The cursor after everything due in this sweep was announced."""
        if sweep.floor > self.floor:
            # The sweep was read for other watchers, and may lack runs of this one.
            return self
        ended = {run_id for run_id, each in sweep.seen.items() if each.run.result.finished}
        running = {
            run_id: each.created
            for run_id, each in sweep.seen.items()
            if run_id not in ended and wanted.concerns(each.run) and self._mine(run_id, each.created)
        }
        still = {run_id: created for run_id, created in self.open.items() if run_id not in ended}
        oldest = sweep.newest - MAX_AGE
        active = {key: created for key, created in {**still, **running}.items() if not 0 < created < oldest}
        kept, rest = _first(active, OPEN)
        # A run that is neither kept by its id nor above the floor would be lost, so the floor stays below it.
        floor = max(self.floor, min([sweep.newest - OVERLAP, *rest.values()]))
        dropped, delivered = _first(self.delivered, len(self.delivered) - DELIVERED)
        if dropped:
            floor = max(floor, min(math.nextafter(max(dropped.values()), math.inf), sweep.newest))
        return replace(
            self,
            floor=floor,
            delivered={key: created for key, created in delivered.items() if created >= floor},
            # A run that the service has deleted since would permanently take the room of others.
            announced={key: created for key, created in self.announced.items() if not 0 < created < oldest},
            open=kept,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values without null and NaN, of at most 64 KiB."""
        return {
            "version": VERSION,
            "stamp": self.stamp,
            "floor": self.floor,
            # Rounded up: a time below the floor would forget that the run was delivered.
            "delivered": _shortened(self.delivered),
            "announced": _shortened(self.announced),
            "open": _shortened(self.open),
        }

    @classmethod
    def from_json(cls, data: Any) -> Cursor:
        """Convert back from the result of :meth:`to_json`.

        :raises CursorUnreadable: for any other data.
        """
        try:
            if data["version"] != VERSION or not math.isfinite(data["floor"]):
                raise ValueError(data["version"])  # noqa: TRY301 - one message for every kind of damage
            return cls(
                float(data["floor"]),
                {str(key): float(created) for key, created in data["delivered"]},
                _pairs(data["announced"]),
                _pairs(data["open"]),
                str(data["stamp"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CursorUnreadable(f"unknown format ({type(error).__name__})") from None


def begin(sweep: Sweep, wanted: EventFilter, since: float | None = None) -> Cursor:
    """The first cursor of a watcher, which reports what ends from now on.

    :param since: report runs that were created since this time as well, in seconds since the epoch.
    """
    floor = sweep.newest - OVERLAP if since is None else since
    over = {
        digest(run_id): each.created
        for run_id, each in sweep.seen.items()
        if each.created >= floor and wanted.accepts(each.run)
    }
    active = {
        run_id: each.created
        for run_id, each in sweep.seen.items()
        if not each.run.result.finished and wanted.concerns(each.run)
    }
    return Cursor(floor, over if since is None else {}, {}, active)


def digest(run_id: RunId) -> str:
    """A hash of a run id in 12 characters. It has 72 bits: a collision would hide a run."""
    known = hashlib.sha256(f"{type(run_id).__name__}:{run_id}".encode()).digest()
    return base64.urlsafe_b64encode(known[:9]).decode()


def _first(times: Mapping[Any, float], count: int) -> tuple[dict[Any, float], dict[Any, float]]:
    """The ``count`` oldest of the runs, and the others."""
    ordered = sorted(times.items(), key=lambda pair: pair[1])
    count = max(0, count)
    return dict(ordered[:count]), dict(ordered[count:])


def _shortened(times: Mapping[Any, float]) -> list[list[Any]]:
    return [[key, math.ceil(created)] for key, created in times.items()]


def _pairs(data: Any) -> dict[RunId, float]:
    pairs = {key: float(created) for key, created in data}
    if not all(map(usable_id, pairs)):
        raise ValueError("run id")
    return pairs


def _ended(due: Due) -> tuple[float, str]:
    ended = due.run.result.finished_at
    return ended.timestamp() if ended else due.created, str(due.run.result.run_id)
