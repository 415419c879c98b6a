"""Plays the nights on an Airflow, one after the other, and notes what each came to."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow_provider_testerarmy.sandbox.docket.store import DocketStore
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from tests.nights import calendar
from tests.nights.memories import Memories
from tests.nights.script import BY_NUMBER, NIGHTS, Night
from tests.nights.tests_of import BLUEPRINTS, GROUPS, NAMES, TASKS, id_of
from tests.rig.airflow import LocalAirflow
from tests.rig.waiting import eventually

DAG_ID: Final = "nights"
#: Sandbox seconds per real second, and on the night on which processes are killed between two rounds.
SPEED: Final = 5.0
SLOW: Final = 1.0
_CLEAR_AFTER: Final = {9: 8, 30: 30}
_AT_ONCE: Final = (13, 14)
_MANUAL, _OUT_OF_ORDER = 20, 23
#: What the pointer of each memory is replaced by. A later version may have any other fields.
_OF_A_LATER_VERSION: Final = json.dumps({"version": 2, "cells": {"a": [1, 2]}, "since": "2027-01-01"})
_HOSTILE: Final = {
    "worker": '{"version": 1, "cell": "0", "since": {"$ne": null}}',
    "triggerer": '{"version": 1, "cell": [NaN, 1e999, true], <script>',
    "folder": "[" * 3_000_000,
}


@dataclass(frozen=True)
class Seen:
    """What a task of one night came to.

    :param letters: the memory after it.
    :param requests: how many times the task has started runs.
    :param date, date_before: of this night and of the one before, as reasons show them.
    """

    state: str
    tries: int
    summary: dict[str, Any]
    letters: list[tuple[str, str]]
    requests: int
    date: str
    date_before: str

    @property
    def reasons(self) -> str:
        """All reasons, one on each line."""
        return "\n".join(self.summary["reasons"])


class Stage:
    """The Airflow, the services, and the nights so far."""

    def __init__(self, airflow: LocalAirflow, service: SandboxServer) -> None:
        self.airflow = airflow
        self.service = service
        self.memories = Memories(airflow)
        self.seen: dict[tuple[int, str], Seen] = {}
        #: The tasks of nights that were cleared later.
        self.cleared: dict[tuple[int, str], Seen] = {}
        #: The DAG runs that `airflow db clean` has deleted.
        self.deleted: set[str] = set()
        self._dates: dict[int, str] = {}

    def play(self, last: int) -> None:
        """Play the nights up to this one."""
        for night in NIGHTS[:last]:
            if night.number == _AT_ONCE[1]:
                continue
            self._dawn(night)
            if night.number in _AT_ONCE:
                self._play_at_once([BY_NUMBER[number] for number in _AT_ONCE])
            elif night.number in (24, 25):
                self._play_with_broken_memory(night)
            else:
                self._play(night)
            if night.number in _CLEAR_AFTER:
                self._clear(BY_NUMBER[_CLEAR_AFTER[night.number]])
            if night.number == 16:
                self._clean_database()

    # nights

    def _dawn(self, night: Night) -> None:
        calendar.set_night(self.airflow.home, night.number)
        self._dates[night.number] = calendar.date_of(self.airflow.home)
        for task in TASKS:
            for name in NAMES:
                self._script(task, name, night.script_of(name))

    def _play(self, night: Night) -> None:
        before = self._requests()
        self._start(night)
        if night.tries > 1:
            self._mend_after_first_try(night, before)
        if night.number == 19:
            self._kill_between_rounds(night, before)
        self._note(night, before)

    def _play_at_once(self, nights: list[Night]) -> None:
        before = self._requests()
        for night in nights:
            self._start(night)
        for night in nights:
            self.airflow.wait_dag_run(DAG_ID, night.run_id)
        for night in nights:
            self._dates[night.number] = self._dates[nights[0].number]
            self._note(night, before, share=len(nights))

    def _play_with_broken_memory(self, night: Night) -> None:
        with ExitStack() as stack:
            for task in TASKS:
                content = _OF_A_LATER_VERSION if night.number == 24 else _HOSTILE[task]
                stack.enter_context(self.memories.pointing_to(task, content))
            before = self._requests()
            self._start(night)
            self.airflow.wait_dag_run(DAG_ID, night.run_id)
        self._note(night, before)

    def _start(self, night: Night) -> None:
        # A manual run has no logical date. It is due when it is triggered, which is after the time of the tasks.
        date = datetime.fromtimestamp(calendar.now(self.airflow.home), UTC)
        if night.number == _OUT_OF_ORDER:
            date -= timedelta(days=1, hours=12)
        self.airflow.trigger_dag(
            DAG_ID,
            {"commit": commit_of(night.number)},
            logical_date=None if night.number == _MANUAL else date,
            run_id=night.run_id,
        )

    def _note(self, night: Night, before: dict[str, int], share: int = 1) -> None:
        self.airflow.wait_dag_run(DAG_ID, night.run_id)
        now = self._requests()
        for task in TASKS:
            self.seen[night.number, task] = self._see(night, task, (now[task] - before[task]) / share)

    def _see(self, night: Night, task: str, requests: float) -> Seen:
        instance = self.airflow.task_instance(DAG_ID, night.run_id, task)
        return Seen(
            instance["state"],
            instance["try_number"],
            self.airflow.xcom(DAG_ID, night.run_id, task),
            self.memories.letters(task),
            int(requests),
            self._dates[night.number],
            self._dates.get(night.number - 1, ""),
        )

    # disturbances

    def _mend_after_first_try(self, night: Night, before: dict[str, int]) -> None:
        """Let the tests that the service breaks pass on the next try. Runs that have started stay as they are."""
        self._wait_for_requests(before, 1)
        for task in TASKS:
            for name in night.scripts:
                if night.scripts[name] == "broken once":
                    self._script(task, name, "passes")

    def _kill_between_rounds(self, night: Night, before: dict[str, int]) -> None:
        """Kill the worker and the triggerer while all tasks wait for the second round."""
        clock = self.service.control.clock
        clock.set_speed(SLOW)
        self._wait_for_requests(before, 2)
        for task in ("triggerer", "folder"):
            self.airflow.wait_task_state(DAG_ID, night.run_id, task, "deferred")
        clock.set_manual(True)
        (worker,) = self.airflow.worker_pids(DAG_ID, "worker", night.run_id)
        worker.kill()
        self.airflow.processes["triggerer"].kill(scope="session")
        self.airflow.processes["triggerer"].restart()
        self.airflow.wait_ready()
        self.airflow.wait_task_state(DAG_ID, night.run_id, "worker", "running", try_number=2)
        clock.set_speed(SPEED)
        clock.set_manual(False)

    def _wait_for_requests(self, before: dict[str, int], count: int) -> None:
        def sent() -> bool:
            now = self._requests()
            return all(now[task] >= before[task] + count for task in TASKS)

        eventually(sent, 180, f"request {count} of every task", state=lambda: str((before, self._requests())))

    def _clear(self, night: Night) -> None:
        if night.number == calendar.NIGHTS:
            self._lift()
        before = self._requests()
        for task in TASKS:
            self.airflow.clear_task(DAG_ID, night.run_id, task)
        self.airflow.wait_dag_run(DAG_ID, night.run_id, states={"queued", "running"})
        self.airflow.wait_dag_run(DAG_ID, night.run_id)
        now = self._requests()
        for task in TASKS:
            self.cleared[night.number, task] = self._see(night, task, now[task] - before[task])

    def _lift(self) -> None:
        for task in TASKS:
            place = ("--memory-path", f"file://{self.airflow.home}/memory") if task == "folder" else ()
            self._command(
                *("testerarmy", "memory", "quarantine", "--memory", self.memories.entry(task).id, *place),
                *("--test", id_of(task, "profile"), "--lift"),
            )

    def _clean_database(self) -> None:
        """Delete the older nights from Airflow's database."""
        # A DAG whose file was not read since then is deleted too. Airflow reads this one every 15 seconds.
        until = datetime.now(UTC) - timedelta(seconds=60)
        self._command("db", "clean", "--clean-before-timestamp", until.isoformat(), "--skip-archive", "--yes")
        self.deleted = {night.run_id for night in NIGHTS[:16]} - {
            str(run["dag_run_id"]) for run in self.airflow.dag_runs(DAG_ID)
        }

    def _command(self, *words: str) -> None:
        ended = self.airflow.cli(*words)
        assert ended.returncode == 0, ended.stderr

    # the services

    def _script(self, task: str, name: str, script: str) -> None:
        if task == "folder":
            own = {"broken once": "error"}.get(script, script)
            self.service.control.store_of(DocketStore).override_script(BLUEPRINTS[name], own)
        else:
            own = {"broken once": "breaks"}.get(script, script)
            self.service.control.store.override_script(id_of(task, name), own)

    def _requests(self) -> dict[str, int]:
        """How many requests of each task have started runs."""
        counts = dict.fromkeys(TASKS, 0)
        for call in self.service.control.log.submissions():
            counts[_task_of(call.path)] += 1
        return counts


def commit_of(number: int) -> str:
    """The commit that is tested on a night."""
    return f"a1b2c{number:02d}"


def _task_of(path: str) -> str:
    if "/test_group_run/" in path:
        return "folder"
    for task, group in GROUPS.items():
        if group in path or any(id_of(task, name) in path for name in NAMES):
            return task
    # This task names a commit, so its tests run again in a temporary group, whose id is new.
    return "triggerer"
