"""Submits exactly once: reads the target, stores the intent, sends the request, and reconciles if it is unclear.

No vendor's API has an idempotency key, so a repeated trigger starts (and bills) a second run. After an ambiguous
failure, the service's list of runs decides. If it cannot decide, the submission fails as unclear.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from airflow_provider_testerarmy.runs.flow import Flow, ask
from airflow_provider_testerarmy.runs.results import RunId
from airflow_provider_testerarmy.runs.service import FaultKind, Scope, ServiceFault, Submission
from airflow_provider_testerarmy.runs.submission.lookup import LOOKS, expected_tests, look_up
from airflow_provider_testerarmy.runs.submission.record import Intent
from airflow_provider_testerarmy.runs.submission.setting import (
    Journal,
    Setting,
    SubmitEnd,
    Submitted,
    not_started,
    prepare,
    with_retries,
)
from airflow_provider_testerarmy.runs.text import name_runs

#: The maximum number of POSTs of one submission that the service loses.
MAX_SENDS: Final = 5
#: Seconds within which nobody adopts a new run; see `UNCLAIMED_FOR` and `BRIEF_LOOKS`. After a later answer, the
#: claims are read.
PROMPT: Final = 2.0
#: Faults after which the same request is sent again.
_REPEATED: Final = (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.DENIED)


def submit(setting: Setting, intent: Intent | None = None) -> Flow[Submitted]:
    """Submit the request exactly once.

    :param intent: an earlier intent of unknown effect; its runs are looked up first.
    """
    scope_or_end = yield from prepare(setting)
    if isinstance(scope_or_end, Submitted):
        return scope_or_end if intent is None else _not_looked(scope_or_end)
    scope, server_time = scope_or_end
    setting.titled(scope.title)
    if intent is not None:
        setting.report("An earlier try was lost while it submitted this request; looking up what it started.")
        found = yield from look_up(setting, scope, intent, LOOKS, now=server_time)
        if found is not None:
            return _noted(setting, found)
        setting.report("It started nothing; submitting.")
    if (fault := (yield from _permitted(setting, scope))) is not None:
        return not_started(fault)
    # Without the list, a lost response could not be reconciled. So nothing is sent while it cannot be read.
    known = yield from _newest(setting, scope)
    if isinstance(known, ServiceFault):
        return not_started(known)
    return (yield from _send(setting, scope, Intent(server_time, server_time, known), first=intent is None))


def _permitted(setting: Setting, scope: Scope) -> Flow[ServiceFault | None]:
    """Reserve the runs of the request, and return the fault that keeps the task from counting them.

    It comes after the lookup: runs that exist need no permission.
    """
    if setting.allowance is None:
        return None
    runs = setting.service.known_runs(setting.request)
    if runs is None:
        tests = yield from expected_tests(setting, scope)
        if isinstance(tests, ServiceFault):
            if tests.kind in _REPEATED:
                return tests
            setting.report(f"The tests cannot be counted ({tests.message}).")
        # The answer to the request corrects the number.
        runs = len(tests | scope.companions) if isinstance(tests, frozenset) else 1
    yield from setting.allowance.reserve(runs)
    return None


def _newest(setting: Setting, scope: Scope) -> Flow[tuple[RunId, ...] | ServiceFault]:
    """The newest run ids before the request. With them, new runs are recognized without comparing clocks."""
    if not setting.service.active_statuses:
        return ()
    question = setting.service.list_newest(setting.request, scope)
    reply = yield from with_retries(setting, lambda: ask(question))
    if not isinstance(reply, ServiceFault):
        return reply.value
    if reply.kind in (FaultKind.TRANSIENT, FaultKind.RATE_LIMITED, FaultKind.DENIED):
        return reply
    setting.report(f"Cannot list the runs before this submission ({reply.message}); comparing times instead.")
    return ()


def _not_looked(ended: Submitted) -> Submitted:
    """The result if the runs of an earlier intent could not be looked up."""
    if ended.end is SubmitEnd.DENIED:
        return ended
    message = f"what was started could not be looked up: {ended.message}"
    again = ended.end is SubmitEnd.UNAVAILABLE
    return Submitted(SubmitEnd.UNCLEAR, message=message, look_again=again, retry_after=ended.retry_after)


def _send(setting: Setting, scope: Scope, intent: Intent, *, first: bool) -> Flow[Submitted]:
    began, asked = setting.clock(), None
    for number in range(MAX_SENDS):
        sent_at = setting.clock()
        reply = yield from _post(setting, intent, began, first=first and not number)
        if not isinstance(reply, ServiceFault):
            if not _is_taken(setting, reply, setting.clock() - sent_at):
                return _noted(setting, Submitted(SubmitEnd.SUBMITTED, reply))
            reply = _taken(reply)
        asked = reply.retry_after
        refused = reply.kind in (FaultKind.NOT_FOUND, FaultKind.REFUSED)
        # The target existed a moment ago. A proxy may have forwarded the request and then answered 404 itself.
        looked_at = scope != Scope() and reply.kind is FaultKind.NOT_FOUND
        if not reply.may_have_effect and not looked_at:
            _journal(setting).nothing_started(reply.message)
            return not_started(reply)
        setting.report(f"The submission got no clear response ({reply.message}); looking up what it started.")
        found = yield from look_up(setting, scope, _until(setting, intent, began), LOOKS, reply)
        if found is not None:
            return _noted(setting, found)
        # The lookup found nothing, so a refusal was one. The same request would be refused again.
        if refused:
            _journal(setting).nothing_started(reply.message)
            return not_started(reply)
        setting.report("It started nothing; submitting again.")
    message = f"{MAX_SENDS} consecutive submissions were lost, and none of them started anything"
    _journal(setting).nothing_started(message)
    return Submitted(SubmitEnd.UNAVAILABLE, message=message, retry_after=asked)


def _is_taken(setting: Setting, started: Submission, seconds: float) -> bool:
    """Whether a task that lost the answer to an equal request has adopted the runs, because this answer was late.

    :param seconds: from the request to its answer.
    """
    return seconds > PROMPT and setting.claims is not None and bool(setting.claims.of_others(started.run_ids))


def _taken(started: Submission) -> ServiceFault:
    # A claimed run stays with the task that claimed it. So this answer counts as lost, and the lookup may find the
    # run of the other task.
    runs = name_runs(started.run_ids, 10)
    message = f"the response was late, and another task with the same request has taken {runs}"
    return ServiceFault(FaultKind.TRANSIENT, message, may_have_effect=True)


def _post(setting: Setting, intent: Intent, began: float, *, first: bool) -> Flow[Submission | ServiceFault]:
    """Send the request, with retries while it cannot have had an effect. Stores the intent before each request.

    During a pause, Airflow may take this try for lost and start another one, which sends the request. Storing the
    intent fails then (measured: a paused worker continued 47 s later and submitted a second time).

    :param first: whether no earlier request of this submission may have had an effect.
    """

    def send() -> Flow[Submission]:
        # Stored before the POST: a worker killed after it would otherwise leave a run that no later try knows of.
        _journal(setting).intent(_until(setting, intent, began))
        try:
            reply = yield from ask(setting.service.submit(setting.request))
        except ServiceFault as fault:
            # A task that ends during the pause must not look for runs, and take those of another task for its own.
            if first and not fault.may_have_effect and fault.kind in _REPEATED:
                _journal(setting).not_sent()
            raise
        return reply.value

    return (yield from with_retries(setting, send))


def _journal(setting: Setting) -> Journal:
    assert setting.journal is not None  # noqa: S101
    return setting.journal


def _until(setting: Setting, intent: Intent, began: float) -> Intent:
    # The service's time plus the elapsed local time: a wrong local clock does not matter.
    passed = timedelta(seconds=max(0.0, setting.clock() - began))
    return replace(intent, until=intent.since + passed)


def _noted(setting: Setting, ended: Submitted) -> Submitted:
    if ended.submission is not None:
        _journal(setting).submitted(ended.submission)
    elif ended.end is SubmitEnd.UNCLEAR and not ended.look_again:
        _journal(setting).unclear(ended.message, ended.candidates)
    return ended
