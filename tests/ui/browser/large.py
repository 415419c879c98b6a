"""`make bench-ui`: measures how long the tab of a task with 1,000 runs takes to load."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.ui.browser.chromium import MISSING, browser, chromium, context, watch
from tests.ui.browser.stage import Stage, stage

REPEATS = 5
DAG = Path(__file__).with_name("large_dag.py")


def main() -> int:
    """Measure and print a table; the limit of each is two seconds."""
    if chromium() is None:
        print(MISSING, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as home, stage(Path(home), dags=[DAG]) as staged:
        print("running 2 groups of 1,000 tests ...", flush=True)
        run_id = staged.airflow.trigger_dag("catalogue")
        staged.airflow.wait_dag_run("catalogue", run_id, timeout=280)
        with browser() as chrome:
            print(
                f"{'tab of a task':<16}{'verdict and list':>18}{'first 50 in full':>18}  s, median of {REPEATS}"
            )
            for task_id in ("reported", "live"):
                times = [_open(staged, chrome, run_id, task_id) for _ in range(REPEATS)]
                listed, whole = (statistics.median(each) for each in zip(*times, strict=True))
                print(f"{task_id:<16}{listed:>18.2f}{whole:>18.2f}", flush=True)
                print(f"{'  the first time':<16}{times[0][0]:>18.2f}{times[0][1]:>18.2f}", flush=True)
    return 0


def _open(staged: Stage, chrome: Browser, run_id: str, task_id: str) -> tuple[float, float]:
    """Seconds until the verdict and the list are shown, and until the runs of the first page are loaded."""
    window = context(chrome, staged.token("viewer"), staged.airflow.url)
    watched = watch(window.new_page(), staged.airflow.url)
    begin = time.monotonic()
    tab = watched.open(f"{staged.airflow.url}/testerarmy/view/task/catalogue/{run_id}/{task_id}/-1")
    expect(tab.locator(".run")).to_have_count(50)
    listed = time.monotonic() - begin
    expect(tab.locator(".run .badge", has_text="Passed")).to_have_count(50)
    whole = time.monotonic() - begin
    if task_id == "reported":
        tab.locator("#words").fill("page 777")
        expect(tab.locator(".run")).to_have_count(1)
    window.close()
    return listed, whole


if __name__ == "__main__":
    sys.exit(main())
