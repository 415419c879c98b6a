"""The memories of the three tasks, as the tests read and edit them: in Airflow's database, and in the folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from airflow_provider_testerarmy.lifecycle.memory import FolderStorage
from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.directory import Entry, ListedStorage, entries
from airflow_provider_testerarmy.runs.memory.model import Memory, test_key
from tests.nights import calendar
from tests.nights.tests_of import GROUPS, NAMES, id_of
from tests.rig.airflow import LocalAirflow


class AssetStates:
    """The rows of Airflow's asset state store. The only asset with rows is that of the memories."""

    def __init__(self, database_url: str) -> None:
        self._engine = create_engine(database_url, poolclass=NullPool)

    def get(self, key: str) -> str | None:
        """The text of a key."""
        with self._engine.connect() as connection:
            found = connection.execute(
                text("SELECT value FROM asset_state_store WHERE key = :key"), {"key": key}
            ).scalar()
        return None if found is None else json.loads(found)

    def set(self, key: str, content: str) -> None:
        """Change the text of a key."""
        with self._engine.begin() as connection:
            connection.execute(
                text("UPDATE asset_state_store SET value = :value WHERE key = :key"),
                {"key": key, "value": json.dumps(content)},
            )

    def delete(self, key: str) -> None:
        """No test deletes a key."""
        raise NotImplementedError(key)

    def keys(self) -> list[str]:
        """All keys."""
        with self._engine.connect() as connection:
            return list(connection.execute(text("SELECT key FROM asset_state_store")).scalars())


class Memories:
    """The memories of the three tasks."""

    def __init__(self, airflow: LocalAirflow) -> None:
        self._home = airflow.home
        self._states = AssetStates(airflow.database.url)
        self._folder = FolderStorage(f"file://{airflow.home}/memory")

    def letters(self, task: str) -> list[tuple[str, str]]:
        """The DAG run of each night that is remembered, and a letter for each test; the oldest first."""
        storage, entry = self._place(task)
        memory = ring.load(storage, entry, now=calendar.now(self._home))
        assert isinstance(memory, Memory), memory
        tests = [memory.tests[test_key(id_of(task, name))].letters for name in NAMES]
        return [
            (night.key.removeprefix("nights/"), "".join(letters[place] for letters in tests))
            for place, night in enumerate(memory.nights)
        ]

    @contextmanager
    def pointing_to(self, task: str, content: str) -> Iterator[None]:
        """Replace the first thing that a reader of the memory reads, and put it back."""
        storage, entry = self._place(task)
        key = f"{entry.prefix}-pointer"
        before = storage.get(key)
        assert before is not None
        if task == "folder":
            # The product writes no text of this size.
            (self._home / "memory" / f"{key}.json").write_text(content)
        else:
            storage.set(key, content)
        yield
        # The folder returns only the first bytes of a text that is too long.
        assert content.startswith(storage.get(key) or "-"), "a night has changed a memory that it cannot read"
        storage.set(key, before)

    def entry(self, task: str) -> Entry:
        """The memory among those of its storage."""
        return self._place(task)[1]

    def _place(self, task: str) -> tuple[ListedStorage, Entry]:
        storage: ListedStorage = self._folder if task == "folder" else self._states
        wanted = GROUPS.get(task, "docket")
        (entry,) = [each for each in entries(storage) if each.scope and wanted in each.scope.target]
        return storage, entry
