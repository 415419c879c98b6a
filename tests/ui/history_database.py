"""A real metadata database with many test tasks, written directly, and the tab's application on top of it."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
from airflow import settings
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Engine, create_engine, event, insert
from sqlalchemy.orm import scoped_session, sessionmaker

from tests.rig.database import database, run_migration

KINDS = {True: "failed", False: "passed"}
#: About as long as what a service says about a failed run.
REASON = "The page showed an empty cart after the payment, although the order had been confirmed before. "


@dataclass(frozen=True)
class Night:
    """A test task to store. `tests` are rows of a summary, `issues` pairs of a test's title and what it says."""

    when: datetime
    verdict: str | None = "passed"
    dag_id: str = "shop"
    run_id: str = "r"
    task_id: str = "nightly"
    map_index: int = -1
    tests: tuple[dict[str, Any], ...] = ()
    issues: tuple[tuple[str, str], ...] = ()
    note: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    #: Stands for the summary where it is stored in another form.
    value: Any = None

    def summary(self) -> Any:
        """The XCom `return_value`."""
        if self.value is not None or self.verdict is None:
            return self.value
        outcomes = [test["outcome"] for test in self.tests]
        ids = {test["title"]: test["run_id"] for test in self.tests}
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "counts": {
                "total": len(outcomes),
                **{kind: outcomes.count(kind) for kind in sorted(set(outcomes))},
            },
            "run_ids": [test["run_id"] for test in self.tests],
            "batch_id": None,
            "url": None,
            "issues": [
                {
                    "test": test,
                    "run_id": ids.get(test),
                    "name": name,
                    "type": "issue",
                    "severity": 4,
                    "url": None,
                }
                for test, name in self.issues
            ],
            "tests": list(self.tests),
            "flaky": 0,
            "started_at": self.when.isoformat(timespec="seconds"),
            "finished_at": (self.when + timedelta(seconds=100)).isoformat(timespec="seconds"),
            "truncated": {},
        }


def result(title: str, outcome: str = "passed", seconds: float = 10.0, test_id: str = "") -> dict[str, Any]:
    """A row of a summary's `tests`."""
    named = test_id or f"id-{title}"
    return {
        "run_id": str(uuid.uuid4()),
        "test_id": named,
        "title": title,
        "outcome": outcome,
        "seconds": seconds,
    }


def nights(count: int, dags: int, *, tests: int = 10, newest: datetime | None = None) -> Iterator[Night]:
    """Tasks, an hour apart in each DAG; the last test fails every seventh night."""
    now = newest or datetime.now(UTC).replace(microsecond=0)
    for number in range(count):
        place, age = number % dags, number // dags
        failed = age % 7 == 3
        rows = tuple(
            result(
                f"Test {each} of shop {place}",
                "failed" if failed and each == tests - 1 else "passed",
                5.0 + each,
            )
            for each in range(tests)
        )
        last = f"Test {tests - 1} of shop {place}"
        yield Night(
            now - timedelta(seconds=60 + age * max(1, 25 * 86400 * dags // count)),
            "failed" if failed else "passed",
            f"shop_{place:03}",
            f"scheduled__{age:06}",
            tests=rows,
            issues=((last, f"The order {age} took {age}.5 s"),) if failed else (),
            note={"label": f"group g{place}", "title": f"Nightly {place}", "environment": "staging"},
            reasons=(f"{last}: failed: {REASON * 4}",) if failed else (f"{tests} of {tests} runs passed",),
        )


def store_nights(engine: Engine, stored: Iterable[Night], *, as_text: bool = False, before: int = 0) -> None:
    """Write tasks in the form that Airflow gives them.

    :param as_text: whether a value is JSON inside a JSON string, as some versions of Airflow store it.
    :param before: how many tasks, of other DAGs, have been stored already.
    """
    known: set[str] = set()
    number = before
    with engine.begin() as connection:
        for chunk in _chunks(stored, 2000):
            new = {night.dag_id for night in chunk} - known
            if new and not number:
                connection.execute(insert(DagBundleModel.__table__), [{"name": "b", "active": True}])
            if new:
                connection.execute(insert(DagModel.__table__), [_dag(dag_id) for dag_id in sorted(new)])
            known |= new
            runs = [_run(night, number + place) for place, night in enumerate(chunk, 1)]
            connection.execute(insert(DagRun.__table__), runs)
            connection.execute(insert(TaskInstance.__table__), [_task(night) for night in chunk])
            values = [
                _xcom(night, number + place, key, json.dumps(value) if as_text else value)
                for place, night in enumerate(chunk, 1)
                for key, value in (
                    ("test_runs", {"version": 1, **night.note}),
                    ("return_value", night.summary()),
                )
                if value is not None
            ]
            connection.execute(insert(XComModel.__table__), values)
            number += len(chunk)


def _chunks(stored: Iterable[Night], size: int) -> Iterator[list[Night]]:
    chunk: list[Night] = []
    for night in stored:
        chunk.append(night)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _dag(dag_id: str) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "bundle_name": "b",
        "is_paused": False,
        "is_stale": False,
        "max_active_tasks": 1,
        "max_consecutive_failed_dag_runs": 0,
        "has_task_concurrency_limits": False,
        "fail_fast": False,
        "timetable_type": "",
        "exceeds_max_non_backfill": False,
    }


def _run(night: Night, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "dag_id": night.dag_id,
        "run_id": night.run_id,
        "run_type": "manual",
        "state": "success",
        "run_after": night.when,
        "start_date": night.when,
        "clear_number": 0,
    }


def _task(night: Night) -> dict[str, Any]:
    return {
        # Before Airflow 3.2 the column holds text.
        "id": str(uuid.uuid4()) if TaskInstance.__table__.c.id.type.python_type is str else uuid.uuid4(),
        "dag_id": night.dag_id,
        "run_id": night.run_id,
        "task_id": night.task_id,
        "map_index": night.map_index,
        "start_date": night.when,
        "end_date": night.when + timedelta(seconds=100),
        "updated_at": night.when + timedelta(seconds=100),
        "state": "failed" if night.verdict == "failed" else "success",
        "try_number": 1,
        "pool": "default_pool",
        "pool_slots": 1,
    }


def _xcom(night: Night, number: int, key: str, value: Any) -> dict[str, Any]:
    return {
        "dag_run_id": number,
        "task_id": night.task_id,
        "map_index": night.map_index,
        "key": key,
        "dag_id": night.dag_id,
        "run_id": night.run_id,
        "value": value,
        "timestamp": night.when,
    }


@contextmanager
def airflow_database(home: Path, url: str | None = None) -> Iterator[Engine]:
    """An empty migrated database that this process's Airflow uses.

    :param url: a PostgreSQL server; None means SQLite.
    """
    made = database(url, home)
    made.prepare(
        lambda target: run_migration(target, {**os.environ, "AIRFLOW_HOME": str(home)}, home / "migrate.log")
    )
    engine = create_engine(made.url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    sessions = scoped_session(sessionmaker(bind=engine, expire_on_commit=False))
    try:
        with patch.object(settings, "Session", sessions), patch.object(settings, "engine", engine):
            yield engine
    finally:
        sessions.remove()
        engine.dispose()
        made.drop()


@contextmanager
def client(user: str | None = "viewer", role: str = "viewer") -> Iterator[httpx.AsyncClient]:
    """A client of the tab's application, in this process; without a user, Airflow checks who asks."""
    from airflow_provider_testerarmy.ui.app import app

    init_auth_manager()
    if user is not None:
        app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username=user, role=role)
    try:
        yield httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://tab.test")
    finally:
        app.dependency_overrides.pop(get_user, None)
