"""Tapes: what was done to a case's task, and what Airflow and the service made of it, as small files.

The simulation is held against them (`tests/simulation/test_tapes.py`). PostgreSQL itself writes down every state
that is committed, so nothing is too short to be seen.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, text

from airflow_provider_testerarmy.sandbox.testerarmy.engine import status_at
from tests.chaos.stage import LOST_AFTER, TASK

if TYPE_CHECKING:
    from tests.chaos.scene import Scene

FOLDER_VARIABLE: Final = "TESTERARMY_TAPES"
_IDS: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")

_TABLES: Final = """
CREATE TABLE tape (
    number bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
    transaction text NOT NULL DEFAULT pg_current_xact_id()::text,
    kind text NOT NULL, dag_id text, run_id text, task_id text, facts jsonb NOT NULL
);
CREATE FUNCTION tape_task() RETURNS trigger AS $$ BEGIN
    INSERT INTO tape (kind, dag_id, run_id, task_id, facts) VALUES ('task', NEW.dag_id, NEW.run_id, NEW.task_id,
        jsonb_build_array(NEW.state, NEW.try_number, NEW.max_tries, NEW.id::text, NEW.trigger_id));
    RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE FUNCTION tape_dag_run() RETURNS trigger AS $$ BEGIN
    INSERT INTO tape (kind, dag_id, run_id, facts) VALUES ('dag_run', NEW.dag_id, NEW.run_id,
        jsonb_build_array(NEW.state, NEW.clear_number));
    RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE FUNCTION tape_trigger() RETURNS trigger AS $$ BEGIN
    INSERT INTO tape (kind, facts) VALUES ('trigger', jsonb_build_array(NEW.id, NEW.triggerer_id));
    RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER tape AFTER INSERT OR UPDATE OF state, try_number, max_tries, id ON task_instance
    FOR EACH ROW EXECUTE FUNCTION tape_task();
CREATE TRIGGER tape AFTER INSERT OR UPDATE OF state, clear_number ON dag_run
    FOR EACH ROW EXECUTE FUNCTION tape_dag_run();
CREATE TRIGGER tape AFTER UPDATE OF triggerer_id ON trigger
    FOR EACH ROW EXECUTE FUNCTION tape_trigger();
"""


def folder() -> Path | None:
    """Where tapes are wanted, if they are."""
    wanted = os.environ.get(FOLDER_VARIABLE)
    return Path(wanted) if wanted else None


def prepare(engine: Engine) -> None:
    """Let the database write down every state of tasks, DAG runs and triggers."""
    with engine.begin() as link:
        link.execute(text(_TABLES))


def write(scene: Scene, into: Path) -> None:
    """Write a case's tape, if the simulation can play such a case and it has gone well."""
    if not scene.is_taped or scene.outcome.problems():
        return
    scene.stage.airflow.wait_dag_run(scene.dag_id, scene.run_id)
    into.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", scene.case.name.lower()).strip("-")
    (into / f"{name}.json").write_text(_readable(_tape(scene)), encoding="utf-8")


def _readable(tape: Mapping[str, Any]) -> str:
    """JSON with a line for each event."""
    parts = []
    for name, value in tape.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            rows = ",\n    ".join(json.dumps(row) for row in value)
            parts.append(f'  "{name}": [\n    {rows}\n  ]')
        else:
            parts.append(f'  "{name}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _tape(scene: Scene) -> dict[str, Any]:
    began = next(deed.at for deed in scene.deeds.done if deed.what == "start")
    with scene.stage.engine.connect() as link:
        query = text(
            "SELECT number, extract(epoch FROM at)::float AS at, transaction, kind, task_id, facts FROM tape "
            "WHERE (dag_id = :dag_id AND run_id = :run_id) OR kind = 'trigger' ORDER BY number"
        )
        found = link.execute(query, {"dag_id": scene.dag_id, "run_id": scene.run_id}).mappings().all()
    rows = [row for row in found if row["kind"] != "task" or row["task_id"] == TASK]
    states, triggers = _states(rows, began)
    service = _service(scene, began)
    taken = _triggerers(rows, triggers, began)
    # A triggerer is said to be at work a moment after it has taken its first triggers.
    over = max(row[0] for row in (*states, *service, *taken)) + began + 1.0
    return {
        "case": scene.case.name,
        "task": _task(scene),
        "airflow": {
            "worker_lost_after": float(LOST_AFTER["AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"]),
            "triggerer_lost_after": float(LOST_AFTER["AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD"]),
        },
        "deeds": _deeds(scene, began, over),
        "states": states,
        "dag_run": _distinct(
            [[_since(row, began), *row["facts"]] for row in rows if row["kind"] == "dag_run"]
        ),
        "triggerers": taken,
        "service": service,
        "runs": [status_at(run, scene.sandbox.clock.time()) for run in scene.runs()],
    }


def _task(scene: Scene) -> dict[str, Any]:
    case, start = scene.case, next(deed for deed in scene.deeds.done if deed.what == "start")
    return {
        "kind": "group" if case.kind == "group" else "test",
        "deferrable": case.mode == "deferrable",
        "retries": case.retries,
        "timeout": float(start.details.get("timeout", 3600)),
        "execution_timeout": scene.execution_seconds,
        "read_timeout": start.details.get("read_timeout"),
    }


def _states(rows: list[Any], began: float) -> tuple[list[list[Any]], set[int]]:
    """State, try number, max_tries and, numbered, the id of the task instance; the last of each transaction."""
    last = {row["transaction"]: row for row in rows if row["kind"] == "task"}
    ids: dict[str, int] = {}
    states, triggers = [], set()
    for row in last.values():
        state, try_number, max_tries, id_, trigger = row["facts"]
        states.append([_since(row, began), state, try_number, max_tries, ids.setdefault(id_, len(ids) + 1)])
        triggers |= {trigger} - {None}
    return _distinct(states), triggers


def _triggerers(rows: list[Any], triggers: set[int], began: float) -> list[list[Any]]:
    """Which triggerer, numbered, took the task's trigger and when."""
    jobs: dict[int, int] = {}
    taken = []
    for row in rows:
        if row["kind"] == "trigger" and row["facts"][0] in triggers and row["facts"][1] is not None:
            number = jobs.setdefault(row["facts"][1], len(jobs) + 1)
            taken.append([_since(row, began), triggers_in_order(triggers)[row["facts"][0]], number])
    return _distinct(taken)


def triggers_in_order(triggers: Iterable[int]) -> dict[int, int]:
    """The triggers of a task, numbered from 1."""
    return {id_: number for number, id_ in enumerate(sorted(triggers), 1)}


def _service(scene: Scene, began: float) -> list[list[Any]]:
    """Accepted submissions and cancellations with their numbers of runs, and requests that a fault has struck."""
    runs = {run.id: run for run in scene.runs()}
    log = scene.sandbox.log
    found = []
    for entry in scene.posts():
        # The effect of a request that a fault has delayed comes later than the request.
        at = max(entry.at, *(runs[str(id_)].created for id_ in entry.run_ids if str(id_) in runs))
        found.append([round(at - began, 2), "submitted", len(entry.run_ids)])
    found += [
        [round(entry.at - began, 2), "cancelled", len(mine)]
        for entry in log.cancellations()
        if (mine := set(map(str, entry.run_ids)) & set(runs))
    ]
    found += [
        [round(entry.at - began, 2), "struck", entry.fault]
        for entry in log.entries()
        if entry.fault and any(each in entry.path + entry.query for each in {*runs, *scene.targets})
    ]
    return sorted(found, key=lambda row: row[0])


def _deeds(scene: Scene, began: float, over: float) -> list[list[Any]]:
    """What was done to the task and, from the beginning of its drill to its end, to all."""
    shared = [deed for deed in scene.stage.deeds.done if scene.made <= deed.at <= over]
    both = sorted([*scene.deeds.done, *shared], key=lambda deed: deed.at)
    return [
        [round(deed.at - began, 2), deed.what, _without_ids(scene, deed.details)]
        for deed in both
        if deed.what != "start"
    ]


def _without_ids(scene: Scene, details: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        return _IDS.sub("*", value) if isinstance(value, str) else value

    changed = {name: plain(value) for name, value in details.items()}
    if "test_id" in details:
        changed["test_id"] = "the same" if details["test_id"] == scene.target else "another"
    return changed


def _since(row: Any, began: float) -> float:
    return round(row["at"] - began, 2)


def _distinct(rows: list[list[Any]]) -> list[list[Any]]:
    """Without rows that say the same as the one before."""
    return [row for number, row in enumerate(rows) if not number or row[1:] != rows[number - 1][1:]]
