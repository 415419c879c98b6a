"""The actions on a task in the tab: run it again, run again what did not pass, cancel its runs.

What is offered is computed from the task's record, which its worker has signed. The same rules decide when the
request arrives, so a page that is out of date changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import TASK_STATE_STORE, Audit, Seen, TaskChanged, TaskName
from airflow_provider_testerarmy.hooks.base import ServiceHook
from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.runs.submission import rerun
from airflow_provider_testerarmy.runs.submission.record import Record, RecordUnreadable
from airflow_provider_testerarmy.runs.submission.stored import from_json, identity, is_signed
from airflow_provider_testerarmy.ui import store
from airflow_provider_testerarmy.ui.payloads import Json, run_key, shown_summary
from airflow_provider_testerarmy.ui.service import hook_of, owner_of
from airflow_provider_testerarmy.ui.store import StoredTask

#: Bytes of a request at most.
MAX_BODY: Final = 2_000
#: The most runs that are named; the number says how many there are.
MAX_NAMED: Final = 10


class Action(StrEnum):
    """What a person can do.

    ``ALL``: clear the task. ``REST``: clear it, and run only what did not pass. ``CANCEL``: mark the task as
    failed. The listener then cancels its runs.
    """

    ALL = "all"
    REST = "rest"
    CANCEL = "cancel"


_EVENTS: Final = {
    Action.ALL: "testerarmy_run_all_again",
    Action.REST: "testerarmy_run_rest_again",
    Action.CANCEL: "testerarmy_cancel_runs",
}


class ActionRefused(Exception):
    """An action that is not done.

    :param status: of the HTTP answer.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(line(text, 600))
        self.status = status


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person has confirmed.

    :param others: how many other tasks are cleared, as the page said.
    """

    action: Action
    seen: Seen
    others: int = 0


def parse(body: bytes) -> Wish:
    """A wish from the JSON that a page sends.

    :raises ActionRefused: if it is something else.
    """
    try:
        data = json.loads(body) if len(body) <= MAX_BODY else None
    except (ValueError, RecursionError):
        data = None
    given = data if isinstance(data, dict) else {}
    action, state, numbers = (
        given.get("action"),
        given.get("state"),
        [given.get("try_number"), given.get("others", 0)],
    )
    fits = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if not fits or not (state is None or isinstance(state, str)) or action not in list(Action):
        raise ActionRefused(400, "The request needs an action, a state and a try_number.")
    return Wish(Action(action), Seen(numbers[0], state), numbers[1])


def offers(task: StoredTask, user: Any) -> Json:
    """What a user who may clear the task can do with it, and what that costs. Blocking."""
    others = _others(task, user) if task.finished else []
    testing = _testing(task, others)
    runs = _count(task)
    rest = _why_not_rest(task)
    record = record_of(task)
    active = _active(record)
    return {
        "state": task.state,
        "try_number": task.try_number,
        "others": len(others),
        "testing": testing,
        "all": {"why": "" if task.finished else "active", "runs": runs},
        "rest": {
            "why": rest,
            "runs": _count(task) - _passed(task),
            "issues": bool(task.summary.get("issues")),
        },
        "cancel": {
            "why": _why_not_cancel(task, record),
            "runs": [run_key(run_id) for run_id in active[:MAX_NAMED]],
            "count": len(active),
        },
        # Runs that are active although nothing waits for them any more.
        "left": len(active) if task.finished else 0,
    }


def perform(task: StoredTask, wish: Wish, user: Any) -> None:
    """Do what a person has confirmed. Blocking.

    :raises ActionRefused: if it is not offered, or if the task has changed.
    """
    name = TaskName(task.dag_id, task.run_id, task.task_id, task.map_index)
    extra = {"try_number": wish.seen.try_number, "state": wish.seen.state or "none", "others": wish.others}
    audit = Audit(_EVENTS[wish.action], line(user.get_name(), 200), extra)
    if Seen(task.try_number, task.state) != wish.seen:
        raise _changed(Seen(task.try_number, task.state))
    try:
        if wish.action is Action.CANCEL:
            _check(_why_not_cancel(task, record_of(task)))
            airflow_compat.fail_task(name, wish.seen, user, audit)
            return
        _check("" if task.finished else "active")
        if len(_others(task, user)) != wish.others:
            raise ActionRefused(409, "Other tasks would be cleared than the page said. Nothing is changed.")
        order = _order(task) if wish.action is Action.REST else lambda _number: None
        airflow_compat.clear_task(name, wish.seen, user, audit, order)
    except TaskChanged as error:
        raise _changed(error.now) from error


def _changed(now: Seen | None) -> ActionRefused:
    what = (
        "is gone"
        if now is None
        else f"is in try {now.try_number} and {now.state or 'waits for the scheduler'}"
    )
    return ActionRefused(409, f"Nothing is changed: the task has changed meanwhile. It {what}.")


def _check(why: str) -> None:
    if why:
        raise ActionRefused(409, f"Nothing is changed: this is not possible now ({why}).")


def record_of(task: StoredTask) -> Record | None:
    """The task's record; None if there is none that this version can read."""
    try:
        return from_json(task.record)
    except RecordUnreadable:
        return None


def _active(record: Record | None) -> list[str | int]:
    parts = [] if record is None else [part for part in record.unsettled if part.submission]
    rejected = {run_id for part in parts if part.submission for run_id in part.submission.rejected_run_ids}
    return [
        run_id
        for part in parts
        if part.submission
        for run_id in part.submission.run_ids
        if run_id not in rejected
    ]


def _why_not_cancel(task: StoredTask, record: Record | None) -> str:
    if task.finished:
        return "finished"
    if record is None or not record.unsettled:
        return "nothing"
    if not record.cancels:
        return "kept"
    hook = _hook(task)
    # Marking the task as failed would leave the runs of a service that cannot cancel.
    return "" if hook is not None and hook.service().can_cancel else "service"


def _why_not_rest(task: StoredTask) -> str:
    """Why the tests that did not pass cannot run on their own; empty if they can."""
    if not task.finished:
        return "active"
    if not TASK_STATE_STORE.available or airflow_compat.has_own_state_backend():
        return "version"
    passed, total = _passed(task), _count(task)
    if not passed or (passed == total and not task.summary.get("issues")):
        return "nothing"
    return "many" if rerun.too_many(total - passed) else _why_not_split(task)


def _why_not_split(task: StoredTask) -> str:
    hook, record = _hook(task), record_of(task)
    if hook is None or record is None or not rerun.can_rerun(record) or not _is_signed(task, hook):
        return "record"
    tests = task.summary.get("tests")
    known = (
        tests[0].get("test_id") if isinstance(tests, list) and tests and isinstance(tests[0], dict) else None
    )
    try:
        return "" if known and rerun.splits(hook.service(), record, str(known)) else "split"
    # The test id comes from an XCom, which users can edit.
    except ValueError:
        return "split"


def _order(task: StoredTask) -> Any:
    """What tells the next try to run only what did not pass.

    :raises ActionRefused: if it cannot.
    """
    _check(_why_not_rest(task))
    hook, stored = _hook(task), task.record
    if hook is None or not isinstance(stored, dict):
        raise ActionRefused(409, "Nothing is changed: the task has no record any more.")
    secret = _secret(hook)
    return lambda number: (rerun.KEY, rerun.rerun_order(stored, number, _identity(task), secret))


def _hook(task: StoredTask) -> ServiceHook | None:
    owner = owner_of(task.rendered, task.team)
    # A secrets backend may raise any exception. Without the connection there is one action less.
    try:
        return None if owner is None else hook_of(owner)
    except Exception:
        return None


def _secret(hook: ServiceHook) -> str:
    return str(hook.connection.password or "")


def _is_signed(task: StoredTask, hook: ServiceHook) -> bool:
    return is_signed(task.record, _identity(task), _secret(hook))


def _identity(task: StoredTask) -> str:
    return identity(task.dag_id, task.run_id, task.task_id, task.map_index)


def _others(task: StoredTask, user: Any) -> list[TaskName]:
    own = TaskName(task.dag_id, task.run_id, task.task_id, task.map_index)
    return [name for name in airflow_compat.tasks_to_clear(own, user) if name != own]


def _testing(task: StoredTask, others: list[TaskName]) -> int:
    """How many of these tasks have started test runs, which cost money when they run again."""
    if not others:
        return 0
    run = store.read_dag_run(task.dag_id, task.run_id)
    named = {(each.task_id, each.map_index) for each in run}
    return sum((name.task_id, name.map_index) in named for name in others)


def _count(task: StoredTask) -> int:
    counts = shown_summary(task.summary)["counts"]
    return int(counts.get("total", 0))


def _passed(task: StoredTask) -> int:
    return int(shown_summary(task.summary)["counts"].get("passed", 0))
