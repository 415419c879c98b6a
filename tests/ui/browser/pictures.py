"""`make ui-pictures`: every view of the tab in light and dark, from a real Airflow into docs/images."""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.rig.settings import REPOSITORY
from tests.ui.browser.chromium import MISSING, browser, chromium, context, watch
from tests.ui.browser.stage import Stage, stage

IMAGES = REPOSITORY / "docs" / "images"
NIGHTS = 16
#: The test that fails, by night; the flaky test of the widgets alternates by itself.
BROKEN = {3: catalog.TEST_CART, 4: catalog.TEST_CART, 9: catalog.TEST_RETURNS, 12: catalog.TEST_CART}


@dataclass(frozen=True)
class View:
    """One picture: its URL and size, and what to do before it is taken."""

    name: str
    address: str
    width: int = 1280
    height: int = 860
    before: Callable[[Any], None] = field(default=lambda _tab: None)


def main() -> int:
    """Take them all."""
    if chromium() is None:
        print(MISSING, file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="airflow-") as home,
        stage(Path(home)) as staged,
        browser() as chrome,
    ):
        for view in _views(staged):
            for theme in ("light", "dark"):
                _take(staged, chrome, view, theme)
    return 0


def _views(staged: Stage) -> Iterator[View]:
    print("making a history ...", flush=True)
    for night in range(NIGHTS):
        _one_night(staged, night)
    yield View("history", staged.history_page, height=980)
    shop = staged.run("shop")
    waiting = staged.airflow.trigger_dag("waiting")
    staged.airflow.wait_task_state("waiting", waiting, "waits", "deferred")
    alone = f"{staged.airflow.url}/testerarmy/view/task/shop/{shop}/checkout/-1"
    yield from [
        View("task", staged.task_page("shop", shop, "checkout"), height=1180, before=_unfold),
        View("task-detail", staged.task_page("shop", shop, "checkout"), height=1180, before=_look_at_steps),
        View("waiting", staged.task_page("waiting", waiting, "waits"), height=640, before=_seen_running),
        View("empty", staged.task_page("shop", shop, "deploy"), height=560),
        View("dag-run", staged.dag_run_page("shop", shop), height=980),
        View("phone", alone, width=360, height=800),
    ]


def _one_night(staged: Stage, night: int) -> None:
    """Run the DAG `night` and backdate it, because a history of weeks cannot be waited for."""
    store = staged.sandbox.control.store
    if night in BROKEN:
        store.override_script(BROKEN[night], "fails")
    run_id = staged.run("night")
    for test_id in set(BROKEN.values()):
        store.override_script(test_id, None)
    when = datetime.now(UTC).replace(hour=2, minute=4) - timedelta(days=NIGHTS - night)
    with closing(sqlite3.connect(staged.airflow.home / "airflow.db", timeout=30)) as database, database:
        database.execute(
            "UPDATE task_instance SET start_date = ?, end_date = ? WHERE run_id = ?",
            (str(when.replace(tzinfo=None)), str((when + timedelta(minutes=2)).replace(tzinfo=None)), run_id),
        )
        rows = database.execute(
            "SELECT task_id, value FROM xcom WHERE run_id = ? AND key = 'return_value'", (run_id,)
        ).fetchall()
        for task_id, value in rows:
            database.execute(
                "UPDATE xcom SET value = ? WHERE run_id = ? AND task_id = ? AND key = 'return_value'",
                (json.dumps(_longer(json.loads(value), night)), run_id, task_id),
            )


def _longer(summary: dict[str, Any], night: int) -> dict[str, Any]:
    """The sandbox's tests take the same time every night; real ones do not."""
    factor = 6 + (night * 7 % 5) + night / 4
    started = datetime.fromisoformat(summary["started_at"])
    seconds = (datetime.fromisoformat(summary["finished_at"]) - started).total_seconds() * factor
    tests = [
        {**test, "seconds": round(test["seconds"] * (factor + (night * number) % 3), 1)}
        for number, test in enumerate(summary["tests"])
    ]
    return {**summary, "tests": tests, "finished_at": (started + timedelta(seconds=seconds)).isoformat()}


def _unfold(tab: Any) -> None:
    tab.locator(".row").first.click()
    expect(tab.locator(".steps").first).to_be_visible()
    tab.locator(".head").scroll_into_view_if_needed()


def _look_at_steps(tab: Any) -> None:
    _unfold(tab)
    tab.locator(".pictures img").first.scroll_into_view_if_needed()
    for image in tab.locator(".pictures img").all():
        expect(image).to_have_js_property("complete", True)


def _seen_running(tab: Any) -> None:
    expect(tab.locator(".run .badge", has_text="Running")).to_be_visible()


def _take(staged: Stage, chrome: Browser, view: View, theme: str) -> None:
    window = context(
        chrome, staged.token("viewer"), staged.airflow.url, dark=theme == "dark", width=view.width
    )
    page = window.new_page()
    page.set_viewport_size({"width": view.width, "height": view.height})
    watched = watch(page, staged.airflow.url)
    view.before(watched.open(view.address))
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
    path = IMAGES / f"{view.name}-{theme}.png"
    page.screenshot(path=path)
    misdeeds = watched.misdeeds()
    window.close()
    print(f"{path.relative_to(REPOSITORY)}  {path.stat().st_size // 1024} KiB  {misdeeds or ''}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
