"""The text of a failure: seed, violations, events, and everything about the affected tasks."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.random_kills.events import clock, name_of
from tests.chaos.random_kills.evidence import Evidence, Task, Violation


def failure(seed: int, executor: str, evidence: Evidence, violations: list[Violation]) -> str:
    """Return the violations with the history of their tasks."""
    affected = {violation.key for violation in violations}
    lines = [f"SEED={seed} on the {executor}: {len(violations)} violations"]
    lines += [f"{violation.rule}: {name_of(violation.key)}: {violation.text}" for violation in violations]
    lines += ["", "events:", *map(str, evidence.events)]
    for task in evidence.tasks:
        if task.key in affected:
            lines += ["", *_about(task, evidence, logs=True)]
    return "\n".join(lines)


def whole(seed: int, executor: str, evidence: Evidence, violations: list[Violation]) -> str:
    """Return the same, and the history of every task."""
    lines = [failure(seed, executor, evidence, violations)]
    for task in evidence.tasks:
        lines += ["", *_about(task, evidence)]
    return "\n".join(lines)


def _about(task: Task, evidence: Evidence, *, logs: bool = False) -> Iterator[str]:
    yield f"{name_of(task.key)}: {task.state}, its DAG run ended at {clock(task.run_ended)}"
    runs = [run for run in evidence.runs if run.family == task.family]
    moments = [(run.created, f"run {run.id} {run.status}, ended {_moment(run.ended)}") for run in runs]
    moments += [(post.at, post.text) for post in evidence.posts if post.family == task.family]
    moments += [(event.at, event.told()) for event in evidence.events if task.key in event.affected]
    for each in task.tries:
        told = f"try {each.number} {each.state} until {_moment(each.end)} {each.error}"
        moments.append((each.start or 0.0, told))
    for at, text in sorted(moments):
        yield f"  {clock(at)} {text}"
    if logs:
        for each in task.tries:
            yield f"  --- end of the log of try {each.number}"
            yield each.log


def _moment(at: float | None) -> str:
    return "-" if at is None else clock(at)
