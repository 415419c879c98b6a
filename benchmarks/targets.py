"""The performance targets of this provider, and whether the results reach them."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measure import Measurement
from benchmarks.results import Results, best

SIZE = 1000
LARGE = 5000
REQUESTS_SHARE = 1 / 10
CPU_SHARE = 1 / 5
MAX_CONNECTIONS = 8


@dataclass(frozen=True)
class Target:
    """One target and its result.

    :param wanted: the target.
    :param got: what was measured.
    :param reached: whether the target is reached; None if something was not measured.
    """

    wanted: str
    got: str
    reached: bool | None

    @property
    def verdict(self) -> str:
        """The result as one word."""
        return {True: "yes", False: "NO", None: "not measured"}[self.reached]


def targets(results: Results, interval: float) -> list[Target]:
    """All targets, in order."""
    return [*_against_peers(results, interval), _large(results), *_limit(results)]


def _against_peers(results: Results, interval: float) -> list[Target]:
    ours, peers = results.ours(SIZE), results.peers(SIZE, interval)
    lines: list[Target] = []

    def against(wanted: str, metric: str, share: float, unit: str) -> None:
        if ours is None or not peers:
            lines.append(Target(wanted, "", None))
            return
        peer = best(peers, metric)
        mine, theirs = getattr(ours, metric), getattr(peer, metric)
        got = f"{mine:,.4g}{unit}, {peer.contender} {theirs:,.4g}{unit}"
        lines.append(Target(wanted, got, mine <= share * theirs))

    at = f"{SIZE:,} runs"
    against(f"{at}: requests at most 1/10 of the best peer's", "requests", REQUESTS_SHARE, "")
    lines.append(_alone(ours, f"{at}: at most {MAX_CONNECTIONS} connections", "connections", MAX_CONNECTIONS))
    against(f"{at}: CPU at most 1/5 of the best peer's", "cpu", CPU_SHARE, " s")
    against(f"{at}: median delay no larger than the best peer's", "median", 1, " s")
    wanted = f"{at}: 99th percentile of the delay below the interval and 1 s"
    lines.append(_alone(ours, wanted, "p99", interval + 1, " s"))
    lost = (
        None if ours is None else Target(f"{at}: nothing lost, nothing failed", _losses(ours), _whole(ours))
    )
    return [*lines, lost or Target(f"{at}: nothing lost, nothing failed", "", None)]


def _alone(ours: Measurement | None, wanted: str, metric: str, limit: float, unit: str = "") -> Target:
    if ours is None:
        return Target(wanted, "", None)
    got = getattr(ours, metric)
    return Target(wanted, f"{got:,.4g}{unit}", got <= limit)


def _losses(ours: Measurement) -> str:
    return f"{ours.missed} lost, {ours.failed} failed of {ours.ended} that ended"


def _whole(ours: Measurement) -> bool:
    return ours.missed == 0 and ours.failed == 0


def _large(results: Results) -> Target:
    wanted = f"{LARGE:,} runs: CPU per run no higher than with {SIZE:,}"
    some, many = results.ours(SIZE), results.ours(LARGE)
    if some is None or many is None:
        return Target(wanted, "", None)
    each, less = some.cpu / SIZE, many.cpu / LARGE
    return Target(wanted, f"{1000 * less:.3g} ms against {1000 * each:.3g} ms", less <= each)


def _limit(results: Results) -> list[Target]:
    found = results.limited
    if found is None:
        return [Target("server limit: nothing fails, nothing is lost", "", None)]
    at = f"{found.count:,} runs, server limit {found.rate:g} requests/s"
    if found.note:
        return [Target(f"{at}: nothing fails, nothing is lost", found.note, False)]
    got = f"{found.failed} failed, {found.missed} lost, {found.refused:,} of {found.requests:,} requests refused"
    return [
        Target(f"{at}: nothing fails, nothing is lost", got, found.failed == 0 and found.missed == 0),
        Target(
            f"{at}: {found.ended} of them end and are reported while it is in force",
            f"after {found.seconds:.4g} s",
            found.seconds != float("inf"),
        ),
    ]
