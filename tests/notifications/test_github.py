"""GitHub's API on a real socket: the status of a commit, and a comment that is changed."""

from __future__ import annotations

import json
import sys

import pytest

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.notifications.github import GitHubError
from airflow_provider_testerarmy.notifications.testerarmy import (
    GitHubComment,
    GitHubCommitStatus,
    TesterArmyVerdictNotifier,
)
from tests.notifications.channels import context_of, summary

COMMIT = "4f2d1c9" + "0" * 33
PULL_REQUEST = {"repository": "acme/shop", "pull_request": "{{ number }}"}


def set_status(context, **parameters):
    given = {"repository": "acme/shop", "commit_sha": "{{ commit }}"} | parameters
    TesterArmyVerdictNotifier(GitHubCommitStatus(**given)).notify({"commit": COMMIT, **context})


def comment(context, **parameters):
    TesterArmyVerdictNotifier(GitHubComment(**PULL_REQUEST | parameters)).notify({"number": 7, **context})


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        ("passed", "success"),
        ("failed", "failure"),
        ("errored", "error"),
        ("skipped", "error"),
        (None, "error"),
    ],
)
def test_the_status_of_a_commit(github, verdict, state):
    """Only a pass is a success."""
    set_status(context_of(summary(verdict)))
    (status,) = github.statuses
    assert (status["state"], status["sha"]) == (state, COMMIT)
    assert (status["context"], status["target_url"]) == ("testerarmy/nightly", "https://tester.army/r/1")


def test_a_status_has_its_name_and_no_unsafe_address(github):
    set_status(context_of(summary("passed", url="javascript:alert(1)")), name="e2e")
    (status,) = github.statuses
    assert status["context"] == "e2e"
    assert "target_url" not in status


def test_a_comment_is_changed_and_not_repeated(github):
    comment(context_of(summary("failed", "Checkout")))
    comment(context_of(summary("passed")))
    comment(context_of(summary("passed")))
    (only,) = github.comments
    assert "**Passed**" in only["body"]
    assert [each for each in github.requests if each.startswith(("POST", "PATCH"))] == [
        "POST /repos/acme/shop/issues/7/comments",
        "PATCH /repos/acme/shop/issues/comments/100",
    ]


def test_two_notifiers_have_a_comment_each(github):
    comment(context_of(summary("passed")))
    comment(context_of(summary("passed")), name="mobile")
    assert len(github.comments) == 2


def test_the_comment_is_found_behind_many_others(github):
    comment(context_of(summary("failed", "A")))
    mine = github.comments.pop()
    for _ in range(250):
        github.add("jane", "LGTM")
    github.comments.append({**mine, "id": 999})
    comment(context_of(summary("passed")))
    assert len(github.comments) == 251
    assert "Passed" in github.comments[-1]["body"]


@pytest.mark.parametrize("login", ["qa-bot", None], ids=["user", "app"])
def test_a_comment_of_somebody_else_with_the_marker_is_not_touched(github, login):
    """Its author could change the verdict later."""
    github.login = login
    comment(context_of(summary("passed")))
    forged = github.comments.pop()["body"].replace("Passed", "Forged")
    github.add("mallory", forged)
    comment(context_of(summary("failed", "A")))
    comment(context_of(summary("passed")))
    assert [each["body"] == forged for each in github.comments] == [True, False]


def test_a_hostile_title_mentions_nobody(github):
    """And it cannot end the comment, forge the marker, or embed a picture."""
    hostile = "@everyone <!-- x --> ![](https://evil.example/p.png) <script> #1 acme/shop#2\n# Passed"
    comment(context_of(summary("failed", hostile)))
    (only,) = github.comments
    body = only["body"].partition("\n\n<!-- testerarmy-verdict")[0]
    for never in ("@everyone", "<!--", "<script", "![](", "https://evil", "#1", "\n#"):
        assert never not in body


def test_a_large_verdict_fits(github):
    """GitHub refuses a longer comment or description."""
    titles = ["`" * 120] * 60
    many = [summary("failed", *titles, reasons=["x" * 500] * 20)] * 300
    xcoms = {("tests", "return_value"): many[0]}
    comment(context_of(many[0]))
    set_status(context_of(many[0]))
    assert xcoms
    assert len(github.comments[0]["body"]) <= 65_536
    assert len(github.statuses[0]["description"]) <= 140


# -- what does not work


def test_an_answer_of_github_is_named_without_the_token(github, monkeypatch):
    fields = {"conn_type": "github", "host": github.url, "password": "ghp_wrong"}
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(fields))
    with pytest.raises(GitHubError, match=r"401 to POST .*Bad credentials") as raised:
        set_status(context_of(summary("passed")))
    assert "ghp_" not in str(raised.value)


def test_an_answer_that_is_no_json(github):
    github.refuses.append((502, "<html>Bad gateway\x1b[31m</html>"))
    with pytest.raises(GitHubError, match=r"502 .*no reason"):
        set_status(context_of(summary("passed")))


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        (GitHubCommitStatus(repository="acme", commit_sha=COMMIT), "owner/name"),
        (GitHubCommitStatus(repository="acme/shop/../../user", commit_sha=COMMIT), "owner/name"),
        (GitHubCommitStatus(repository="acme/..", commit_sha=COMMIT), "owner/name"),
        (GitHubCommitStatus(repository="acme/shop", commit_sha="4f2d1c9"), "full hash"),
        (GitHubCommitStatus(repository="acme/shop", commit_sha=None), "full hash"),
        (GitHubComment(repository="acme/shop", pull_request="7/../9"), "a number"),
    ],
)
def test_an_unusable_parameter_sends_nothing(github, channel, said):
    """Values come from outside, e.g. from the parameters of a DAG run."""
    with pytest.raises(ValueError, match=said):
        TesterArmyVerdictNotifier(channel).notify(context_of(summary("passed")))
    assert github.requests == []


def connect(monkeypatch, **fields):
    monkeypatch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps({"conn_type": "github", **fields}))


def test_a_connection_without_a_token(monkeypatch):
    connect(monkeypatch)
    with pytest.raises(ValueError, match="has no token"):
        set_status(context_of(summary("passed")))


def test_an_app_needs_the_provider_of_github(monkeypatch):
    connect(monkeypatch, extra={"app_id": 1, "installation_id": 2, "key_path": "/nowhere.pem"})
    monkeypatch.setitem(sys.modules, "airflow.providers.github.hooks.github", None)
    with pytest.raises(ValueError, match="apache-airflow-providers-github"):
        set_status(context_of(summary("passed")))


def test_a_token_is_not_sent_unencrypted(monkeypatch):
    connect(monkeypatch, host="http://ghe.shop.example/api/v3", password="ghp_secret")
    with pytest.raises(RequestInvalid, match="https"):
        set_status(context_of(summary("passed")))


def test_a_channel_alone_has_nothing_to_send(github):
    with pytest.raises(ValueError, match="TesterArmyVerdictNotifier"):
        GitHubComment(repository="acme/shop", pull_request=7).notify(context_of())
