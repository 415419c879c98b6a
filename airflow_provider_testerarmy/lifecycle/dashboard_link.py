"""The address behind the dashboard button of a task."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import XCom

from airflow_provider_testerarmy import airflow_compat


def dashboard_address(task: Any, ti_key: Any, xcom_key: str) -> str:
    """The dashboard page of a task's runs, empty if it is unknown.

    Airflow calls this at the end of each process of a task, and stores the result under ``xcom_key``. So it must
    return the value that an earlier process has pushed, or it would overwrite it (measured).

    :param task: the operator. Only in the worker it knows its runs, which saves a call to Airflow.
    """
    lifecycle = getattr(task, "_lifecycle", None)
    known = "" if lifecycle is None else lifecycle.url(lifecycle.record.base.run_ids)
    return str(known or XCom.get_value(ti_key=ti_key, key=xcom_key) or "")


def leave_out_own_links(task: Any) -> None:
    """Make Airflow push only the links of others at the end of this process.

    The task has pushed its own address when it started the runs. Airflow would push it again at the end of each
    process, which is a call to its API server.
    """
    if airflow_compat.PUSHES_LINKS:
        others = [link for link in task.operator_extra_links if not vars(type(link)).get("is_own")]
        task.operator_extra_links = tuple(others)
