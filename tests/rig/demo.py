"""`make demo`: starts the sandbox and a real Airflow, runs the example DAG, and prints its verdict."""

import sys
import time
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from tests.rig.airflow import LocalAirflow
from tests.rig.api import FINISHED_RUN
from tests.rig.rest import NotFoundError, RestError, UnavailableError
from tests.rig.sandbox import EXAMPLE_DAGS, example_airflow, sandbox
from tests.rig.waiting import eventually

DAG_ID = "nightly_regression"
TASK_ID = "run_regression"
SPEED = "10"  # sandbox seconds per real second

Summary = dict[str, Any]


class Progress:
    """Prints lines that start with the elapsed seconds."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"{time.monotonic() - self._begin:6.1f} s  {text}", flush=True)


def main() -> int:
    """Run the demo and return its exit status."""
    if not (EXAMPLE_DAGS / f"{DAG_ID}.py").exists() and not list(EXAMPLE_DAGS.glob("*.py")):
        print(f"No example DAGs found in {EXAMPLE_DAGS}.", file=sys.stderr)
        return 1
    progress = Progress()
    try:
        with sandbox("--speed", SPEED) as address:
            progress.say(f"sandbox   {address}  (local, no account needed)")
            progress.say(f"starting  Airflow {version('apache-airflow-core')} with a new database")
            with example_airflow(address) as airflow:
                progress.say(f"ready     {airflow.url}")
                return _run(airflow, progress)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def _run(airflow: LocalAirflow, progress: Progress) -> int:
    run_id = airflow.trigger_dag(DAG_ID)
    progress.say(f"run       {DAG_ID} {run_id}")
    state = _follow(airflow, run_id, progress)
    progress.say(f"ended     {DAG_ID} {state}")
    summary = _summary(airflow, run_id)
    if summary is not None:
        print(render(summary), flush=True)
    print(next_steps(airflow.url, run_id, next(iter(airflow.users)), airflow.password), flush=True)
    if state == "success":
        _wait_for_reader()
        return 0
    print(_log_tail(airflow, run_id), file=sys.stderr)
    return 1


def _follow(airflow: LocalAirflow, run_id: str, progress: Progress) -> str:
    """Print every change of a task's state until the DAG run ends, and return the DAG run's state."""
    known: dict[str, str | None] = {}

    def step() -> str | None:
        for task in airflow.task_instances(DAG_ID, run_id):
            name, state = str(task["task_id"]), task["state"]
            if known.get(name) != state:
                known[name] = state
                progress.say(f"task      {name:<20} {state}")
        state = str(airflow.dag_run(DAG_ID, run_id)["state"])
        return state if state in FINISHED_RUN else None

    return eventually(
        step,
        300,
        f"the end of {DAG_ID}",
        state=lambda: airflow.describe_run(DAG_ID, run_id),
        retry_on=(UnavailableError,),
    )


def _summary(airflow: LocalAirflow, run_id: str) -> Summary | None:
    try:
        value = airflow.xcom(DAG_ID, run_id, TASK_ID)
    except NotFoundError:
        return None
    return value if isinstance(value, dict) else None


def render(summary: Summary) -> str:
    """Return the outcome of each test, the verdict and its reasons as aligned text."""
    tests = summary.get("tests") or []
    width = max((len(str(test.get("title") or test["test_id"])) for test in tests), default=0)
    lines = [
        f"  {test['outcome']:<10} {test.get('title') or test['test_id']!s:<{width}}  {test['run_id']}"
        for test in tests
    ]
    counts = ", ".join(
        f"{number} {outcome}"
        for outcome, number in summary["counts"].items()
        if number and outcome != "total"
    )
    lines += ["", f"  verdict    {summary['verdict']}  ({counts})"]
    lines += [f"             {reason}" for reason in summary["reasons"]]
    if summary.get("url"):
        lines.append(f"  details    {summary['url']}")
    return "\n".join(["", *lines])


def next_steps(url: str, run_id: str, user: str, password: str) -> str:
    """Return the address of the tab with this run, how to sign in, and what to try next."""
    tab = f"{url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}/tasks/{TASK_ID}/plugin/test-runs"
    return f"""
  tab        {tab}
  sign in    {user}, password {password}

  Try next
    make ui                      keeps an Airflow with all example DAGs running
    docs/getting-started.md      installs the provider into your own Airflow
    docs/how-to.md               has a DAG for each common task
"""


def _wait_for_reader() -> None:
    """Keep Airflow running for somebody at a terminal, who can then open the tab."""
    if sys.stdin.isatty():
        input("  Airflow runs until you press Enter. ")


def _log_tail(airflow: LocalAirflow, run_id: str, lines: int = 30) -> str:
    try:
        tries = airflow.task_instance(DAG_ID, run_id, TASK_ID)["try_number"]
        log = airflow.task_log(DAG_ID, run_id, TASK_ID, max(1, tries)).splitlines()[-lines:]
    except RestError as error:
        return f"\nThe log of {TASK_ID} could not be read: {error}"
    return "\n".join([f"\nEnd of the log of {TASK_ID}, try {tries}:", *log])


if __name__ == "__main__":
    sys.exit(main())
