"""Whether a request may have started a listed run, judged by the fields that both have."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.client.testerarmy.models import Run
from airflow_provider_testerarmy.hooks.matching import match
from airflow_provider_testerarmy.runs.service import Match, RunRequest

TEST = RunRequest("test", "t", {"mode": "fast", "platform": "web"})
GROUP = RunRequest("group", "g", {"targetUrl": "https://Preview.acme.example/", "commitSha": "abc"})
PROMPT = RunRequest("prompt", "", {"prompt": "Sign in, then buy a red shirt."})


def run(**fields):
    return Run.model_validate({"id": "r", "status": "queued"} | fields)


@pytest.mark.parametrize(
    ("request_", "fields", "expected"),
    [
        (TEST, {}, Match.YES),
        (TEST, {"testId": "t", "source": "api", "input": {"mode": "fast"}}, Match.YES),
        (TEST, {"source": "structured_test"}, Match.YES),
        (TEST, {"source": None}, Match.YES),
        (TEST, {"source": "something_new"}, Match.YES),
        (TEST, {"source": "scheduled"}, Match.NO),
        (TEST, {"source": "GitHub_App"}, Match.NO),
        (TEST, {"testId": "u"}, Match.NO),
        (TEST, {"testId": "T"}, Match.YES),
        (TEST, {"input": {"mode": None, "platform": None}}, Match.YES),
        (TEST, {"input": {"mode": "deep"}}, Match.MAYBE),
        (TEST, {"input": {}, "platform": "ios"}, Match.MAYBE),
        (TEST, {"input": None, "platform": "web"}, Match.YES),
        (GROUP, {"input": {"targetUrl": "https://preview.acme.example", "commitSha": "ABC"}}, Match.YES),
        (GROUP, {"input": {"commitSha": "def"}}, Match.MAYBE),
        (GROUP, {"input": {"groupId": "other"}}, Match.NO),
        (PROMPT, {"input": {"prompt": " sign in,\n then buy a RED shirt. "}}, Match.YES),
        (PROMPT, {"input": {"prompt": None}}, Match.YES),
        (PROMPT, {"input": {"prompt": "Sign in, then buy a red"}}, Match.MAYBE),
        (PROMPT, {"input": {"prompt": "Sign in, then buy a red shirt. Be careful."}}, Match.MAYBE),
        (PROMPT, {"input": {"prompt": "Check that the imprint names the company."}}, Match.NO),
        (PROMPT, {"testId": "t"}, Match.NO),
    ],
)
def test_a_run_stems_from_a_request(request_, fields, expected):
    assert match(run(**fields), request_) is expected


def test_of_a_request_without_its_body_nothing_stems_for_certain():
    assert match(run(testId="t"), RunRequest("test", "t", whole=False)) is Match.MAYBE
    assert match(run(testId="u"), RunRequest("test", "t", whole=False)) is Match.NO


def test_a_credential_is_not_compared():
    """The service never shows one."""
    body = {**PROMPT.body, "credentials": [{"username": "u", "password": "p"}]}
    shown = run(input={"prompt": PROMPT.body["prompt"], "credentials": "***"})
    assert match(shown, RunRequest("prompt", "", body)) is Match.YES
