"""axe finds nothing serious: in the tab, light and dark, and in the HTML report."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from airflow_provider_testerarmy.lifecycle.reporting import render
from tests.reports.cases import NAME, NIGHT, summary_of
from tests.ui.browser.chromium import Watched
from tests.ui.browser.stage import Stage

pytestmark = pytest.mark.integration

Visit = Callable[..., Watched]
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()


def serious(page: Any) -> list[str]:
    """What axe finds that keeps people out."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']} {node.get('failureSummary', '')}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"][:5]
    ]


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("view", ["checkout", "live", "deploy", "waits", "dag_run", "history"])
def test_the_tab(
    staged: Stage, runs: dict[str, str], visit: Visit, view: str, dark: bool, width: int
) -> None:
    """Each view on a laptop and on a phone, with a run expanded."""
    addresses = {
        "dag_run": f"view/dag-run/shop/{runs['shop']}",
        "history": "view/history",
        "waits": f"view/task/waiting/{runs['waiting']}/waits/-1",
    }
    address = addresses.get(view, f"view/task/shop/{runs['shop']}/{view}/-1")
    window = visit(dark=dark, width=width)
    tab = window.open(f"{staged.airflow.url}/testerarmy/{address}")
    if view in ("checkout", "live"):
        tab.locator(".row").first.click()
        expect(tab.locator(".steps").first).to_be_visible()
    assert serious(window.page) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_tab_with_airflows_colours(staged: Stage, runs: dict[str, str], visit: Visit, dark: bool) -> None:
    """Within Airflow the neutral colours are Airflow's."""
    window = visit(dark=dark)
    window.open(staged.task_page("shop", runs["shop"], "checkout"))
    (frame,) = [frame for frame in window.page.frames if "/testerarmy/view/" in frame.url]
    assert serious(frame) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_html_report(chrome: Browser, tmp_path: Path, scheme: str) -> None:
    """Its own policy forbids scripts, so axe comes from outside."""
    path = tmp_path / "report.html"
    path.write_text(render(str(path), summary_of(NIGHT), NIGHT, name=NAME))
    context = chrome.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri())
    assert serious(page) == []
    context.close()
