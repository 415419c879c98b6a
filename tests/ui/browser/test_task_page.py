"""The task page as it opens: first failure, screenshots, copying, German. Real scripts, scripted responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.ui.browser.scripted import Site, detail, task
from tests.ui.browser.test_accessible import AXE, serious
from tests.ui.browser.test_still import JUDGED

pytestmark = pytest.mark.integration

TASK = "task/d/r/t/-1"
STEP = {
    "title": "Press Pay",
    "kind": "click",
    "passed": False,
    "summary": "",
    "error": "No button",
    "code": "",
    "hint": "Check the form.",
    "time": "2 s",
    "bar": None,
}
PICTURES = [
    {"copy": "1" * 32 + ".png", "link": "", "of": ""},
    {"copy": "2" * 32 + ".png", "link": "", "of": "No total"},
]
#: What the memory says of a test: a night in UTC, and where it was tested.
NIGHTS = {
    "nights": 2,
    "since": 1.77e9,
    "commit": "4f2d1c9aa",
    "first_bad": {
        "at": 1.77e9,
        "commit": "4f2d1c9aa",
        "commit_url": "https://git.example/shop/commit/4f2d1c9aa",
        "address": "https://new.example",
    },
    "last_good": {"at": 1.769e9, "commit": "1a2b3c4dd", "commit_url": "javascript:alert(1)", "address": ""},
    "changes_url": "https://git.example/shop/compare/1a2b3c4dd...4f2d1c9aa",
}
ENDED = {"task_id": "t", "state": "failed", "finished": True, "try_number": 1, "started": 1.77e9}


@pytest.fixture(params=[(1400, 900), (390, 844)], ids=["wide", "narrow"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param


@pytest.fixture
def window(chrome: Browser) -> Iterator[Site]:
    """A browser window with a task of three tests, two of which failed."""
    context = chrome.new_context(locale="en-GB", bypass_csp=True, viewport={"width": 1400, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    site = Site(page)
    site.answer = answer
    yield site
    context.close()
    assert errors == []


def answer(path: str, query: dict[str, list[str]]) -> Any:
    """A finished task whose most severe failure is not the first in the summary."""
    if path.endswith("/memory"):
        return {"tests": {"t-b": {"failing": NIGHTS, "quarantine": None}}, "why": "", "may_edit": False}
    if path.endswith("/runs"):
        full = {"steps": [STEP], "pictures": PICTURES, "test_id": "t-b", "url": "https://tester.army/r/b"}
        return {"runs": {each: {**detail(each), **full} for each in query["run"]}, "notice": ""}
    issue = {"test": "Test", "confirmed": True}
    summary = {
        **JUDGED,
        "counts": {"total": 3, "failed": 2, "passed": 1},
        "reasons": ["Test b: Issue (severity 4): No total. https://tester.army/r/b", "1 of 3 runs passed"],
        "issues": [
            {**issue, "id": "b", "name": "No total", "severity": 4},
            {**issue, "id": "a", "name": "Typo", "severity": 1},
        ],
        "known": [],
    }
    rows = [
        {"id": name, "title": f"Test {name}", "outcome": outcome, "seconds": 3.0, "flaky": False}
        for name, outcome in (("a", "failed"), ("b", "failed"), ("c", "passed"))
    ]
    tested = {
        "commit": "4f2d1c9aa0b1c2d3",
        "commit_url": "https://git.example/shop/commit/4f2d1c9aa0b1c2d3",
        "environment": "staging",
        "address": "https://new.example/shop",
    }
    return task(task=ENDED, summary=summary, runs=rows, total=3, tested=tested)


def texts(page: Page) -> list[str]:
    """The visible texts of the page, one for each text node."""
    return page.evaluate("""() => {
      const nodes = document.createTreeWalker(document.querySelector("#page"), NodeFilter.SHOW_TEXT);
      const found = [];
      while (nodes.nextNode()) {
        const text = nodes.currentNode.data.trim();
        if (text && nodes.currentNode.parentElement.checkVisibility()) found.push(text);
      }
      return found;
    }""")


def test_the_first_screen(window: Site, size: tuple[int, int]) -> None:
    """Without a click: the most severe failure, its step, expected against actual, since when, and its picture."""
    page = window.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    window.open(TASK)
    first = page.locator(".first")
    expect(first.get_by_role("heading")).to_contain_text("Test b")
    expect(first.locator(".steps")).to_contain_text("Press Pay")
    expect(first.locator(".hint")).to_contain_text("Check the form.")
    expect(first.locator("dd")).to_have_text(["1", "2"])
    expect(first.locator("figcaption")).to_have_text("No total")
    expect(first.locator(".gate")).to_contain_text("First bad night")
    expect(first.locator(".gate")).to_contain_text("1a2b3c4dd")
    expect(first.get_by_role("link", name="https://new.example")).to_be_visible()
    for part in (".first h2", ".first .steps", ".first dl"):
        box = page.locator(part).bounding_box()
        assert box
        assert box["y"] + box["height"] <= size[1]
    if size[0] >= 1100:
        facts, shown = page.locator(".findings").bounding_box(), page.locator(".shown").bounding_box()
        assert facts
        assert shown
        assert shown["x"] >= facts["x"] + facts["width"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator(".run .title")).to_have_text(["Test b", "Test a", "Test c"])


def test_a_fact_stands_once(window: Site) -> None:
    """The issue of the first failure is not repeated as a reason or in the list of issues."""
    window.open(TASK)
    page = window.page
    expect(page.locator(".first")).to_be_visible()
    # The caption says which issue the picture shows.
    shown = [text for text in texts(page) if "No total" in text]
    assert len(shown) == 2
    assert page.locator(".first .cardhead b, .first figcaption").all_inner_texts() == shown
    expect(page.locator(".reasons li")).to_have_text(["1 of 3 runs passed"])
    expect(page.locator(".found .name")).to_have_text(["Typo"])


def test_the_standing_of_the_first_failure(window: Site) -> None:
    """Beside its title: known or new, flaky, and whose it is."""

    def known(path: str, query: dict[str, list[str]]) -> Any:
        found = answer(path, query)
        if path.endswith("/task"):
            row = {"test_id": "t-b", "owner": "Ada", "flaky": True}
            entry = {"test_id": "T-B", "standing": "known", "nights": 3, "commit": "", "commit_url": ""}
            found["runs"] = [{**each, **row} if each["id"] == "b" else each for each in found["runs"]]
            found["summary"] = {**found["summary"], "known": [{**entry, "note": "since Monday"}]}
        return found

    window.answer = known
    window.open(TASK)
    first = window.page.locator(".first")
    expect(first.locator(".bar .chip")).to_have_text(["Owner: Ada", "Known", "Flaky"])
    expect(first.locator(".gate")).to_contain_text("At the verdict: known since 3 nights.")
    expect(first.locator(".gate")).to_contain_text("since Monday")


def test_what_was_tested(window: Site, size: tuple[int, int]) -> None:
    """Commit, environment and address stand in the head; a commit is a link only to an https address."""
    page = window.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    window.open(TASK)
    head = page.locator(".tested")
    expect(head).to_contain_text("environment staging")
    commit = head.get_by_role("link", name="4f2d1c9aa0b1", exact=False)
    expect(commit).to_have_attribute("href", "https://git.example/shop/commit/4f2d1c9aa0b1c2d3")
    expect(head.get_by_role("link", name="https://new.example/shop")).to_be_visible()
    gate = page.locator(".first .gate")
    expect(gate.get_by_role("link", name="4f2d1c9aa")).to_have_attribute(
        "href", "https://git.example/shop/commit/4f2d1c9aa"
    )
    expect(gate.get_by_role("link", name="Changes between these nights")).to_be_visible()
    expect(gate.locator("code", has_text="1a2b3c4dd")).to_be_visible()
    assert [
        href
        for href in page.locator("a").evaluate_all("all => all.map(one => one.href)")
        if "javascript:" in href
    ] == []


def test_screenshots_by_keyboard(window: Site) -> None:
    """Enter opens a screenshot, arrow keys change it, Escape closes it, and the focus returns."""
    window.open(TASK)
    page = window.page
    opener = page.locator(".first .enlarge")
    opener.focus()
    page.keyboard.press("Enter")
    box = page.locator(".lightbox")
    expect(box.get_by_role("status")).to_have_text("2 of 2: No total")
    page.keyboard.press("ArrowLeft")
    expect(box.get_by_role("status")).to_have_text("1 of 2: Screenshot 1")
    page.keyboard.press("ArrowLeft")
    expect(box.get_by_role("status")).to_have_text("1 of 2: Screenshot 1")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    assert opener.evaluate("node => node === document.activeElement")


def test_before_and_after_a_step(window: Site, size: tuple[int, int]) -> None:
    """The page opens with the picture of the failed step. In full, it is beside the page before that step."""
    step = {"of": "", "step": "Press Pay", "failed": True}
    last = {"copy": "3" * 32 + ".png", "link": "", "of": "", "step": "Leave", "failed": False, "before": ""}
    mine = [{**PICTURES[0], **step, "before": "4" * 32 + ".png"}, last]

    def with_step(path: str, query: dict[str, list[str]]) -> Any:
        found = answer(path, query)
        if path.endswith("/runs"):
            found["runs"] = {each: {**one, "pictures": mine} for each, one in found["runs"].items()}
        return found

    window.answer = with_step
    page = window.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    window.open(TASK)
    expect(page.locator(".first figcaption")).to_have_text("Press Pay")
    page.locator(".first .enlarge").click()
    box = page.locator(".lightbox")
    expect(box.get_by_role("status")).to_have_text("1 of 2: Press Pay")
    before = box.get_by_role("img", name="Press Pay · Before the step")
    after = box.get_by_role("img", name="Press Pay · After the step")
    assert "name=" + "4" * 32 in str(before.get_attribute("src"))
    assert "name=" + "1" * 32 in str(after.get_attribute("src"))
    left, right = (side.bounding_box() for side in box.locator("figure").all())
    assert left
    assert right
    wide = size[0] >= 820
    assert (left["y"] == right["y"]) is wide
    assert (left["x"] + left["width"] <= right["x"]) is wide
    assert right["y"] + right["height"] <= size[1]
    page.keyboard.press("ArrowRight")
    expect(box.locator("img")).to_have_count(1)
    expect(box.get_by_role("status")).to_have_text("2 of 2: Leave")


def test_a_failure_is_copied(window: Site) -> None:
    """Where the browser refuses the clipboard, the text is shown selected."""
    page = window.page
    page.add_init_script("""navigator.clipboard ? 0 : Object.defineProperty(navigator, "clipboard", {value: {}});
      navigator.clipboard.writeText = async (text) => {
        if (window.refused) throw new DOMException("", "NotAllowedError");
        window.copied = text;
      };""")
    window.open(TASK)
    page.locator(".first .copy").click()
    expect(page.locator("#announcement")).to_have_text("Copied.")
    copied = page.evaluate("window.copied")
    assert copied == detail("b")["markdown"]
    page.evaluate("window.refused = true")
    page.locator(".first .copy").click()
    field = page.locator(".offer textarea")
    assert field.input_value() == copied
    assert field.evaluate("node => node.selectionEnd - node.selectionStart") == len(copied)
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)


def test_the_page_in_german(window: Site) -> None:
    """In the language of Airflow's settings, no English sentence is left."""
    page = window.page
    page.add_init_script("localStorage.setItem('i18nextLng', 'de')")
    window.open(TASK)
    expect(page.locator(".first")).to_be_visible()
    page.locator("#row-b").click()
    expect(page.locator(".detail")).to_contain_text("Schritte")
    english = {
        "Failed",
        "Reasons",
        "Issues",
        "Runs",
        "Steps",
        "Expected",
        "Actual",
        "History",
        "Copy as Markdown",
    }
    assert english & set(texts(page)) == set()
    assert {"Gründe", "Erwartet", "Tatsächlich", "Als Markdown kopieren"} <= set(texts(page))
    assert page.evaluate("document.documentElement.lang") == "de"


def test_a_late_answer_about_a_run(window: Site) -> None:
    """Details that arrive after newer ones are dropped."""
    first = {"held": True}

    def slow(path: str, query: dict[str, list[str]]) -> Any:
        if path.endswith("/runs"):
            if first.pop("held", False):
                return None
            return {
                "runs": {each: {**detail(each), "reason": "newer"} for each in query["run"]},
                "notice": "",
            }
        return answer(path, query)

    window.answer = slow
    window.open(TASK)
    page = window.page
    page.locator("#row-a").click()
    expect(page.locator("#run-a .said")).to_have_text("newer")
    late = {"runs": {"a": {**detail("a"), "reason": "older"}}, "notice": ""}
    for route in window.held:
        route.fulfill(json=late)
    page.wait_for_timeout(200)
    expect(page.locator("#run-a .said")).to_have_text("newer")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_people_can_use_it(window: Site, size: tuple[int, int], dark: bool) -> None:
    """axe finds nothing serious on the page and in the dialog of a screenshot."""
    page = window.page
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    window.open(TASK)
    expect(page.locator(".first")).to_be_visible()
    assert AXE
    assert serious(page) == []
    page.locator(".first .enlarge").click()
    assert serious(page) == []
