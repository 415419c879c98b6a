"""The XComs of a task before its verdict: what it started and where, and why it ended without a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import (
    AirflowNotFoundException,
    AirflowTaskTimeout,
    BaseOperatorLink,
)

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.exceptions import TestRunError, TestsSkipped
from airflow_provider_testerarmy.lifecycle.dashboard_link import leave_out_own_links
from airflow_provider_testerarmy.lifecycle.verdict import submission_of
from airflow_provider_testerarmy.runs.memory.model import NightRef
from airflow_provider_testerarmy.runs.memory.port import ENVIRONMENT
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.runs.verdict.summary import NOTE, note

if TYPE_CHECKING:
    from airflow_provider_testerarmy.lifecycle.attempt import Lifecycle

#: Errors whose message has no secrets. Any other error is named only: the log masks secrets, but XComs do not.
_OWN: Final = (TestRunError, TestsSkipped, AirflowNotFoundException)
#: The most characters of a reason.
MAX_REASON: Final = 500


def note_of(lifecycle: Lifecycle, url: str) -> dict[str, Any]:
    """What a task has started.

    :param url: the dashboard page of the runs.
    """
    request, judged = lifecycle.request, submission_of(lifecycle.record.base)
    body: Mapping[str, Any] = {} if request is None else request.body
    address = "" if request is None else request.address
    known: dict[str, Any] = {
        **note(
            lifecycle.label,
            lifecycle.title,
            url,
            environment=", ".join(str(body[name]) for name in ENVIRONMENT if body.get(name)),
            # As in the gate's memory: without user, password and query, which may be secret.
            address=NightRef.of("", 0, address=address).address,
            commit="" if request is None else request.commit,
            rejected=judged.rejected_run_ids,
        ),
        "batch_id": judged.batch_id,
    }
    record = lifecycle.record
    # The runs of a search must not pass the gate alone either.
    return {**known, "confirming": True} if record.confirming or record.searching else known


def push_note(lifecycle: Lifecycle, ti: Any) -> str:
    """Push what the history page shows of a task before it ends; returns the dashboard address."""
    url = lifecycle.url(lifecycle.record.base.run_ids)
    ti.xcom_push(key=NOTE, value=note_of(lifecycle, url))
    return url


def push_started(task: Any, lifecycle: Lifecycle, ti: Any) -> None:
    """Push the note, the ids of all runs and, if the task waits for them, the link to the dashboard."""
    base = lifecycle.record.base
    url, batch_id = push_note(lifecycle, ti), submission_of(base).batch_id
    run_ids = dict.fromkeys((*base.carried, *base.run_ids) if base.confirming else base.run_ids)
    ti.xcom_push(key="run_ids", value=list(run_ids))
    if batch_id:
        ti.xcom_push(key="batch_id", value=batch_id)
    # A task that waits for nothing ends soon, and Airflow then pushes the links itself.
    if getattr(task, "wait_for_completion", True) or not airflow_compat.PUSHES_LINKS:
        for link in task.operator_extra_links:
            # Push an empty string rather than nothing: Airflow reads the key at the end and logs a missing one as
            # an error.
            if isinstance(link, BaseOperatorLink):
                ti.xcom_push(key=link.xcom_key, value=url)
        leave_out_own_links(task)
    if url:
        task.log.info("Dashboard: %s", url)


def known_submission(task: Any, ti: Any, seen: Sequence[RunId]) -> Submission:
    """The runs of this try if there is no record of them.

    :param seen: the runs that the trigger waited for. Without them the XComs are read. Users can edit XComs, so the
        caller checks that the runs match the target.
    """
    run_ids = seen or ti.xcom_pull(task_ids=task.task_id, key="run_ids", map_indexes=ti.map_index)
    # Airflow logs a warning for each missing XCom, and not every run has a batch.
    pulled = ti.xcom_pull(task_ids=task.task_id, key=NOTE, map_indexes=ti.map_index)
    known = pulled if isinstance(pulled, dict) else {}
    if known.get("confirming"):
        # The runs that confirm a failure must not pass the gate alone.
        return Submission(())
    batch_id = known.get("batch_id")
    if batch_id is None:
        batch_id = ti.xcom_pull(task_ids=task.task_id, key="batch_id", map_indexes=ti.map_index)
    return Submission(tuple(run_ids or ()), batch_id=str(batch_id or ""))


@contextmanager
def failure_noted(task: Any, context: Mapping[str, Any], *, resumed: bool = False) -> Iterator[None]:
    """A block whose error is pushed as the reason why the task has no verdict.

    A task that judged its runs has pushed its summary, which has the reasons.

    :param task: the operator or sensor.
    :param resumed: whether the task has pushed its note before it was deferred.
    """
    try:
        yield
    except (Exception, AirflowTaskTimeout) as error:
        lifecycle = task._lifecycle
        if lifecycle is None or not lifecycle.judged:
            _push_reason(task, lifecycle, context["ti"], error, resumed=resumed)
        raise


def _push_reason(
    task: Any, lifecycle: Lifecycle | None, ti: Any, error: BaseException, *, resumed: bool
) -> None:
    # Airflow may refuse the XCom of a task that a user has ended. Airflow has to get the error itself in any case.
    try:
        ti.xcom_push(
            key=NOTE, value={**_known(task, lifecycle, ti, resumed=resumed), "reason": reason_of(error)}
        )
    except Exception as fault:
        task.log.debug("The reason was not pushed to XCom: %s", fault)
    if lifecycle is not None:
        lifecycle.tries.keep({"reasons": [reason_of(error)]})


def _known(task: Any, lifecycle: Lifecycle | None, ti: Any, *, resumed: bool) -> dict[str, Any]:
    """What the task has pushed before, else what it has started, else its target alone."""
    # Airflow logs a warning for each missing XCom, so a task that has pushed none yet does not ask for it.
    known = ti.xcom_pull(task_ids=task.task_id, key=NOTE, map_indexes=ti.map_index) if resumed else None
    if isinstance(known, dict):
        return known
    if lifecycle is not None:
        return note_of(lifecycle, lifecycle.url(lifecycle.record.base.run_ids))
    try:
        target = task.target()
    except ValueError:
        # The target may be what is invalid.
        return note("")
    return note(target.label if target is not None else "")


def reason_of(error: BaseException) -> str:
    """Why a task failed, in one line."""
    if isinstance(error, _OWN):
        return one_line(str(error), MAX_REASON)
    return f"{type(error).__name__}. The task's log has the details."
