"""A gate's memory of earlier nights: its storage, its scope, and the verdict with it. No fault hides a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.lifecycle.object_paths import LOCAL, fresh_path
from airflow_provider_testerarmy.lifecycle.owners import Owners, read_owners
from airflow_provider_testerarmy.lifecycle.parameters import NO_PLACE, needs_memory
from airflow_provider_testerarmy.lifecycle.quarantine_file import Declared, read_quarantines
from airflow_provider_testerarmy.lifecycle.reporting import write_file
from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.codec import PART
from airflow_provider_testerarmy.runs.memory.directory import describe
from airflow_provider_testerarmy.runs.memory.judge import Judged, judge
from airflow_provider_testerarmy.runs.memory.model import Memory, NightRef, Unreadable, test_key
from airflow_provider_testerarmy.runs.memory.port import ENVIRONMENT, Scope, Storage, StorageFault
from airflow_provider_testerarmy.runs.results import RunResult
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.runs.verdict.gate import QualityGate


def open_memory(
    gate: QualityGate,
    path: str | None,
    context: Mapping[str, Any],
    owner: str,
    build_request: Callable[[], RunRequest | None],
    *,
    starting: bool,
) -> TaskMemory | None:
    """The memory that the gate of a task needs; None if it needs none. This reads the quarantine file alone.

    :param path: the folder of the memory, None for Airflow's own store.
    :param owner: the service and connection, which tell apart targets with the same id.
    :param build_request: called when the runs are judged, because a resumed try has no request yet.
    :param starting: whether runs may still be started. A file that is not valid must not hide the verdict on runs
        that were started before.
    :raises RequestInvalid: if there is no place for the memory, or if the quarantine file is not valid.
    """
    owners = _owners(gate, context)
    declared = _declared(gate, context, owners)
    if declared.invalid and starting:
        raise RequestInvalid(f"{declared.fault} Correct the file.")
    ti = context["ti"]
    night = DagRunNight(f"{ti.dag_id}/{ti.run_id}", airflow_compat.due_at(context.get("dag_run")))
    if not needs_memory(gate):
        only_files = gate.quarantine_file or gate.tests_folder
        return TaskMemory(None, owner, night, build_request, declared, owners) if only_files else None
    store = None if path else airflow_compat.memory_store(context)
    if not path and store is None:
        raise RequestInvalid(NO_PLACE)
    storage: Storage = FolderStorage(path) if path else AirflowStorage(store)
    return TaskMemory(storage, owner, night, build_request, declared, owners)


@dataclass(frozen=True, slots=True)
class DagRunNight:
    """The night of a DAG run. Every try and every task of it replaces the same night.

    :param key: names the DAG run.
    :param due: for when it was due, in seconds since the epoch; None if unknown.
    """

    key: str
    due: float | None = None

    def ref(self, now: float, request: RunRequest | None = None) -> NightRef:
        """Which night it is, judged now."""
        tested = (request.commit, request.address) if request else ("", "")
        return NightRef.of(self.key, now, *tested, due=self.due)


def _declared(gate: QualityGate, context: Mapping[str, Any], owners: Owners) -> Declared:
    if not gate.quarantine_file:
        return Declared()
    dag_file = getattr(context.get("dag"), "fileloc", None) or ""
    return read_quarantines(gate.quarantine_file, dag_file, owners.by_test)


def _owners(gate: QualityGate, context: Mapping[str, Any]) -> Owners:
    if not gate.tests_folder:
        return Owners()
    return read_owners(gate.tests_folder, getattr(context.get("dag"), "fileloc", None) or "")


class TaskMemory:
    """The memory of one task, and what people have quarantined in a file.

    :param storage: None for a gate that needs no earlier nights.
    :param owners: who repairs which test, by the test files beside the DAG.
    """

    def __init__(
        self,
        storage: Storage | None,
        owner: str,
        night: DagRunNight,
        build_request: Callable[[], RunRequest | None],
        declared: Declared,
        owners: Owners,
    ) -> None:
        self._storage = storage
        self._owner = owner
        self._night = night
        self._build_request = build_request
        self._declared = declared
        self._owners = owners

    def owned(self, results: Sequence[RunResult]) -> list[RunResult]:
        """The results with the owners of their tests."""
        owners = self._owners.by_test
        return [replace(run, owner=owners.get(test_key(run.test_id), "")) for run in results]

    def judge(
        self, gate: QualityGate, results: Sequence[RunResult], *, now: float
    ) -> tuple[Judged, str | None]:
        """Judge runs that have all ended with the memory of earlier nights, and remember this night.

        :param now: seconds since the epoch.
        :return: the judged night, and why it is not remembered (None if it is).
        """
        if self._storage is None:
            return self._judge(gate, results, Memory(), self._night.ref(now)), None
        scope, tonight, memory = self._read(self._storage, now)
        judged = self._judge(gate, results, memory, tonight)
        if scope is None:
            return judged, str(memory)
        # A storage may raise anything, and none of it may hide the verdict.
        try:
            describe(self._storage, scope)
            return judged, ring.remember(self._storage, scope, judged.night, now=now, token=uuid4().hex)
        except Exception as error:
            return judged, _said(error)

    def preview(self, gate: QualityGate, results: Sequence[RunResult], *, now: float) -> Judged:
        """As :meth:`judge`, without remembering the night."""
        if self._storage is None:
            return self._judge(gate, results, Memory(), self._night.ref(now))
        _, tonight, memory = self._read(self._storage, now)
        return self._judge(gate, results, memory, tonight)

    def _judge(
        self,
        gate: QualityGate,
        results: Sequence[RunResult],
        memory: Memory | Unreadable,
        tonight: NightRef,
    ) -> Judged:
        judged = judge(gate, results, memory, tonight, self._declared.quarantines)
        excludes = "It excludes no test from this verdict."
        declared = f"{self._declared.fault} {excludes}" if self._declared.fault else ""
        said = filter(None, (self._owners.fault, declared))
        return replace(judged, verdict=replace(judged.verdict, reasons=(*said, *judged.verdict.reasons)))

    def _read(self, storage: Storage, now: float) -> tuple[Scope | None, NightRef, Memory | Unreadable]:
        tonight = self._night.ref(now)
        try:
            request = self._build_request()
            if request is None:
                return None, tonight, Unreadable("the target is unknown")
            scope = scope_of(self._owner, request)
            tonight = self._night.ref(now, request)
            return scope, tonight, ring.load(storage, scope, now=now)
        except Exception as error:
            return None, tonight, Unreadable(_said(error))


def scope_of(owner: str, request: RunRequest) -> Scope:
    """Whose memory a request uses.

    :param owner: the path of the hook and the id of the connection.
    """
    where = {name: request.body[name] for name in ENVIRONMENT if request.body.get(name)}
    return Scope(f"{owner} {request.label}", json.dumps(where, sort_keys=True, default=str))


class AirflowStorage:
    """Airflow's asset state store as the storage of a memory."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: str) -> str | None:
        """The text of a key."""
        try:
            found: str | None = self._store.get(key)
        except Exception as error:
            raise storage_fault(error) from error
        return found

    def set(self, key: str, text: str) -> None:
        """Store a text."""
        try:
            self._store.set(key, text)
        except Exception as error:
            raise storage_fault(error) from error

    def delete(self, key: str) -> None:
        """Remove a text."""
        try:
            self._store.delete(key)
        except Exception as error:
            raise storage_fault(error) from error


class FolderStorage:
    """A folder, local or in an object store, as the storage of a memory; one object per key."""

    def __init__(self, folder: str) -> None:
        self._folder = folder.rstrip("/") or "/"

    def get(self, key: str) -> str | None:
        """The text of a key."""
        try:
            # Anyone with write access may have stored anything. One byte more than a part is already refused.
            with self._object(key).open("rb") as file:
                content: bytes = file.read(PART + 1)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise storage_fault(error) from error
        return content.decode("utf-8", "replace")

    def set(self, key: str, text: str) -> None:
        """Store a text."""
        try:
            write_file(f"{self._folder}/{key}.json", text.encode())
        except Exception as error:
            raise storage_fault(error) from error

    def delete(self, key: str) -> None:
        """Remove a text."""
        try:
            self._object(key).unlink()
        except FileNotFoundError:
            return
        except Exception as error:
            raise storage_fault(error) from error

    def keys(self) -> Iterator[str]:
        """All keys."""
        try:
            names = self._names(fresh_path(self._folder))
        except Exception as error:
            raise storage_fault(error) from error
        return (name.removesuffix(".json") for name in names if name.endswith(".json"))

    @staticmethod
    def _names(folder: Any) -> list[str]:
        try:
            return [each.name for each in folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            # A local folder that is missing may be a typo. An object store has no folders, only names of objects.
            if folder.protocol in LOCAL:
                raise
            return []

    def _object(self, key: str) -> Any:
        return fresh_path(f"{self._folder}/{key}.json")


def storage_fault(error: Exception) -> StorageFault:
    """What a storage's client raised, as the fault that the memory expects."""
    return StorageFault(_said(error))


def _said(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}", 200)
