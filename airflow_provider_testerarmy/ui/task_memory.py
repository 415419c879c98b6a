"""The gate's memory of a task in the tab: what it holds of the task's tests, and quarantines by people.

Place, connection and target come from the task's rendered fields, which only its worker writes. An XCom decides
nothing here. Blocking: use a thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.client.testerarmy import operations as testerarmy
from airflow_provider_testerarmy.client.testerarmy.models import GroupRunRequest, TestRunRequest
from airflow_provider_testerarmy.hooks.docket_targets import category_target, tests_target
from airflow_provider_testerarmy.lifecycle import parameters
from airflow_provider_testerarmy.lifecycle.memory import scope_of
from airflow_provider_testerarmy.lifecycle.memory_list import MemoryRefused, is_known, open_storage
from airflow_provider_testerarmy.lifecycle.memory_quarantine import (
    in_force,
    known_test,
    lift,
    quarantine,
    readable,
)
from airflow_provider_testerarmy.reports.commits import Repository
from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.runs.memory import ring
from airflow_provider_testerarmy.runs.memory.declared import declare, end_of
from airflow_provider_testerarmy.runs.memory.directory import ListedStorage
from airflow_provider_testerarmy.runs.memory.model import (
    OWNER,
    Memory,
    NightRef,
    Quarantine,
    TestMemory,
    plain,
    test_key,
)
from airflow_provider_testerarmy.runs.memory.port import Scope
from airflow_provider_testerarmy.runs.rendered import given, is_nothing, listed
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.ui.payloads import Json
from airflow_provider_testerarmy.ui.service import owner_of
from airflow_provider_testerarmy.ui.store import StoredTask
from airflow_provider_testerarmy.ui.tested import repository

#: Parameters that say in which environment a test or a group runs.
_OF_TESTS: Final = ("platform", "device_model", "project_environment_id")
_OF_GROUPS: Final = (*_OF_TESTS, "environment", "target_url")
_UNKNOWN_TARGET: Final = "Airflow no longer says what this task tests, so its memory is not known."
# Two people who use this API server write one after the other, so the second one sees the first one's change.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class Change:
    """A quarantine that a person sets or lifts.

    :param until: a day such as ``2026-12-24``, or a time such as ``14d``; empty to lift the quarantine.
    :param seen: when the quarantine that the person sees began, in seconds since the epoch; None if there is none.
    """

    test_id: str
    owner: str
    reason: str
    until: str
    seen: int | None
    lift: bool = False


class ChangedMeanwhile(MemoryRefused):
    """Another person has changed the quarantine that this person sees."""


def scope_of_task(task: StoredTask) -> Scope:
    """Which memory a task's gate has.

    :raises MemoryRefused: if the rendered fields do not say it.
    """
    owner = owner_of(task.rendered)
    if owner is None:
        raise MemoryRefused(_UNKNOWN_TARGET)
    try:
        request = _request(task.rendered)
    except RequestInvalid as error:
        raise MemoryRefused(f"{_UNKNOWN_TARGET} {error}") from error
    return scope_of(f"{owner.hook.__module__}.{owner.hook.__qualname__} {owner.conn_id}", request)


def _request(rendered: Mapping[str, Any]) -> RunRequest:
    """As the operators build it, as far as the memory depends on it."""
    value = {name: given(field) for name, field in rendered.items()}
    if value.get("group_id") is not None:
        request = RunRequest("group", testerarmy.check_id(value["group_id"], "group_id"))
        body = build_request(GroupRunRequest, **{name: value.get(name) for name in _OF_GROUPS}).body()
    elif value.get("test_id") is not None:
        request = RunRequest("test", testerarmy.check_id(value["test_id"], "test_id"))
        body = build_request(TestRunRequest, **{name: value.get(name) for name in _OF_TESTS}).body()
    elif value.get("test_blueprint_ids") is not None:
        return tests_target(listed(value["test_blueprint_ids"]))
    elif value.get("test_blueprint_category_id") is not None:
        return category_target(value["test_blueprint_category_id"])
    else:
        raise RequestInvalid("Tests without an id have no memory.")
    return RunRequest(request.kind, request.target, body or {})


def place_of_memory(task: StoredTask) -> str:
    """The folder of a task's memory; empty for Airflow's own store."""
    try:
        return parameters.memory_path(task.rendered.get("memory_path")) or ""
    except RequestInvalid:
        return ""


def standings(task: StoredTask) -> Json:
    """What the task's memory holds of its tests, by test id; `why` says why it has no memory."""
    now = time.time()
    try:
        _, _, memory = _opened(task, now)
    except MemoryRefused as error:
        return {"tests": {}, "why": line(str(error), 600)}
    known = [test_id for test_id, test in memory.tests.items() if is_known(test)]
    return {"tests": {test_id: _standing(memory, test_id) for test_id in known}, "why": ""}


def change_quarantine(task: StoredTask, change: Change) -> Json:
    """Set or lift a quarantine, and return the test's new standing.

    :raises DeclarationInvalid: if a text is missing or too long, or the end has passed.
    :raises ChangedMeanwhile: if the quarantine is not the one that the person sees.
    :raises MemoryRefused: if the memory has no such test, or cannot be read or written.
    """
    now = time.time()
    # Before anything is read: the command line's rules, the same texts.
    wanted = (
        None
        if change.lift
        else declare(change.owner, change.reason, since=int(now), until=end_of(change.until, now))
    )
    with _one_at_a_time:
        storage, scope, memory = _opened(task, now)
        test = known_test(memory, change.test_id, "The memory", "Its gate has not judged it yet.")
        held = in_force(memory.test(test))
        if (held.since if held else None) != change.seen:
            raise ChangedMeanwhile(
                "Somebody else changed this quarantine. The page shows it now; decide again."
            )
        if wanted:
            quarantine(storage, scope, memory, test, wanted, now=now)
        else:
            lift(storage, scope, memory, test, change.owner, change.reason, now=now)
        return _standing(readable(ring.load(storage, scope, now=now)), test)


def owner_name(name: object) -> str:
    """A signed-in user's name as the owner of a quarantine."""
    return "" if is_nothing(name) else plain(str(name), OWNER)


def command(task: StoredTask, test_id: str = "TEST") -> str:
    """The command that quarantines a test of this task, for a memory that the API server cannot reach."""
    place = place_of_memory(task)
    path = f" --memory-path {_quoted(place)}" if place else ""
    return (
        f"airflow testerarmy memory quarantine{path} --test {_quoted(test_id)} --owner NAME --reason TEXT "
        "--until 14d"
    )


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(line(text, 400))


def _opened(task: StoredTask, now: float) -> tuple[ListedStorage, Scope, Memory]:
    scope = scope_of_task(task)
    storage = open_storage(place_of_memory(task) or None)
    memory = readable(ring.load(storage, scope, now=now))
    if memory.empty:
        raise MemoryRefused("This task's gate has no memory of earlier nights.")
    return storage, scope, memory


def _standing(memory: Memory, test_id: str) -> Json:
    test = memory.test(test_key(test_id))
    return {"failing": _failing(memory, test), "quarantine": _shown(in_force(test))}


def _failing(memory: Memory, test: TestMemory) -> Json | None:
    """Since when a test fails: the nights in a row, the first bad and the last good one."""
    streak = memory.streak(test)
    if streak is None:
        return None
    first = streak.first
    # The memory keeps the address of the newest nights only.
    remembered = next((night for night in memory.nights if night.at == first.at), None)
    good = memory.last_pass(test)
    bad = remembered or NightRef(first.at, "", first.commit)
    links = repository()
    return {
        "nights": streak.nights,
        "since": first.at,
        "commit": line(first.commit, 40),
        "first_bad": _night(bad, links),
        "last_good": _night(good, links) if good else None,
        "changes_url": links.changes_url(good.commit, bad.commit) if good else "",
    }


def _night(night: NightRef, links: Repository) -> Json:
    return {
        "at": night.at,
        "commit": line(night.commit, 40),
        "commit_url": links.commit_url(night.commit),
        "address": line(night.address, 400),
    }


def _shown(held: Quarantine | None) -> Json | None:
    if held is None:
        return None
    return {
        "owner": line(held.owner, 80),
        "reason": line(held.reason, 160),
        "since": held.since,
        "until": held.until,
        "past": held.until <= time.time(),
    }
