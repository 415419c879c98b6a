"""Looks for secrets in everything that the DAG runs of these tests made Airflow write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from tests.integration.conftest import PASSWORD, WRONG_KEY, Seen

pytestmark = pytest.mark.integration

SECRETS = (PASSWORD, DEFAULT_API_KEY, WRONG_KEY)


def files(folder: Path) -> Iterator[Path]:
    """Every file below the folder."""
    yield from (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.fixture(scope="module")
def everything(endings: Seen, refused: Seen, waited: Seen) -> Seen:
    """All DAG runs have been."""
    return waited


def test_the_logs_hold_no_secret(everything: Seen) -> None:
    """Neither those of tasks and triggers, nor those of Airflow's own processes."""
    logs = list(files(everything.airflow.home / "logs"))
    assert any("task_id=wrong_key" in str(path) for path in logs)
    assert any("task_id=prompt" in str(path) for path in logs)
    assert any(path.name == "triggerer.log" for path in logs)
    leaks = [(path, secret) for path in logs for secret in SECRETS if secret.encode() in path.read_bytes()]
    assert leaks == []


def test_the_database_holds_no_secret(everything: Seen) -> None:
    """Not in XComs, rendered fields, triggers, serialized DAGs, task state, or any other table."""
    database = sqlite3.connect(f"file:{everything.airflow.home / 'airflow.db'}?mode=ro", uri=True)
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables >= {"xcom", "rendered_task_instance_fields", "trigger", "task_state_store"}
    leaks = []
    for table in sorted(tables):
        for row in database.execute(f'SELECT * FROM "{table}"'):
            text = "\n".join(
                value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in row
            )
            leaks += [(table, secret) for secret in SECRETS if secret in text]
    database.close()
    assert leaks == []


def test_a_stored_trigger_holds_no_secret(while_waiting: dict[str, Any]) -> None:
    """Decrypted, as Airflow's own processes read it."""
    shown = str(while_waiting["triggers"])
    assert "testerarmy_default" in shown
    assert [secret for secret in SECRETS if secret in shown] == []
