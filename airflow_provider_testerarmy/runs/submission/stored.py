"""Converts a task's record to and from JSON. It writes version 2, and reads versions 1 and 2."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_testerarmy.runs.results import Outcome, RunId
from airflow_provider_testerarmy.runs.run_id_codec import pack, unpack
from airflow_provider_testerarmy.runs.service import RunRequest, Submission
from airflow_provider_testerarmy.runs.submission import search
from airflow_provider_testerarmy.runs.submission.answer import Answer
from airflow_provider_testerarmy.runs.submission.asked import Asked, Generation, without_secrets
from airflow_provider_testerarmy.runs.submission.record import (
    Entry,
    Part,
    PartState,
    Record,
    RecordUnreadable,
    Stage,
)
from airflow_provider_testerarmy.runs.temporary import TemporaryTarget

VERSION: Final = 2
#: The maximum size of a stored request body in bytes. A larger one is omitted, so its runs cannot be matched later.
#: Airflow limits the size of a value in the task state store (`[state_store] max_value_storage_bytes`).
MAX_BODY: Final = 8 * 1024
#: The field with what the first try said, beside the record; see ``runs/verdict/tries.py``.
SAID: Final = "said"
#: One letter for each outcome, to keep the entries of a round short.
_LETTERS: Final = {outcome: str(outcome)[0] for outcome in Outcome}
_OUTCOMES: Final = {letter: outcome for outcome, letter in _LETTERS.items()}


def to_json(record: Record) -> dict[str, Any]:
    """The record as JSON values without null."""
    data: dict[str, Any] = {
        "version": VERSION,
        "asked": asdict(record.asked),
        "generation": record.generation.to_json(),
        "parts": {name: _part_to_json(part) for name, part in record.parts.items()},
        "stage": str(record.stage),
        "rounds": [_entries_to_json(entries) for entries in record.rounds],
        "again": list(record.again),
        "carried": pack(record.carried),
        "cancels": record.cancels,
        "leftovers": [_part_to_json(part) for part in record.leftovers],
    }
    # Airflow's task state store refuses null, so an absent field stands for None.
    if record.deadline is not None:
        data["deadline"] = record.deadline
    # A version that does not know confirming rounds takes such a round for one that repeats failed tests.
    if record.confirming:
        data["confirming"] = [pack(tests) for tests in record.confirming]
    # A version that does not know inherited passes counts them like those of an earlier round.
    if record.inherited:
        data["inherited"] = pack(record.inherited)
    # A version that does not know answers asks again.
    if record.answers:
        data["answers"] = [answer.to_json() for answer in record.answers]
    # A version that does not know decorated functions has no such tasks.
    if record.chosen:
        data["chosen"] = record.chosen
    # A version that does not know runs of other tasks has no operator that takes them.
    if record.taken:
        data["taken"] = pack(record.taken)
    # A version that does not know titles shows the target's id.
    if record.title:
        data["title"] = record.title
    # A version that does not know temporary targets ignores this field, and leaves the target.
    if record.temporary is not None:
        data["temporary"] = asdict(record.temporary)
    # A version that does not know this field leaves the runs of a task that a user marked as succeeded.
    if record.unstopped:
        data["unstopped"] = True
    # A version that does not know searches judges the carried runs, which include the failures, beside its own.
    if record.search is not None:
        data["search"] = search.to_json(record.search)
    if record.held:
        data["held"] = {name: _part_to_json(part) for name, part in record.held.items()}
    return data


def from_json(data: object) -> Record | None:
    """The record from JSON of version 1 or 2; None if there is none.

    :raises RecordUnreadable: for any other data. It is not ignored, because it may name an active run.
    """
    if data is None:
        return None
    version = data.get("version") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or version not in (1, VERSION):
        raise RecordUnreadable(
            f"it has version {version!r}; this package reads versions 1 and {VERSION}", runs_named(data)
        )
    try:
        return _read(data) if version == VERSION else _read_first_version(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordUnreadable(f"{type(error).__name__}: {error}", runs_named(data)) from error


def runs_named(data: object) -> tuple[RunId, ...]:
    """All run ids in a stored record of any version, even a damaged one."""
    found: list[RunId] = []
    pending = [data]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            for name, item in value.items():
                if name in ("run_ids", "passed", "carried", "candidates", "runs"):
                    found += _ids(item)
                elif isinstance(item, Mapping | list):
                    pending.append(item)
        elif isinstance(value, list):
            pending += value
    return tuple(dict.fromkeys(found))


def said_in(data: object) -> Mapping[str, Any] | None:
    """What the first try said, in a stored record; None if it has nothing. Users can edit it."""
    said = data.get(SAID) if isinstance(data, Mapping) else None
    return said if isinstance(said, Mapping) else None


def carried_runs(data: object) -> tuple[RunId, ...]:
    """The runs of earlier rounds that still count, in a stored record of any version."""
    given = data if isinstance(data, Mapping) else {}
    return runs_named({name: given.get(name) for name in ("carried", "passed")})


def identity(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    """The identity of a task instance, which is the same in all of its tries."""
    return "/".join(map(str, (dag_id, run_id, task_id, -1 if map_index is None else map_index)))


def rejected_runs(data: object) -> tuple[RunId, ...]:
    """The runs of a stored record that the service rejected immediately."""
    parts = data.get("parts") if isinstance(data, Mapping) else None
    submissions = [
        part.get("submission")
        for part in (parts.values() if isinstance(parts, Mapping) else ())
        if isinstance(part, Mapping)
    ]
    lists = [one.get("rejected_run_ids") for one in submissions if isinstance(one, Mapping)]
    return tuple(run_id for given in lists for run_id in _ids(given))


def signature(data: Mapping[str, Any], identity: str, secret: str) -> str:
    """The HMAC that proves that a task of this deployment wrote a record.

    Users may edit task state through Airflow's REST API, but they do not know the connection's secret.

    :param identity: of the task instance, so that a record copied from another task is not valid.
    """
    # Sorted keys: the store does not have to keep their order.
    unsigned = {name: value for name, value in data.items() if name != "signature"}
    text = json.dumps([identity, unsigned], sort_keys=True, separators=(",", ":"))
    return hmac.new(secret.encode("utf-8", "replace"), text.encode(), hashlib.sha256).hexdigest()


def is_signed(data: object, identity: str, secret: str) -> bool:
    """Whether a stored record has a valid signature for this task instance and secret."""
    if not isinstance(data, Mapping) or not secret:
        return False
    given = data.get("signature")
    return isinstance(given, str) and hmac.compare_digest(
        given.encode("utf-8", "replace"), signature(data, identity, secret).encode()
    )


def _ids(value: object) -> list[RunId]:
    try:
        given = unpack(value)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError):
        return []
    return [one for one in given if isinstance(one, str | int)]


def _read(data: Mapping[str, Any]) -> Record:
    return Record(
        Asked(**{name: str(value) for name, value in data["asked"].items()}),
        Generation(*(int(number) for number in data["generation"])),
        {str(name): _part_from_json(part) for name, part in data["parts"].items()},
        Stage(data["stage"]),
        None if data.get("deadline") is None else float(data["deadline"]),
        tuple(_entries_from_json(entries) for entries in data["rounds"]),
        tuple(map(str, data["again"])),
        tuple(unpack(data["carried"])),
        bool(data["cancels"]),
        tuple(_part_from_json(part) for part in data["leftovers"]),
        tuple(tuple(map(str, unpack(tests))) for tests in data.get("confirming", ())),
        _temporary_from_json(data.get("temporary")),
        None if data.get("search") is None else search.from_json(data["search"]),
        {str(name): _part_from_json(part) for name, part in data.get("held", {}).items()},
        tuple(unpack(data.get("inherited", ()))),
        tuple(Answer.from_json(answer) for answer in data.get("answers", ())),
        str(data.get("chosen", "")),
        tuple(unpack(data.get("taken", ()))),
        str(data.get("title", "")),
        bool(data.get("unstopped", False)),
    )


def _temporary_from_json(data: Mapping[str, Any] | None) -> TemporaryTarget | None:
    if data is None:
        return None
    # A newer version may write further fields.
    return TemporaryTarget(str(data["name"]), str(data["project_id"]), str(data.get("target", "")))


def _read_first_version(data: Mapping[str, Any]) -> Record:
    """Read version 1: it has no requests, only ``max_tries``, and only passes and failures of earlier rounds."""
    owner = data.get("owner") or {}
    passed, failed = tuple(data["passed"]), tuple(map(str, data["failed"]))
    rounds: tuple[tuple[Entry, ...], ...] = ()
    if passed or failed:
        # Version 1 has neither the tests of the passed runs nor the run ids of the failed tests.
        rounds = (
            (
                *(Entry("", run_id, Outcome.PASSED, blocks=False) for run_id in passed),
                *(Entry(test_id, "", Outcome.FAILED, blocks=True) for test_id in failed),
            ),
        )
    stage = {"open": Stage.OPEN, "again": Stage.AGAIN, "finished": Stage.CONCLUDED}[data["stage"]]
    return Record(
        Asked(str(owner.get("hook", "")), str(owner.get("conn_id", ""))),
        Generation(int(data["generation"])),
        {
            str(name): _first_version_part(part, over=stage is not Stage.OPEN)
            for name, part in data["parts"].items()
        },
        stage,
        None if data.get("deadline") is None else float(data["deadline"]),
        rounds,
        tuple(map(str, data["again"])),
        passed if data["again"] else (),
        bool(owner.get("cancels", False)),
    )


def _first_version_part(data: Mapping[str, Any], *, over: bool) -> Part:
    since, submission = data.get("since"), data.get("submission")
    if submission:
        state = PartState.ENDED if over else PartState.STARTED
        return Part(None, state, _moment(since), submission=Submission.from_json(submission))
    return Part(None, PartState.SENDING if since else PartState.PLANNED, _moment(since))


def _part_to_json(part: Part) -> dict[str, Any]:
    data: dict[str, Any] = {"state": str(part.state)}
    if part.request is not None:
        data["request"] = _request_to_json(part.request)
    for moment, at in (("since", part.since), ("until", part.until)):
        if at is not None:
            data[moment] = at.isoformat()
    if part.submission is not None:
        data["submission"] = {
            **part.submission.to_json(),
            "run_ids": pack(part.submission.run_ids),
            "rejected_run_ids": pack(part.submission.rejected_run_ids),
        }
    for name, ids in (("known", part.known), ("candidates", part.candidates)):
        if ids:
            data[name] = pack(ids)
    if part.reason:
        data["reason"] = part.reason
    return data


def _part_from_json(data: Mapping[str, Any]) -> Part:
    request, submission, state = data.get("request"), data.get("submission"), PartState(data["state"])
    # A damaged record: without run ids, only a lookup can find what was started.
    if state is PartState.STARTED and submission is None:
        state = PartState.SENDING
    return Part(
        None if request is None else _request_from_json(request),
        state,
        _moment(data.get("since")),
        tuple(unpack(data.get("known", ()))),
        None
        if submission is None
        else Submission.from_json(
            {
                **submission,
                "run_ids": unpack(submission["run_ids"]),
                "rejected_run_ids": unpack(submission.get("rejected_run_ids", ())),
            }
        ),
        tuple(unpack(data.get("candidates", ()))),
        str(data.get("reason", "")),
        _moment(data.get("until")),
    )


def _request_to_json(request: RunRequest) -> dict[str, Any]:
    body = without_secrets(request.body)
    data: dict[str, Any] = {"kind": request.kind, "target": request.target}
    if len(json.dumps(body, default=str)) <= MAX_BODY:
        data["body"] = body
    return data


def _request_from_json(data: Mapping[str, Any]) -> RunRequest:
    body = data.get("body")
    return RunRequest(str(data["kind"]), str(data["target"]), body or {}, whole=body is not None)


def _entries_to_json(entries: Sequence[Entry]) -> dict[str, Any]:
    """The entries column by column, to save space: the task state store must hold rounds of a thousand tests."""
    return {
        "tests": pack([entry.test_id for entry in entries]),
        "runs": pack([entry.run_id for entry in entries]),
        "outcomes": "".join(_LETTERS[entry.outcome] for entry in entries),
        "blocks": "".join("01"[entry.blocks] for entry in entries),
    }


def _entries_from_json(data: Mapping[str, Any]) -> tuple[Entry, ...]:
    columns = zip(unpack(data["tests"]), unpack(data["runs"]), data["outcomes"], data["blocks"], strict=True)
    return tuple(
        Entry(str(test_id), run_id, _OUTCOMES[letter], blocks == "1")
        for test_id, run_id, letter, blocks in columns
    )


def _moment(text: object) -> datetime | None:
    """A time; one without a time zone is taken as UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
