"""The results, stored in a file so that each part can be measured separately."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import OURS, PEERS
from benchmarks.floor import Round
from benchmarks.imports import ImportCost
from benchmarks.limit import Limited
from benchmarks.measure import Measurement
from benchmarks.whole import Whole


@dataclass
class Results:
    """The results of all parts; some may not be measured yet.

    :param triggers: the measurements by contender and number of runs.
    :param machine: the environment of the latest measurement.
    """

    triggers: dict[tuple[str, int], Measurement] = field(default_factory=dict)
    imports: list[ImportCost] = field(default_factory=list)
    limited: Limited | None = None
    whole: Whole | None = None
    rounds: list[Round] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Load what :meth:`save` wrote; empty results if there is no such file."""
        if not path.exists():
            return cls()
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found = [Measurement(**item) for item in data["triggers"]]
        return cls(
            {(item.contender, item.count): item for item in found},
            [ImportCost(**item) for item in data["imports"]],
            Limited(**data["limited"]) if data["limited"] else None,
            Whole(**data["whole"]) if data["whole"] else None,
            [Round(**item) for item in data.get("rounds", ())],
            data["machine"],
        )

    def save(self, path: Path) -> None:
        """Write the results as JSON, with `Infinity` for infinite numbers."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "triggers": [asdict(item) for _key, item in sorted(self.triggers.items())],
            "imports": [asdict(item) for item in self.imports],
            "limited": asdict(self.limited) if self.limited else None,
            "whole": asdict(self.whole) if self.whole else None,
            "rounds": [asdict(item) for item in self.rounds],
            "machine": self.machine,
        }
        path.write_text(json.dumps(data, indent=1), encoding="utf-8")

    def sizes(self) -> list[int]:
        """The numbers of runs that were measured for any contender."""
        return sorted({count for _name, count in self.triggers})

    def ours(self, count: int) -> Measurement | None:
        """The measurement of this provider; None if there is none."""
        found = self.triggers.get((OURS.name, count))
        return None if found is None or found.note else found

    def peers(self, count: int, interval: float) -> list[Measurement]:
        """The peers to compare with: those that kept up, or all measured ones if none did."""
        found = [self.triggers.get((peer.name, count)) for peer in PEERS]
        measured = [item for item in found if item is not None and not item.note]
        return [item for item in measured if kept_up(item, interval)] or measured


def kept_up(item: Measurement, interval: float) -> bool:
    """Whether a contender polled as often as it should; one that fell behind sent too few requests to compare."""
    return item.missed == 0 and item.failed == 0 and item.p99 <= 2 * interval


def best(peers: Iterable[Measurement], metric: str) -> Measurement:
    """The peer with the lowest number.

    :raises ValueError: there are no peers.
    """
    return min(peers, key=lambda item: float(getattr(item, metric)))
