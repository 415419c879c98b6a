"""The page that plays a recording: it loads from the origin of that recording alone, and runs nothing."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from airflow_provider_testerarmy.runs.results import Outcome
from airflow_provider_testerarmy.ui import app as module
from airflow_provider_testerarmy.ui.recordings import player
from tests.runs.scripted import finished
from tests.ui.test_pages import reported

VIDEO = "https://store.example:8443/videos/1.webm?X-Amz-Signature=ab&X-Amz-Expires=60"


def test_the_page_and_its_policy():
    made = player(VIDEO)
    assert made is not None
    page, policy = made
    assert 'src="https://store.example:8443/videos/1.webm?X-Amz-Signature=ab&amp;X-Amz-Expires=60"' in page
    assert "autoplay" not in page
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["sandbox"] == ""
    assert rules["default-src"] == "'none'"
    assert rules["media-src"] == "https://store.example:8443"
    assert "script-src" not in rules


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://store.example/1.webm",
        "javascript:alert(1)",
        "https://a@evil.example/1.webm",
        "https://store.example; script-src */1.webm",
        'https://store.example/"><script>alert(1)</script>',
        "https://store.example/\n1.webm",
    ],
)
def test_hostile_addresses_have_no_page(url):
    assert player(url) is None


def test_the_endpoint(tmp_path, monkeypatch):
    """The recording is that of a run of the task; another id has none."""
    runs = [finished("a", Outcome.FAILED, video_url=VIDEO), finished("b", Outcome.PASSED)]
    task = reported(tmp_path, runs)
    overrides = {module._task: lambda: task, module.can_read_xcoms.dependency: lambda: None}
    monkeypatch.setattr(module.app, "dependency_overrides", overrides)
    client = TestClient(module.app)
    answers = {run: client.get(f"/api/dags/d/recording?run_id=r&task_id=t&run={run}") for run in "abc"}
    assert {run: answer.status_code for run, answer in answers.items()} == {"a": 200, "b": 404, "c": 404}
    assert "media-src https://store.example:8443;" in answers["a"].headers["content-security-policy"]
    # The tab itself still loads nothing from elsewhere.
    assert "https:" not in client.get("/view/history").headers["content-security-policy"]
