"""What earlier tries of a task said, as a list of bounded size.

Airflow deletes the XComs of a try when the next one starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from airflow_provider_testerarmy.runs.text import one_line

#: The key of the list in the task state store.
KEY: Final = "test_runs_tries"
#: The maximum size of the list in bytes of JSON, and the most tries in it.
MAX_BYTES: Final = 8 * 1024
MAX_TRIES: Final = 10
#: The most reasons and tests of one try, those that did not pass first.
MAX_REASONS: Final = 6
MAX_TESTS: Final = 12
_VERSION: Final = 1


def try_entry(number: int, at: float, summary: Mapping[str, Any]) -> dict[str, Any]:
    """What one try said, as JSON values without null.

    :param number: of the try.
    :param at: seconds since the epoch.
    :param summary: as :func:`~airflow_provider_testerarmy.runs.verdict.summary.summarize` returns it; of a try
        without a verdict only ``reasons``.
    """
    bad = [test for test in summary.get("tests", ()) if test["outcome"] != "passed"]
    return {
        "try": number,
        "at": int(at),
        "verdict": summary.get("verdict") or "",
        "reasons": [one_line(reason, 300) for reason in summary.get("reasons", ())[:MAX_REASONS]],
        "counts": dict(summary.get("counts", {})),
        "tests": [
            {"title": one_line(test["title"], 100), "outcome": test["outcome"]} for test in bad[:MAX_TESTS]
        ],
        "more": max(0, len(bad) - MAX_TESTS),
    }


def list_of(entry: object) -> dict[str, Any]:
    """The list with this entry alone, of which :func:`with_entry` checks the form; users can edit it."""
    return {"version": _VERSION, "tries": [entry]}


def with_entry(stored: object, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The list with another try, without the oldest ones if it would be too long.

    :param stored: the list as it is stored; users can edit it.
    """
    held = stored.get("tries") if isinstance(stored, Mapping) and stored.get("version") == _VERSION else None
    known = [dict(one) for one in held if _is_entry(one)] if isinstance(held, list) else []
    tries = [*(one for one in known if one["try"] != entry["try"]), dict(entry)][-MAX_TRIES:]
    while _size(tries) > MAX_BYTES:
        # The newest try has the most to say: the oldest details go first, and then the oldest try.
        longest = next((one for one in tries if one["tests"] or len(one["reasons"]) > 1), None)
        if longest is not None:
            longest.update(tests=[], reasons=list(longest["reasons"])[:1])
        elif len(tries) > 1:
            del tries[0]
        else:
            tries[0].update(reasons=[])
            break
    return {"version": _VERSION, "tries": tries}


def _is_entry(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("try"), int)
        and isinstance(value.get("reasons"), list)
        and isinstance(value.get("tests"), list)
    )


def _size(tries: Sequence[Mapping[str, Any]]) -> int:
    return len(json.dumps({"version": _VERSION, "tries": tries}).encode())
