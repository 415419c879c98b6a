"""What `memory show` prints: tables for people, and values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_testerarmy.lifecycle.memory_list import Found, is_known
from airflow_provider_testerarmy.lifecycle.memory_quarantine import in_force
from airflow_provider_testerarmy.runs.memory.model import Memory, NightRef, TestMemory, Unreadable
from airflow_provider_testerarmy.runs.text import plural

LEGEND: Final = (
    "One letter for each night: P passed, K passed after a failure, F failed, V passed with a violation, "
    "E errored, C cancelled, S skipped, U unknown, . no result. Lower case: not judged."
)


def memory_value(found: Found, memory: Memory | Unreadable, wanted: str | None = None) -> dict[str, Any]:
    """A memory as JSON.

    :param wanted: the key of the only test to include.
    """
    head: dict[str, Any] = {
        "id": found.entry.id,
        "service": found.service,
        "conn_id": found.conn_id,
        "target": found.target,
        "environment": dict(found.environment),
    }
    if isinstance(memory, Unreadable):
        return {**head, "fault": memory.reason}
    nights = [
        {"at": _iso(ref.at), "run": ref.key, "commit": ref.commit, "address": ref.address}
        for ref in memory.nights
    ]
    tests = [
        _test_value(memory, test_id, test)
        for test_id, test in memory.tests.items()
        if (wanted is None or wanted == test_id) and is_known(test)
    ]
    return {**head, "nights": nights, "tests": tests}


def memories_table(loaded: Sequence[tuple[Found, Memory | Unreadable]]) -> str:
    """One line for each memory."""
    rows = [(found.entry.id, *_summary(memory), found.name) for found, memory in loaded]
    return _table(("ID", "NIGHTS", "TESTS", "FAILING", "QUARANTINED", "LAST NIGHT", "MEMORY"), rows)


def tests_table(found: Found, value: Mapping[str, Any]) -> str:
    """One line for each test; those that fail come first."""
    tests = sorted(value["tests"], key=lambda test: (test["failing"] is None, test["test_id"]))
    rows = [
        (
            test["test_id"],
            test["outcomes"],
            _failing(test["failing"]),
            _mark(test["last_pass"]),
            _held(test["quarantine"]),
        )
        for test in tests
    ]
    head = f"{found.name} ({found.entry.id}), {plural(len(value['nights']), 'night')}"
    body = _table(("TEST", "OUTCOMES", "FAILING SINCE", "LAST PASS", "QUARANTINE"), rows)
    return f"{head}\n{body}\n{LEGEND}"


def _summary(memory: Memory | Unreadable) -> tuple[str, str, str, str, str]:
    if isinstance(memory, Unreadable):
        return "?", "?", "?", "?", f"unreadable: {memory.reason}"
    failing = sum(memory.streak(test) is not None for test in memory.tests.values())
    held = sum(in_force(test) is not None for test in memory.tests.values())
    last = _day(_iso(memory.nights[-1].at)) if memory.nights else "-"
    return (
        str(len(memory.nights)),
        str(sum(map(is_known, memory.tests.values()))),
        str(failing),
        str(held),
        last,
    )


def _test_value(memory: Memory, test_id: str, test: TestMemory) -> dict[str, Any]:
    streak, passed, held = memory.streak(test), memory.last_pass(test), in_force(test)
    failing = streak and {
        "since": _iso(streak.first.at),
        "nights": streak.nights,
        "commit": streak.first.commit,
    }
    return {
        "test_id": test_id,
        "outcomes": test.letters,
        "failing": failing,
        "last_pass": passed and _mark_value(passed),
        "quarantine": held
        and {
            "owner": held.owner,
            "reason": held.reason,
            "since": _iso(held.since),
            "until": _iso(held.until),
        },
    }


def _mark_value(ref: NightRef) -> dict[str, str]:
    return {"at": _iso(ref.at), "commit": ref.commit}


def _failing(failing: Mapping[str, Any] | None) -> str:
    if failing is None:
        return "-"
    commit = f" on {failing['commit'][:7]}" if failing["commit"] else ""
    return f"{_day(failing['since'])}{commit}, {plural(failing['nights'], 'night')}"


def _mark(mark: Mapping[str, str] | None) -> str:
    if mark is None:
        return "-"
    return _day(mark["at"]) + (f" on {mark['commit'][:7]}" if mark["commit"] else "")


def _held(held: Mapping[str, str] | None) -> str:
    if held is None:
        return "-"
    return f"until {_minute(held['until'])} by {held['owner']}: {held['reason']}"


def until_text(at: int) -> str:
    """A moment for people.

    :param at: seconds since the epoch.
    """
    return _minute(_iso(at))


def _minute(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC"


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _day(moment: str) -> str:
    return moment[:10]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )
    return "\n".join(lines)
