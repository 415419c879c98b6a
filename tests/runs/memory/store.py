"""A storage in memory, and runs that use it at once: their steps in any order, and some that die in the middle."""

from __future__ import annotations

from airflow_provider_testerarmy.runs.memory.cells import Set, apply
from airflow_provider_testerarmy.runs.memory.model import (
    FAILING,
    Fingerprint,
    Memory,
    Night,
    NightRef,
    Seen,
)
from airflow_provider_testerarmy.runs.memory.port import Scope, StorageFault

DAY = 86_400
START = 20_000 * DAY
SCOPE = Scope("group g", "staging")


class Texts:
    """A storage: get, set, delete, nothing else."""

    def __init__(self):
        self.texts = {}
        self.asked = 0
        self.broken = False

    def get(self, key):
        self._ask()
        return self.texts.get(key)

    def set(self, key, text):
        self._ask()
        assert len(text.encode()) <= 48 * 1024
        self.texts[key] = text

    def delete(self, key):
        self._ask()
        self.texts.pop(key, None)

    def _ask(self):
        self.asked += 1
        if self.broken:
            raise StorageFault("no connection")


class Writer:
    """Something that works on a storage, one step at a time."""

    def __init__(self, name, steps):
        self.name = name
        self.steps = steps
        self.answer = None
        self.over = False
        self.result = None

    def step(self, storage):
        try:
            self.answer = apply(storage, self.steps.send(self.answer))
        except StopIteration as end:
            self.over, self.result = True, end.value


def seen(letter):
    return Seen(letter, Fingerprint(3, "0" * 8) if letter in FAILING else None)


def night(number, letters=None, key=None, at=None, **fields):
    """One night's outcomes: ``{"a": "P"}``; by default one test, which passed."""
    ref = NightRef.of(
        key or f"run-{number}",
        START + number * DAY if at is None else at,
        fields.pop("commit", f"{number:07x}"),
        fields.pop("address", ""),
        fields.pop("due", None),
    )
    return Night(ref, {name: seen(letter) for name, letter in (letters or {"a": "P"}).items()}, **fields)


def keys(memory):
    assert isinstance(memory, Memory), memory
    return [ref.key for ref in memory.nights]


__all__ = ["DAY", "SCOPE", "START", "Set", "Texts", "Writer", "keys", "night", "seen"]
