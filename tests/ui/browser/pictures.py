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
from urllib.parse import quote

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
    width: int = 1400
    height: int = 900
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
    yield View("history", staged.history_page)
    yield View("test", f"{staged.history_page}?test={_flakiest(staged)}")
    shop = staged.run("shop")
    waiting = staged.airflow.trigger_dag("waiting")
    staged.airflow.wait_task_state("waiting", waiting, "waits", "deferred")
    alone = f"{staged.airflow.url}/testerarmy/view/task/shop/{shop}/checkout/-1"
    yield from [
        View("task", staged.task_page("shop", shop, "checkout"), before=_seen_failure),
        View("waiting", staged.task_page("waiting", waiting, "waits"), before=_seen_running),
        View("dag-run", staged.dag_run_page("shop", shop)),
        View("phone", alone, width=390, height=844, before=_seen_failure),
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


def _flakiest(staged: Stage) -> str:
    """The first test of the history, as its page's address names it."""
    with staged.client("viewer") as client:
        return quote(client.get("history").json()["tests"][0]["key"])


def _seen_failure(tab: Any) -> None:
    """The page opens with its first failure; nothing is clicked."""
    picture = tab.locator(".first img")
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)


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
