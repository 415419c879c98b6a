"""Syncs of several machines with one lock: one at a time, whatever the order of their steps."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_testerarmy.catalogue.model import CatalogueBusy
from airflow_provider_testerarmy.hooks.testerarmy_catalogue import HookRequests
from airflow_provider_testerarmy.lifecycle import catalogue_lock
from airflow_provider_testerarmy.lifecycle.catalogue import CatalogueSync
from airflow_provider_testerarmy.lifecycle.catalogue_lock import HELD, LockFile
from tests.catalogue.conftest import PROJECT
from tests.catalogue.machines import Machines, count_steps, every_order

PLACE = "memory://locks/app.json"


@pytest.fixture
def place(folder):
    """A lock in an object store that knows no conditions of a write."""
    try:
        from airflow.sdk.io import attach
    except ImportError:
        from airflow.io.store import attach  # Airflow 2
    attach(protocol="memory", fs=MemoryFileSystem())
    path = ObjectStoragePath(PLACE)
    path.unlink(missing_ok=True)
    yield path
    path.unlink(missing_ok=True)


def sync(folder, lock_path=PLACE):
    """A sync of this machine; the actions."""
    found = CatalogueSync(
        HookRequests(folder.hook), str(folder.path), PROJECT, lock_path, pause=lambda _seconds: None
    )
    state = found.read()
    plan = found.plan(state)
    found.apply(state, plan, lambda _action: None)
    return [str(action.kind) for action in plan.actions]


def test_two_machines_make_each_test_and_group_once(folder, place, monkeypatch, tmp_path):
    """In every order of their requests and writes; and the next sync has at most to finish."""
    folder.write("a.md", "Login", group="Nightly")
    machines = Machines(folder, PLACE, monkeypatch, tmp_path, catalogue_lock, ["conditions_now"])
    steps = count_steps(machines)
    assert steps > 8
    ends = set()
    for order, first, second in every_order(machines, steps):
        ends.add((first.busy, second.busy))
        sync(folder)
        groups = [group for group in folder.hook.list_groups(PROJECT) if group.name == "Nightly"]
        assert (len(folder.titled("Login")), len(groups)) == (1, 1), order
        assert sync(folder) == [], order
        assert "holder" not in json.loads(place.read_text())
        folder.service.control.reset()
        place.unlink()
    assert ends == {(False, False), (False, True), (True, False)}


def test_a_sync_that_was_killed_on_another_machine_ends_by_itself(folder, place):
    """On the same machine it ends at once, because the operating system knows that it is dead."""
    folder.write("a.md", "Login")
    now = [1_800_000_000.0]
    killed = LockFile(PLACE, str(folder.path), clock=lambda: now[0])
    with killed.held():
        left = place.read_text()
    assert json.loads(left)["holder"]["until"] == now[0] + HELD
    foreign = json.loads(left)
    foreign["holder"]["guard"] = "another machine"
    place.write_text(json.dumps(foreign))
    for seconds in (0, HELD - 1):
        now[0] = 1_800_000_000.0 + seconds
        later = LockFile(PLACE, str(folder.path), clock=lambda: now[0])
        with pytest.raises(CatalogueBusy, match=r"after 08:05:00 UTC"), later.held():
            pass
    now[0] += 1
    with LockFile(PLACE, str(folder.path), clock=lambda: now[0]).held():
        pass
    assert "holder" not in json.loads(place.read_text())
    place.write_text(left)
    now[0] = 1_800_000_000.0
    with LockFile(PLACE, str(folder.path), clock=lambda: now[0]).held():
        pass


def test_a_sync_that_was_taken_over_changes_nothing_more(folder, place):
    """It stood still for longer than another machine waits."""
    folder.write("a.md", "Login")
    slow = LockFile(PLACE, str(folder.path))
    with slow.held():
        held = json.loads(place.read_text())
        place.write_text(json.dumps({**held, "holder": {**held["holder"], "by": "another sync"}}))
        with pytest.raises(CatalogueBusy, match="Another sync has changed the lock"):
            slow.save(slow.stored)
    assert json.loads(place.read_text())["holder"]["by"] == "another sync"


def test_a_sync_without_changes_does_not_touch_the_lock(folder, place):
    """It may be in a folder that is committed, or read-only."""
    folder.write("a.md", "Login")
    sync(folder)
    before = place.read_text()
    place.write_text(before + "\n")
    assert sync(folder) == []
    assert place.read_text() == before + "\n"
