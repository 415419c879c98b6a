"""The actions of a test or a user on a running Airflow, through its public REST API."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tests.rig.rest import NotFoundError, RestClient, UnavailableError, render_log
from tests.rig.waiting import eventually

Json = dict[str, Any]

FINISHED_RUN = frozenset({"success", "failed"})
FINISHED_TASK = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_NOT_YET = (NotFoundError, UnavailableError)


class AirflowApi:
    """DAG runs, task instances, XComs, logs and connections of one Airflow.

    A `map_index` of -1 means the unmapped task. `run_id` may be "~" where noted.
    """

    def __init__(self, rest: RestClient) -> None:
        self.rest = rest

    # DAGs and DAG runs

    def dags(self) -> list[Json]:
        """Return all parsed DAGs."""
        return list(self.rest.get("/dags", limit=1000, exclude_stale=True)["dags"])

    def import_errors(self) -> dict[str, str]:
        """Return the stack trace per DAG file that could not be imported."""
        found = self.rest.get("/importErrors", limit=1000)["import_errors"]
        return {str(error["filename"]): str(error["stack_trace"]) for error in found}

    def trigger_dag(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime | None = None,
        run_id: str | None = None,
    ) -> str:
        """Unpause the DAG, start a run of it and return the run's id."""
        self.rest.patch(f"/dags/{dag_id}", {"is_paused": False})
        body = {
            "dag_run_id": run_id,
            "conf": dict(conf or {}),
            "logical_date": logical_date.isoformat() if logical_date else None,
        }
        return str(self.rest.post(f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def pause_dag(self, dag_id: str) -> None:
        """Pause the DAG, and fail its runs that have not finished."""
        self.rest.patch(f"/dags/{dag_id}", {"is_paused": True})
        for run in self.dag_runs(dag_id):
            if run["state"] not in FINISHED_RUN:
                self.set_dag_run_state(dag_id, run["dag_run_id"], "failed")

    def dag_run(self, dag_id: str, run_id: str) -> Json:
        """Return one DAG run."""
        return dict(self.rest.get(_run(dag_id, run_id)))

    def dag_runs(self, dag_id: str) -> list[Json]:
        """Return all runs of a DAG, the oldest first."""
        answer = self.rest.get(f"/dags/{dag_id}/dagRuns", limit=1000, order_by="run_after")
        return list(answer["dag_runs"])

    def wait_dag_run(
        self,
        dag_id: str,
        run_id: str,
        timeout: float = 120,
        states: Collection[str] = FINISHED_RUN,
    ) -> str:
        """Wait until the DAG run is in one of `states`, and return its state."""
        return eventually(
            lambda: _within(self.dag_run(dag_id, run_id)["state"], states),
            timeout,
            f"run {run_id} of {dag_id} in {sorted(states)}",
            state=lambda: self.describe_run(dag_id, run_id),
            retry_on=_NOT_YET,
        )

    def set_dag_run_state(self, dag_id: str, run_id: str, state: str) -> Json:
        """Mark a DAG run as "success", "failed" or "queued", as the UI does."""
        return dict(self.rest.patch(_run(dag_id, run_id), {"state": state}))

    def describe_run(self, dag_id: str, run_id: str) -> str:
        """Return one line with the state of the DAG run and its tasks, for messages."""
        tasks = ", ".join(
            f"{_task_name(task)}={task['state']} (try {task['try_number']})"
            for task in self.task_instances(dag_id, run_id)
        )
        return f"run {run_id} of {dag_id} is {self.dag_run(dag_id, run_id)['state']}: {tasks}"

    # task instances

    def task_instances(self, dag_id: str, run_id: str = "~", state: str | None = None) -> list[Json]:
        """Return the task instances of a DAG run (of all DAG runs for "~"), for all map indexes."""
        answer = self.rest.get(f"{_run(dag_id, run_id)}/taskInstances", limit=1000, state=state)
        return list(answer["task_instances"])

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Json:
        """Return one task instance: `id`, `state`, `try_number`, `max_tries`, `trigger`, `hostname`, ..."""
        return dict(self.rest.get(_mapped(dag_id, run_id, task_id, map_index)))

    def task_tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[Json]:
        """Return every try of a task instance, the oldest first."""
        path = f"{_mapped(dag_id, run_id, task_id, map_index)}/tries"
        return sorted(self.rest.get(path)["task_instances"], key=lambda each: int(each["try_number"]))

    def wait_task_state(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str] | str = FINISHED_TASK,
        timeout: float = 60,
        map_index: int = -1,
        try_number: int | None = None,
    ) -> Json:
        """Wait until the task instance is in one of `states`, and return it.

        With `try_number`, the state counts only in that try or a later one.
        """
        wanted = {states} if isinstance(states, str) else set(states)

        def arrived() -> Json | None:
            task = self.task_instance(dag_id, run_id, task_id, map_index)
            early = try_number is not None and task["try_number"] < try_number
            return None if early or task["state"] not in wanted else task

        return eventually(
            arrived,
            timeout,
            f"task {task_id}[{map_index}] of {dag_id} in {sorted(wanted)}",
            state=lambda: self.describe_run(dag_id, run_id),
            retry_on=_NOT_YET,
        )

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance as "success", "failed" or "skipped", as the UI does."""
        self.rest.patch(_mapped(dag_id, run_id, task_id, map_index), {"new_state": state})

    def clear_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: int = -1,
        *,
        downstream: bool = False,
        only_failed: bool = False,
    ) -> None:
        """Clear a task instance as the UI does, so that it runs again."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id if map_index < 0 else [task_id, map_index]],
            "only_failed": only_failed,
            "reset_dag_runs": True,
            "include_downstream": downstream,
        }
        self.rest.post(f"/dags/{dag_id}/clearTaskInstances", body)

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """Return the log of one try as plain lines, also while the task runs or is deferred."""
        response = self.rest.request(
            "GET",
            f"{_task(dag_id, run_id, task_id)}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/x-ndjson"},
        )
        return render_log(response.text)

    def extra_links(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        map_index: int = -1,
        try_number: int | None = None,
    ) -> dict[str, str | None]:
        """Return the URLs of the extra links (buttons) of a task instance by name, None for a missing one."""
        path = f"{_task(dag_id, run_id, task_id)}/links"
        return dict(self.rest.get(path, map_index=map_index, try_number=try_number)["extra_links"])

    # XCom

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """Return an XCom's value as JSON.

        Raises:
            NotFoundError: there is no such XCom.
        """
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries/{quote(key, safe='')}"
        return self.rest.get(path, map_index=map_index, deserialize=True)["value"]

    def xcom_keys(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> set[str]:
        """Return the keys of all XComs of a task instance."""
        path = f"{_task(dag_id, run_id, task_id)}/xcomEntries"
        return {str(entry["key"]) for entry in self.rest.get(path, map_index=map_index)["xcom_entries"]}

    # connections

    def create_connection(self, connection_id: str, conn_type: str, **fields: object) -> Json:
        """Store a connection in the metadata database.

        `fields` are host, login, password, schema, port, extra (a dict is encoded as JSON) and description.
        """
        return dict(self.rest.post("/connections", _connection(connection_id, conn_type, fields)))

    def press_test(self, connection_id: str, conn_type: str, **fields: object) -> tuple[bool, str]:
        """Press the UI's "Test" button on these fields. Return whether the test passed, and its message."""
        answer = self.rest.post("/connections/test", _connection(connection_id, conn_type, fields))
        return bool(answer["status"]), str(answer["message"])

    # installation

    def health(self) -> Json:
        """Return the health of the metadata database, scheduler, triggerer and DAG processor."""
        return dict(self.rest.get("/monitor/health"))

    def jobs(self, job_type: str) -> list[Json]:
        """Return the jobs ("SchedulerJob", "TriggererJob", "DagProcessorJob") ever started."""
        return list(self.rest.get("/jobs", job_type=job_type, limit=1000)["jobs"])


def _connection(connection_id: str, conn_type: str, fields: Mapping[str, object]) -> Json:
    extra = fields.get("extra")
    encoded = json.dumps(extra) if isinstance(extra, Mapping) else extra
    return {"connection_id": connection_id, "conn_type": conn_type, **fields, "extra": encoded}


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='~')}"


def _task(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{task_id}"


def _mapped(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    return _task(dag_id, run_id, task_id) + (f"/{map_index}" if map_index >= 0 else "")


def _task_name(task: Json) -> str:
    return str(task["task_id"]) if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


def _within(state: str, states: Collection[str]) -> str | None:
    return state if state in states else None
