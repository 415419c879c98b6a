"""Whether a listed TesterArmy run stems from a request: only a field that both give can contradict."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any, Final

from airflow_provider_testerarmy.client.testerarmy import models as wire
from airflow_provider_testerarmy.runs.service import Match, RunRequest

#: Sources of the vendor's OpenAPI document (July 2026) that an API request never has. Every other word, and null,
#: says nothing: runs of a saved test may be listed as ``structured_test``, and enumerations grow.
OTHER_SOURCES: Final = frozenset({"github_action", "github_app", "scheduled", "webhook"})
#: How alike two prompts must be to be one that the service stored in another spelling.
ALIKE: Final = 0.6
#: Characters of a prompt that are compared, because comparing takes quadratic time.
COMPARED: Final = 1000
#: Fields of a request that are not compared: the service resolves a build, and never shows a credential.
NOT_COMPARED: Final = frozenset({"mobile", "credentials", "prompt"})


def match(run: wire.Run, request: RunRequest) -> Match:
    """Whether a run stems from the request, as far as its own fields tell."""
    if (run.source or "").strip().lower() in OTHER_SOURCES:
        return Match.NO
    given = run.input or {}
    by_target = _target(run, given, request)
    if by_target is not Match.YES:
        return by_target
    if not request.whole or not _same_fields(run, given, request):
        return Match.MAYBE
    return Match.YES


def _target(run: wire.Run, given: Mapping[str, Any], request: RunRequest) -> Match:
    if request.kind == "test":
        return Match.YES if _silent_or_same(run.test_id, request.target) else Match.NO
    if request.kind == "group":
        return Match.YES if _silent_or_same(given.get("groupId"), request.target) else Match.NO
    if run.test_id:
        return Match.NO
    return _same_prompt(given.get("prompt"), request.body.get("prompt"))


def _same_prompt(shown: Any, sent: Any) -> Match:
    """Another spelling is the same prompt; one that is alike may be; two prompts are two requests."""
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
    """A text without what a service may change on the way: case, form, and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
