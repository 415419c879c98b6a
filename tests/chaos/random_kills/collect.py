"""Collects the evidence from the sandbox's log and stores, Airflow's tables and its log files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

from airflow_provider_testerarmy.sandbox.core.requestlog import LogEntry
from airflow_provider_testerarmy.sandbox.docket.store import DocketRun
from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy import engine, outputs
from tests.chaos.random_kills.airflow_tables import AirflowTables, key_of
from tests.chaos.random_kills.events import Event, Key
from tests.chaos.random_kills.evidence import Evidence, Post, Read, Run, Task, Try
from tests.chaos.random_kills.plan import BY_ID, DAG_ID, family, target_of, tests_of, waves

#: Answers that do not say whether a request took effect.
_UNCLEAR: Final = frozenset({303, 404, 408, 425})
_RAISED: Final = re.compile(r'"exc_type":\s*"(\w+)"')
_LAST_LINES: Final = 25


def gather(
    tables: AirflowTables, sandbox: Sandbox, dag_runs: Mapping[str, int], events: list[Event], logs: Path
) -> Evidence:
    """Return the evidence.

    :param dag_runs: the wave of each DAG run.
    :param logs: the folder of Airflow's logs.
    """
    owners = _owners(dag_runs.values())
    runs = [*_army_runs(sandbox, owners), *_docket_runs(sandbox, owners)]
    own = {run.id: run.family for run in runs}
    posts, reads = [], []
    for entry in sandbox.log.entries():
        if entry.method == "POST" and "run" in entry.path and not entry.path.endswith("/cancel"):
            posts += _post(entry, owners, own)
        elif entry.method == "GET" and entry.path == "/runs":
            reads += _read(entry, owners)
    return Evidence(
        time.time(),
        tuple(_tasks(tables, dag_runs, logs)),
        tuple(posts),
        tuple(reads),
        tuple(runs),
        tuple(events),
        _named(logs, [run.id for run in runs if run.ended is None]),
    )


def _owners(numbers: Iterable[int]) -> dict[str, str]:
    """The family of every target and test."""
    count = max(numbers) + 1
    found: dict[str, str] = {}
    for wave, profile in waves(count):
        found |= dict.fromkeys((target_of(wave, profile), *tests_of(wave, profile)), family(wave, profile))
    return found


# the service


def _post(entry: LogEntry, owners: Mapping[str, str], own: Mapping[str, str]) -> list[Post]:
    """A submission; of one to Docket that started nothing the log does not tell the target."""
    parts = entry.path.split("/")
    named = [owners[part] for part in parts if part in owners]
    named += [own[str(run_id)] for run_id in entry.run_ids if str(run_id) in own]
    if not named:
        return []
    answered = entry.answered
    unclear = not isinstance(answered, int) or answered >= 500 or answered in _UNCLEAR
    text = f"POST {entry.path} ({answered}{', ' + entry.fault if entry.fault else ''}, {len(entry.run_ids)} runs)"
    started = tuple(map(str, entry.run_ids))
    return [Post(entry.at, named[0], entry.effect == "submitted", unclear, started, text)]


def _read(entry: LogEntry, owners: Mapping[str, str]) -> list[Read]:
    asked = parse_qs(entry.query)
    if "status" in asked or entry.answered != 200:
        return []
    test = asked.get("testId", [""])[0]
    return [Read(entry.at, owners.get(test))]


def _army_runs(sandbox: Sandbox, owners: Mapping[str, str]) -> list[Run]:
    now = sandbox.clock.time()
    found = []
    for run in list(sandbox.store.runs.values()):
        if run.test is None or run.test.id not in owners:
            continue
        status = engine.status_at(run, now)
        passes = run.outcome.output is outputs.passed
        ended = None if engine.is_active(run, now) else engine.ended_at(run)
        passed = passes and status == "completed"
        found.append(
            Run(
                run.id,
                owners[run.test.id],
                run.test.id,
                run.created,
                ended,
                passed,
                passes,
                f"{run.script}: {status}",
            )
        )
    return found


def _docket_runs(sandbox: Sandbox, owners: Mapping[str, str]) -> list[Run]:
    now = sandbox.clock.time()
    return [_docket_run(run, now, owners) for run in list(sandbox.docket.runs.values())]


def _docket_run(run: DocketRun, now: float, owners: Mapping[str, str]) -> Run:
    test, status = str(run.blueprint.id), run.status(now)
    ended = run.changed(now) if run.ended(now) else None
    passes = run.course.then[-1][0] == "passed"
    return Run(str(run.id), owners[test], test, run.created, ended, status == "passed", passes, status)


# Airflow


def _tasks(tables: AirflowTables, dag_runs: Mapping[str, int], logs: Path) -> list[Task]:
    ends = {row["run_id"]: _epoch(row["end_date"]) or time.time() for row in tables.dag_runs()}
    current = tables.instances()
    rows: dict[Key, list[dict[str, Any]]] = {key_of(row): [] for row in current}
    for row in [*tables.earlier_tries(), *current]:
        # An instance that was there before its task was mapped has left only its tries.
        rows.setdefault(key_of(row), []).append(row)
    found = []
    for row in current:
        key = key_of(row)
        profile = BY_ID[key[1]]
        tries = [_try(each, logs) for each in sorted(rows[key], key=lambda each: int(each["try_number"]))]
        found.append(
            Task(
                key,
                family(dag_runs[key[0]], profile),
                str(row["state"]),
                profile.retries,
                tuple(tries),
                ends[key[0]],
                _summary(tables, key),
                profile.siblings,
                profile.tolerates,
                not profile.endless,
                can_cancel=profile.vendor != "docket",
                can_list=profile.vendor != "docket",
            )
        )
    return found


def _try(row: Mapping[str, Any], logs: Path) -> Try:
    run_id, task_id, index = key_of(row)
    folder = logs / f"dag_id={DAG_ID}" / f"run_id={run_id}" / f"task_id={task_id}"
    path = (folder / f"map_index={index}" if index >= 0 else folder) / f"attempt={row['try_number']}.log"
    text = path.read_text(errors="replace") if path.exists() else ""
    raised = _RAISED.findall(text)
    return Try(
        int(row["try_number"]),
        _epoch(row["start_date"]),
        _epoch(row["end_date"]),
        str(row["state"]),
        raised[-1] if raised else "",
        "\n".join(text.splitlines()[-_LAST_LINES:]),
    )


def _summary(tables: AirflowTables, key: Key) -> tuple[str, ...] | None:
    """The runs that the task's summary names."""
    value = tables.summary(key)
    return None if value is None else tuple(map(str, value.get("run_ids", ())))


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _named(logs: Path, run_ids: list[str]) -> frozenset[str]:
    """Those of the runs that a line of a log names."""
    left = {run_id: re.compile(rf"\b{re.escape(run_id)}\b") for run_id in run_ids}
    found: set[str] = set()
    for path in logs.rglob("*.log*"):
        text = path.read_text(errors="replace") if left else ""
        found |= {run_id for run_id, pattern in left.items() if pattern.search(text)}
        left = {run_id: pattern for run_id, pattern in left.items() if run_id not in found}
    return frozenset(found)
