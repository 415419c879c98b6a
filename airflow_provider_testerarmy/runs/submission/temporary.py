"""The flows that create and remove a temporary target.

The creation is not idempotent. Its name is therefore stored before the request, and found in a list after a lost
response.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from airflow_provider_testerarmy.runs.flow import Flow, ask, pause
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault
from airflow_provider_testerarmy.runs.submission.setting import Setting, with_retries
from airflow_provider_testerarmy.runs.temporary import Blueprint, TemporaryTarget, TemporaryTargets

#: Seconds for which each request of a creation is retried. The whole target can run instead.
CREATE_WITHIN: Final = 60.0
#: Seconds before each read of the list after a creation without a response.
LOOKS: Final = (0.5, 2.0, 5.0)
#: Seconds before each attempt to remove a target. Airflow sends SIGKILL 5 s after SIGTERM.
ATTEMPTS: Final = (0.0, 0.2, 0.5, 1.0)

#: Stores a temporary target in the record, or that there is none; raises if the record cannot be stored.
Keep = Callable[["TemporaryTarget | None"], None]


def create(
    setting: Setting, targets: TemporaryTargets, tests: Sequence[str], name: str, keep: Keep
) -> Flow[TemporaryTarget | str]:
    """Create a temporary target with these tests.

    :return: the target, or why there is none. The record may then still have one to remove.
    """
    brief = replace(setting, max_outage=min(CREATE_WITHIN, setting.max_outage))
    question = targets.blueprint(setting.request)
    if question is None:
        return "the request is for a single run"
    reply = yield from with_retries(brief, lambda: ask(question))
    if isinstance(reply, ServiceFault):
        return reply.message
    if not reply.value.project_id:
        return "the service did not name the project"
    made = yield from _made(brief, targets, reply.value, name, keep)
    if isinstance(made, str):
        return made
    for test_id in tests:
        member = targets.add_test(made.target, test_id)
        added = yield from with_retries(brief, lambda question=member: ask(question))  # type: ignore[misc]
        if isinstance(added, ServiceFault):
            return added.message
    return made


def _made(
    setting: Setting, targets: TemporaryTargets, blueprint: Blueprint, name: str, keep: Keep
) -> Flow[TemporaryTarget | str]:
    intent = TemporaryTarget(name, blueprint.project_id)

    def send() -> Flow[str]:
        # Stored before each POST: a worker killed after it would leave a target that no later try knows of.
        keep(intent)
        reply = yield from ask(targets.create_target(blueprint, name))
        return reply.value

    target = yield from with_retries(setting, send)
    if isinstance(target, ServiceFault) and not target.may_have_effect:
        keep(None)
        return target.message
    why = target.message if isinstance(target, ServiceFault) else (yield from _unlike(targets, target, name))
    if why:
        setting.report(f"The creation of {intent.label} got no clear response ({why}).")
        found = yield from _found(targets, intent, LOOKS)
        # An empty list may be late, so the name stays in the record and is looked up again at the end.
        if not found:
            return why
        target = found[0]
    made = replace(intent, target=str(target))
    keep(made)
    return made


def _unlike(targets: TemporaryTargets, target: str, name: str) -> Flow[str]:
    """Why a target may not be the one that was created; empty if it has the name. Tests are added to it next."""
    try:
        reply = yield from ask(targets.name_of_target(target))
    except ServiceFault as fault:
        return fault.message
    return "" if reply.value == name else "the response names another group"


def remove(
    targets: TemporaryTargets,
    temporary: TemporaryTarget,
    is_own: Callable[[str], bool],
    report: Callable[[str], None],
) -> Flow[bool]:
    """Delete a temporary target, unless it turns out not to be the task's.

    :param is_own: whether the task gives such a name.
    :param report: receives one line about a target that is not the task's, or that could not be deleted.
    :return: whether there is nothing left to do.
    """
    if not is_own(temporary.name):
        report(f"The record names {temporary.label}, which is not this task's. It is not deleted.")
        return True
    found = (temporary.target,) if temporary.target else (yield from _found(targets, temporary, ATTEMPTS[1:]))
    if found is None:
        report(f"Could not look up {temporary.label}. A later try deletes it; or delete it on the dashboard.")
        return False
    for target in found:
        why = yield from _removed(targets, target, temporary.name)
        if why:
            report(
                f"Could not delete {temporary.label}: {why}. A later try deletes it; or delete it on the "
                "dashboard."
            )
            return False
    return True


def _found(
    targets: TemporaryTargets, temporary: TemporaryTarget, looks: Sequence[float]
) -> Flow[tuple[str, ...] | None]:
    """The ids of the targets with the name, possibly none; None if the list could not be read."""
    found: tuple[str, ...] | None = None
    for seconds in looks:
        yield from pause(seconds)
        try:
            reply = yield from ask(targets.targets_named(temporary.project_id, temporary.name))
        except ServiceFault as fault:
            if fault.kind is FaultKind.NOT_FOUND:
                return ()
            continue
        found = reply.value
        if found:
            return found
    return found


def _removed(targets: TemporaryTargets, target: str, name: str) -> Flow[str]:
    """Delete a target that has this name; return why it is left, or an empty string."""
    why, denied = "", False
    for seconds in ATTEMPTS:
        if seconds:
            yield from pause(seconds)
        try:
            # Users can edit the id in a record, so the service says whose target it is.
            reply = yield from ask(targets.name_of_target(target))
            if reply.value != name:
                return ""
            yield from ask(targets.delete_target(target))
        except ServiceFault as fault:
            if fault.kind is FaultKind.NOT_FOUND:
                return ""
            why = fault.message
            if fault.kind is FaultKind.REFUSED or (fault.kind is FaultKind.DENIED and denied):
                return why
            # The next request uses the newest key of the connection.
            denied |= fault.kind is FaultKind.DENIED
        else:
            return ""
    return why
