"""Attempts, standings and quarantines in the tab: by an editor, by a reader, and by another site."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.ui.browser.chromium import Watched
from tests.ui.browser.stage import Stage

pytestmark = pytest.mark.integration

Visit = Callable[..., Watched]
NAME = "Checkout with a credit card"


def memory(staged: Stage, run_id: str, user: str = "viewer", task_id: str = "night") -> dict[str, Any]:
    with staged.client(user) as client:
        answer = client.get("dags/gates/memory", params={"run_id": run_id, "task_id": task_id})
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def shot(window: Watched, name: str) -> None:
    """A screenshot for a person, where `SHOTS` names a folder."""
    if folder := os.environ.get("SHOTS"):
        window.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_a_reader_has_no_buttons(staged: Stage, runs: dict[str, str], visit: Visit) -> None:
    """A user who can only read the DAG sees the standing, and a request that they make anyway is refused.

    It comes first: a night in quarantine, as of the next test, is no failure that the gate knows.
    """
    window = visit("viewer")
    tab = window.open(staged.task_page("gates", runs["gates"], "night"))
    row = tab.locator(".run", has_text=NAME)
    row.locator(".row").click()
    expect(row.locator(".gate")).to_contain_text("Failing since")
    expect(row.locator(".gate button")).to_have_count(0)
    before = memory(staged, runs["gates"])
    assert before["may_edit"] is False
    for user, status in (("viewer", 403), ("outsider", 403), ("blind", 403), (None, 401)):
        assert post(staged, user, runs["gates"], {"sec-fetch-site": "same-origin"}) == status
    assert memory(staged, runs["gates"])["tests"] == before["tests"]


def test_attempts_and_a_quarantine(staged: Stage, runs: dict[str, str], visit: Visit) -> None:
    """An editor sees the attempts of a confirmed failure, quarantines its test, and lifts that again."""
    window = visit("admin")
    tab = window.open(staged.task_page("gates", runs["gates"], "night"))
    row = tab.locator(".run", has_text=NAME)
    expect(row.locator(".flags")).to_contain_text("2 attempts")
    row.locator(".row").click()
    expect(row.locator(".attempts li")).to_have_count(2)
    expect(row.locator(".attempts .badge.k-failed")).to_have_count(2)
    expect(row.locator(".attempts a")).to_have_count(2)
    row.get_by_role("button", name="Quarantine this test").click()
    expect(row.get_by_label("Owner")).to_have_value("admin")
    hostile = "<img src=x onerror=window.hacked=1>"
    row.get_by_label("Reason").fill(hostile)
    shot(window, "form")
    row.get_by_role("button", name="Quarantine", exact=True).click()
    expect(row.locator(".gate")).to_contain_text("Quarantined until")
    expect(row.locator(".gate")).to_contain_text(f"admin · {hostile}")
    expect(row.locator(".flags")).to_contain_text("In quarantine")
    shot(window, "quarantined")
    assert audited(staged, "testerarmy_quarantined")[0]["owner"] == "admin"

    second = staged.run("gates")
    tab = window.open(staged.task_page("gates", second, "night"))
    row = tab.locator(".run", has_text=NAME)
    row.locator(".row").click()
    expect(row.locator(".gate")).to_contain_text("At the verdict: quarantined")
    shot(window, "second-night")
    row.get_by_role("button", name="Lift the quarantine").click()
    row.get_by_role("button", name="Lift the quarantine").click()
    expect(row.get_by_role("button", name="Quarantine this test")).to_be_visible()
    assert memory(staged, second)["tests"][catalog.TEST_FAILS]["quarantine"] is None
    assert len(audited(staged, "testerarmy_quarantine_lifted")) == 1


def audited(staged: Stage, event: str) -> list[dict[str, Any]]:
    """The lines of Airflow's audit log."""
    answer = httpx.get(
        f"{staged.airflow.url}/api/v2/eventLogs",
        params={"event": event, "dag_id": "gates"},
        headers={"Authorization": f"Bearer {staged.token('admin')}"},
        trust_env=False,
        timeout=20,
    )
    found: list[dict[str, Any]] = answer.raise_for_status().json()["event_logs"]
    return found


def post(staged: Stage, user: str | None, run_id: str, headers: dict[str, str]) -> int:
    change = {"test_id": catalog.TEST_FAILS, "owner": "x", "reason": "attack", "until": "14d", "seen": None}
    with staged.client(user) as client:
        return client.post(
            "dags/gates/quarantine",
            params={"run_id": run_id, "task_id": "night"},
            content=json.dumps(change),
            headers={"content-type": "application/json", **headers},
        ).status_code


ATTACK = """<!doctype html><form id=f method=post enctype="text/plain" action="URL">
<input name='{"test_id":"TEST","owner":"x","reason":"attack","until":"14d","seen":null,"x":"' value='"}'></form>
<script>
const body = JSON.stringify({test_id: "TEST", owner: "x", reason: "attack", until: "14d", seen: null});
const send = (type, mode) => fetch("URL", {method: "POST", credentials: "include", mode, body,
  headers: {"Content-Type": type}}).then(() => 0, () => 0);
Promise.all([send("text/plain", "no-cors"), send("application/json", "cors"), send("text/plain", "cors")])
  .then(() => navigator.sendBeacon("URL", body)).then(() => document.getElementById("f").submit());
</script>"""


@contextmanager
def site(page: str) -> Iterator[str]:
    """A site of somebody else. Another port is another origin, yet the same site, so that cookies are sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_another_site_changes_nothing(staged: Stage, runs: dict[str, str], visit: Visit) -> None:
    """A page of another origin uses an editor's session by form, fetch and beacon; each of them is refused."""
    before = memory(staged, runs["gates"])["tests"]
    target = f"{staged.airflow.url}/testerarmy/api/dags/gates/quarantine"
    url = f"{target}?run_id={runs['gates'].replace('+', '%2B')}&task_id=night"
    page = visit("admin").page.context.new_page()
    answers: list[tuple[str, int]] = []
    page.on("response", lambda answer: answers.append((answer.request.method, answer.status)))
    with site(ATTACK.replace("URL", url).replace("TEST", catalog.TEST_FAILS)) as address:
        page.goto(address)
        page.wait_for_url(f"{target}**")
    posted = [status for method, status in answers if method == "POST"]
    assert posted
    assert set(posted) <= {403, 415}
    assert post(staged, "admin", runs["gates"], {"origin": "https://evil.example"}) == 403
    assert post(staged, "admin", runs["gates"], {"sec-fetch-site": "same-site"}) == 403
    assert post(staged, "admin", runs["gates"], {}) == 403
    own = {"sec-fetch-site": "same-origin", "origin": staged.airflow.url}
    assert post(staged, "admin", runs["gates"], {**own, "content-type": "text/plain"}) == 415
    assert memory(staged, runs["gates"])["tests"] == before


def test_a_memory_in_a_folder(staged: Stage, runs: dict[str, str], visit: Visit) -> None:
    """The tab reads `memory_path` where it can, and says which command to run where it cannot."""
    folder = staged.airflow.home / "memory"
    assert memory(staged, runs["gates"], "admin", "elsewhere")["tests"]
    away = folder.with_name("away")
    folder.rename(away)
    try:
        window = visit("admin")
        tab = window.open(staged.task_page("gates", runs["gates"], "elsewhere"))
        expect(tab.locator(".notice", has_text="cannot be quarantined here")).to_contain_text("--memory-path")
        shot(window, "unreachable")
    finally:
        away.rename(folder)
