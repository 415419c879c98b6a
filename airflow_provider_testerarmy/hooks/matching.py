"""Decides whether a request may have started a listed TesterArmy run, by comparing the fields that both have."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any, Final

from airflow_provider_testerarmy.client.testerarmy import models as wire
from airflow_provider_testerarmy.hooks import testerarmy_batches as batches
from airflow_provider_testerarmy.hooks import testerarmy_pull_requests as pull_requests
from airflow_provider_testerarmy.runs.service import Match, RunRequest

#: Values of ``RunResponse.source`` (OpenAPI document, July 2026) that runs started through the API never have.
#: Another value proves nothing: a saved test's run may have ``structured_test``, and new values may appear.
OTHER_SOURCES: Final = frozenset({"github_action", "github_app", "scheduled", "webhook"})
#: The minimum similarity of two prompts that may be the same one, in case the service stores it in another form.
ALIKE: Final = 0.6
#: The number of characters of a prompt to compare; SequenceMatcher takes quadratic time.
COMPARED: Final = 1000
#: Fields of a request that are not compared: the service resolves builds, and does not return credentials.
NOT_COMPARED: Final = frozenset({"mobile", "credentials", "prompt", "pullRequest"})


def match(run: wire.Run, request: RunRequest) -> Match:
    """Whether the request may have started the run, judged by the fields of the run."""
    if (run.source or "").strip().lower() in OTHER_SOURCES:
        return Match.NO
    given = run.input or {}
    if request.kind == batches.BATCH:
        return batches.match(run)
    by_target = (
        pull_requests.match(run, request)
        if request.kind == pull_requests.PULL_REQUEST
        else _target(run, given, request)
    )
    if by_target is not Match.YES:
        return by_target
    if not request.whole or not _same_fields(run, given, request):
        return Match.MAYBE
    return Match.YES


def _target(run: wire.Run, given: Mapping[str, Any], request: RunRequest) -> Match:
    if request.kind in ("test", "group") and given.get("prompt") and not run.test_id:
        return Match.NO
    if request.kind == "test":
        return Match.YES if _silent_or_same(run.test_id, request.target) else Match.NO
    if request.kind == "group":
        return Match.YES if _silent_or_same(given.get("groupId"), request.target) else Match.NO
    if run.test_id:
        return Match.NO
    return _same_prompt(given.get("prompt"), request.body.get("prompt"))


def _same_prompt(shown: Any, sent: Any) -> Match:
    """Compare prompts: equal apart from spelling (yes), similar (maybe) or different (no)."""
    if not isinstance(shown, str) or not shown.strip() or not isinstance(sent, str):
        return Match.YES
    one, other = _plain(shown)[:COMPARED], _plain(sent)[:COMPARED]
    if one == other:
        return Match.YES
    alike = SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE
    return Match.MAYBE if alike or one.startswith(other) or other.startswith(one) else Match.NO


def _same_fields(run: wire.Run, given: Mapping[str, Any], request: RunRequest) -> bool:
    shown = {**given, "platform": given.get("platform") or run.platform}
    return all(
        _silent_or_same(shown.get(name), value)
        for name, value in request.body.items()
        if name not in NOT_COMPARED
    )


def _silent_or_same(shown: Any, sent: Any) -> bool:
    if shown is None or sent is None or shown == "":
        return True
    one, other = _plain(str(shown)).rstrip("/"), _plain(str(sent)).rstrip("/")
    return one == other


def _plain(text: str) -> str:
    """The text without differences that a service may introduce: case, Unicode form and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
