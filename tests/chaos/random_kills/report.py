"""What a failure shows: the seed, the history of what was done, and all about the tasks that were wronged."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.random_kills.deeds import clock, name_of
from tests.chaos.random_kills.evidence import Evidence, Task, Violation


def failure(seed: int, executor: str, evidence: Evidence, violations: list[Violation]) -> str:
    """Return the violations with all that belongs to their tasks."""
    wronged = {violation.key for violation in violations}
    lines = [f"SEED={seed} on the {executor}: {len(violations)} violations"]
    lines += [f"{violation.rule}: {name_of(violation.key)}: {violation.text}" for violation in violations]
    lines += ["", "what was done:", *map(str, evidence.deeds)]
    for task in evidence.tasks:
        if task.key in wronged:
            lines += ["", *_about(task, evidence, logs=True)]
    return "\n".join(lines)


def whole(seed: int, executor: str, evidence: Evidence, violations: list[Violation]) -> str:
    """Return the same, and a few lines on every other task."""
    lines = [failure(seed, executor, evidence, violations)]
    for task in evidence.tasks:
        lines += ["", *_about(task, evidence)]
    return "\n".join(lines)


def _about(task: Task, evidence: Evidence, *, logs: bool = False) -> Iterator[str]:
    yield f"{name_of(task.key)}: {task.state}, its DAG run ended at {clock(task.run_ended)}"
    runs = [run for run in evidence.runs if run.family == task.family]
    moments = [(run.created, f"run {run.id} {run.status}, ended {_moment(run.ended)}") for run in runs]
    moments += [(post.at, post.text) for post in evidence.posts if post.family == task.family]
    moments += [(deed.at, deed.told()) for deed in evidence.deeds if task.key in deed.hit]
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
