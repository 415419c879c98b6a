"""Submitting exactly once: look, note the intent, send; after an unclear answer look before sending again.

No vendor has an idempotency key, so a repeated trigger starts, and bills, a second run. What is ambiguous is
settled against the service's own list; where that does not settle it, nothing is guessed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import FaultKind, Scope, ServiceFault, Submission
from airflow_provider_testerarmy.runs.submission.lookup import LOOKS, look_up
from airflow_provider_testerarmy.runs.submission.record import Intent
from airflow_provider_testerarmy.runs.submission.setting import (
    DENIED_AGAIN_AFTER,
    Journal,
    Setting,
    SubmitEnd,
    Submitted,
    is_denial,
    is_final,
    not_started,
    patiently,
    pause_after,
    prepare,
)

#: POSTs of one submission at the most, however often the service loses them.
MAX_SENDS: Final = 5


def submit(setting: Setting, intent: Intent | None = None) -> Flow[Submitted]:
    """Start the request exactly once.

    :param intent: an earlier intent whose effect nobody knows: what it started is looked for first.
    """
    scope_or_end = yield from prepare(setting)
    if isinstance(scope_or_end, Submitted):
        return scope_or_end if intent is None else _not_looked(scope_or_end)
    scope, server_time = scope_or_end
    if intent is not None:
        setting.report("An earlier try was about to submit this and was lost; looking for what it started.")
        found = yield from look_up(setting, scope, intent, LOOKS, now=server_time)
        if found is not None:
            return replace(_noted(setting, found), title=scope.title)
        setting.report("It started nothing; submitting.")
    known = yield from _newest(setting, scope)
    if isinstance(known, ServiceFault):
        return not_started(known)
    sent = yield from _send(setting, scope, Intent(server_time, server_time, known))
    return replace(sent, title=scope.title)


def _newest(setting: Setting, scope: Scope) -> Flow[tuple[RunId, ...] | ServiceFault]:
    """The newest runs before the request: what is new after it needs no clock then."""
    if not setting.service.active_statuses:
        return ()
    question = setting.service.list_newest(setting.request, scope)
    reply = yield from patiently(setting, lambda: ask(question))
    if not isinstance(reply, ServiceFault):
        return reply.value
    if reply.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.DENIED):
        return reply
    setting.report(f"The runs before this one cannot be listed ({reply.message}); times have to do instead.")
    return ()


def _not_looked(ended: Submitted) -> Submitted:
    """The end where an earlier intent could not be looked up."""
    if ended.end is SubmitEnd.DENIED:
        return ended
    message = f"what was started could not be looked up: {ended.message}"
    return Submitted(SubmitEnd.UNCLEAR, message=message, look_again=ended.end is SubmitEnd.UNAVAILABLE)


def _send(setting: Setting, scope: Scope, intent: Intent) -> Flow[Submitted]:
    began = setting.clock()
    for _ in range(MAX_SENDS):
        reply = yield from _post(setting, intent, began)
        if not isinstance(reply, ServiceFault):
            return _noted(setting, Submitted(SubmitEnd.SUBMITTED, reply))
        refused = reply.kind in (FaultKind.NOT_FOUND, FaultKind.REFUSED)
        # The target was there a moment ago, so a 404 may come from something in between that had sent it on.
        looked_at = scope != Scope() and reply.kind is FaultKind.NOT_FOUND
        if not reply.may_have_effect and not looked_at:
            _journal(setting).nothing_started(reply.message)
            return not_started(reply)
        setting.report(f"No clear answer to the submission ({reply.message}); looking for what it started.")
        found = yield from look_up(setting, scope, _until(setting, intent, began), LOOKS, reply)
        if found is not None:
            return _noted(setting, found)
        if refused:
            _journal(setting).nothing_started(reply.message)
            return not_started(reply)
        setting.report("It started nothing; submitting again.")
    message = f"{MAX_SENDS} submissions in a row were lost, and none of them started anything"
    _journal(setting).nothing_started(message)
    return Submitted(SubmitEnd.UNAVAILABLE, message=message)


def _post(setting: Setting, intent: Intent, began: float) -> Flow[Submission | ServiceFault]:
    """Send the request until it is answered, refused, or may have had an effect; the intent before each time.

    After a pause this try may have been taken for lost, and another one may have sent the request: noting the
    intent fails then.
    """
    gives_up = setting.clock() + setting.max_outage
    tries, denied = 0, False
    while True:
        _journal(setting).intent(_until(setting, intent, began))
        try:
            reply = yield from ask(setting.service.submit(setting.request))
        except ServiceFault as fault:
            again = not denied and is_denial(fault)
            if (is_final(fault) and not again) or setting.clock() >= gives_up:
                return fault
            denied |= again
            seconds = DENIED_AGAIN_AFTER if again else pause_after(setting, fault, tries)
        else:
            return reply.value
        tries += 1
        yield from pause(seconds)


def _journal(setting: Setting) -> Journal:
    assert setting.journal is not None  # noqa: S101
    return setting.journal


def _until(setting: Setting, intent: Intent, began: float) -> Intent:
    passed = timedelta(seconds=max(0.0, setting.clock() - began))
    return replace(intent, until=intent.since + passed)


def _noted(setting: Setting, ended: Submitted) -> Submitted:
    if ended.submission is not None:
        _journal(setting).submitted(ended.submission)
    elif ended.end is SubmitEnd.UNCLEAR and not ended.look_again:
        _journal(setting).unclear(ended.message, ended.candidates)
    return ended
