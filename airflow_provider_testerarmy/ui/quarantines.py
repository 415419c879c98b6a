"""The quarantines of a task's tests as endpoints: who may change them, and what the answer is."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import Any, Final

from airflow_provider_testerarmy.lifecycle.memory_list import MemoryRefused
from airflow_provider_testerarmy.reports.text import line
from airflow_provider_testerarmy.runs.memory.declared import DeclarationInvalid
from airflow_provider_testerarmy.ui import store
from airflow_provider_testerarmy.ui.payloads import Json
from airflow_provider_testerarmy.ui.reader_threads import Readers
from airflow_provider_testerarmy.ui.report_files import place_of
from airflow_provider_testerarmy.ui.store import StoredTask
from airflow_provider_testerarmy.ui.task_memory import (
    Change,
    ChangedMeanwhile,
    change_quarantine,
    command,
    owner_name,
    place_of_memory,
    standings,
)

log = logging.getLogger(__name__)

#: Bytes of a change at most. Owner and reason have 120 bytes together.
MAX_BODY: Final = 20_000
_SLOW: Final = "The API server cannot read the memory in time."
_UNSURE: Final = (
    "The memory did not answer in time, so the change may still take effect. Reload the page first."
)


class Rejected(Exception):
    """A change that is not made.

    :param status: of the HTTP answer.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(line(text, 600))
        self.status = status


async def read_standings(readers: Readers, task: StoredTask, *, may_edit: bool, user: Any) -> Json:
    """What the memory of a task holds of its tests, and what this user can do about it."""
    place = _place(task)
    found = await readers.read(place, lambda: _read(task), {"tests": {}, "why": _SLOW})
    return {
        **found,
        "may_edit": may_edit,
        "owner": owner_name(user.get_name()) if may_edit else "",
        "command": command(task) if may_edit and found["why"] and _should_remember(task) else "",
    }


async def apply_change(readers: Readers, task: StoredTask, body: bytes, user: Any) -> Json:
    """Change a quarantine, and write who did it to Airflow's audit log.

    :raises Rejected: with the reason, if nothing is changed or if that is not certain.
    """
    change = parse(body)
    late: Json | Rejected = Rejected(504, _UNSURE)
    found = await readers.read(_place(task), lambda: _change(task, change, user), late)
    if isinstance(found, Rejected):
        raise found
    return found


def parse(body: bytes) -> Change:
    """A change from the JSON that a page sends.

    :raises Rejected: if it is something else.
    """
    if len(body) > MAX_BODY:
        raise Rejected(413, f"The request has more than {MAX_BODY} bytes.")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Rejected(400, "The request is not a JSON object.")
    texts = {name: data.get(name, "") for name in ("test_id", "owner", "reason", "until")}
    seen, lift = data.get("seen"), data.get("lift", False)
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(lift, bool):
        raise Rejected(400, "test_id, owner, reason and until must be texts, and lift true or false.")
    if seen is not None and (not isinstance(seen, int) or isinstance(seen, bool)):
        raise Rejected(400, "seen must be a number of seconds, or null.")
    return Change(**texts, seen=seen, lift=lift)


def _change(task: StoredTask, change: Change, user: Any) -> Json | Rejected:
    try:
        standing = change_quarantine(task, change)
    except DeclarationInvalid as error:
        return Rejected(400, f"{str(error)[:1].upper()}{str(error)[1:]}")
    except MemoryRefused as error:
        return Rejected(
            409, str(error) if isinstance(error, ChangedMeanwhile) else f"Nothing is changed. {error}"
        )
    # A storage may raise anything.
    except Exception as error:
        log.warning("Cannot change the memory of %s.%s", task.dag_id, task.task_id, exc_info=True)
        return Rejected(
            502, f"The memory cannot be changed ({type(error).__name__}). See the API server's log."
        )
    _audit(task, change, standing, user)
    return standing


def _audit(task: StoredTask, change: Change, standing: Json, user: Any) -> None:
    event = "testerarmy_quarantine_lifted" if change.lift else "testerarmy_quarantined"
    said = {**asdict(change), "quarantine": standing["quarantine"]}
    extra = json.dumps(
        {name: line(value, 200) if isinstance(value, str) else value for name, value in said.items()}
    )
    name = line(user.get_name(), 200)
    log.info("%s by %s in %s.%s: %s", event, name, task.dag_id, task.task_id, extra)
    try:
        store.write_audit(task, event, name, name, extra)
    # The change is made; the line above is its trace.
    except Exception:
        log.exception("Cannot write to the audit log")


def _read(task: StoredTask) -> Json:
    try:
        return standings(task)
    except Exception as error:
        log.warning("Cannot read the memory of %s.%s", task.dag_id, task.task_id, exc_info=True)
        return {
            "tests": {},
            "why": f"The memory cannot be read ({type(error).__name__}). See the API server's log.",
        }


def _should_remember(task: StoredTask) -> bool:
    """Whether a memory was to be expected. Most tasks have none, and their editors need no notice of it."""
    return "known" in task.summary or bool(place_of_memory(task))


def _place(task: StoredTask) -> str:
    folder = place_of_memory(task)
    return place_of(folder) if folder else "airflow"
