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
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

from airflow_provider_testerarmy.runs.events.model import EventFilter, ListedEnd
from airflow_provider_testerarmy.runs.events.packing import (
    pack_digests,
    pack_runs,
    packed_size,
    read_pairs,
    unpack_digests,
    unpack_runs,
)
from airflow_provider_testerarmy.runs.events.sweep import OVERLAP, Sweep
from airflow_provider_testerarmy.runs.results import RunId

#: The format, and the one of a cursor with many runs.
VERSION: Final = 1
PACKED: Final = 2
#: The maximum number of delivered runs in a cursor, unless more were created at the same moment. The maximum number
#: of them and of active runs in the first format. The maximum size of the active ones in bytes of JSON: about 1,000
#: runs. Airflow's asset state store accepts 64 KiB.
DELIVERED: Final = 1_000
PLAIN: Final = (1_200, 300)
OPEN_BYTES: Final = 30_000
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
    :param unsure: whether runs from the floor on may be delivered although it does not say so.
    """

    floor: float
    delivered: Mapping[str, float] = field(default_factory=dict)
    announced: Mapping[RunId, float] = field(default_factory=dict)
    open: Mapping[RunId, float] = field(default_factory=dict)
    stamp: str = ""
    unsure: bool = False

    def due(self, sweep: Sweep, wanted: EventFilter, sent: Iterable[RunId] = ()) -> list[Due]:
        """The runs to report, in the order of their ends.

        :param sent: the runs that this process has reported.
        """
        known = frozenset(sent)
        found = [
            Due(each.run, each.created, self.unsure or run_id in self.announced)
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

    def advance(self, sweep: Sweep, wanted: EventFilter, late: float = math.inf) -> Cursor:
        """The cursor after everything due in this sweep was announced.

        :param late: the creation time of the first run that was not announced, because there was no room.
        """
        if sweep.floor > self.floor:
            # The sweep was read for other watchers, and may lack runs of this one.
            return self
        ended = {run_id for run_id, each in sweep.seen.items() if each.run.result.finished}
        running = {
            run_id: each.created
            for run_id, each in sweep.seen.items()
            if run_id not in ended and wanted.concerns(each.run) and self._mine(run_id, each.created)
        }
        still = {
            run_id: created
            for run_id, created in self.open.items()
            if run_id not in ended or (created >= late and run_id not in self.announced)
        }
        oldest = sweep.newest - MAX_AGE
        active = {key: created for key, created in {**still, **running}.items() if not 0 < created < oldest}
        kept, rest = _affordable(active)
        # A run that is neither kept by its id nor above the floor would be lost, so the floor stays below it. A
        # list without any run says nothing: it may be broken, and hide what ended while no triggerer was alive.
        reach = sweep.newest - OVERLAP if sweep.seen else self.floor
        # The list shows announced runs above the floor. Below it, each would take a request until it is delivered.
        announced = [created for created in self.announced.values() if created >= self.floor]
        floor = max(self.floor, min([reach, late, *rest.values(), *announced]))
        dropped, delivered = _first(self.delivered, len(self.delivered) - DELIVERED)
        if dropped:
            floor = max(floor, min(math.nextafter(max(dropped.values()), math.inf), sweep.newest, late))
        return replace(
            self,
            floor=floor,
            delivered={key: created for key, created in {**dropped, **delivered}.items() if created >= floor},
            # A run that the service has deleted since would permanently take the room of others.
            announced={
                key: created
                for key, created in self.announced.items()
                if key in sweep.seen or not 0 < created < oldest
            },
            open=kept,
            unsure=self.unsure and late < math.inf,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values without null and NaN, of at most 64 KiB."""
        plain = len(self.delivered) <= PLAIN[0] and len(self.open) <= PLAIN[1]
        runs: Callable[[Mapping[RunId, float]], Any] = _shortened if plain else pack_runs
        return {
            "version": VERSION if plain else PACKED,
            "stamp": self.stamp,
            "floor": self.floor,
            "delivered": _shortened(self.delivered) if plain else pack_digests(self.delivered),
            "announced": runs(self.announced),
            "open": runs(self.open),
            **({"unsure": True} if self.unsure else {}),
        }

    @classmethod
    def from_json(cls, data: Any) -> Cursor:
        """Convert back from the result of :meth:`to_json`.

        Of a cursor that a later version has written, the floor is used, and the active runs if they are readable.

        :raises CursorUnreadable: for any other data.
        """
        try:
            version, floor = data["version"], data["floor"]
            if isinstance(version, bool) or version < VERSION or not math.isfinite(floor):
                raise ValueError(version)  # noqa: TRY301 - one message for every kind of damage
            if version > PACKED:
                return _of_later_version(data)
            packed = version == PACKED
            runs = unpack_runs if packed else read_pairs
            delivered = data["delivered"]
            return cls(
                float(floor),
                unpack_digests(delivered) if packed else {str(key): float(at) for key, at in delivered},
                runs(data["announced"]),
                runs(data["open"]),
                str(data["stamp"]),
                data.get("unsure") is True,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CursorUnreadable(f"unknown format ({type(error).__name__})") from None


def _of_later_version(data: Mapping[str, Any]) -> Cursor:
    found: dict[str, dict[RunId, float]] = {"announced": {}, "open": {}}
    for name in found:
        for read in (read_pairs, unpack_runs):
            with suppress(KeyError, TypeError, ValueError):
                found[name] = read(data[name])
                break
    return Cursor(float(data["floor"]), {}, **found, stamp=str(data.get("stamp")), unsure=True)


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


@lru_cache(maxsize=20_000, typed=True)
def digest(run_id: RunId) -> str:
    """A hash of a run id in 12 characters. It has 72 bits: a collision would hide a run.

    Cached, because each watcher looks for each run of each sweep.
    """
    known = hashlib.sha256(f"{type(run_id).__name__}:{run_id}".encode()).digest()
    return base64.urlsafe_b64encode(known[:9]).decode()


def _first(times: Mapping[Any, float], count: int) -> tuple[dict[Any, float], dict[Any, float]]:
    """The ``count`` oldest of the runs, and the others."""
    ordered = sorted(times.items(), key=lambda pair: pair[1])
    count = max(0, count)
    return dict(ordered[:count]), dict(ordered[count:])


def _shortened(times: Mapping[Any, float]) -> list[list[Any]]:
    # Rounded up: a time below the floor would forget that the run was delivered.
    return [[key, math.ceil(created)] for key, created in times.items()]


def _affordable(times: Mapping[RunId, float]) -> tuple[dict[RunId, float], dict[RunId, float]]:
    """The oldest of the active runs, as many as a cursor can keep, and the others."""
    ordered = sorted(times.items(), key=lambda pair: pair[1])
    sizes = accumulate(packed_size(run_id) for run_id, _ in ordered)
    count = sum(size <= OPEN_BYTES for size in sizes)
    return dict(ordered[:count]), dict(ordered[count:])


def _ended(due: Due) -> tuple[float, str]:
    ended = due.run.result.finished_at
    return ended.timestamp() if ended else due.created, str(due.run.result.run_id)
