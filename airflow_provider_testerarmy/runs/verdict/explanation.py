"""What the gate says of one run: its outcome, its most severe issue or its failed step."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_testerarmy.runs.results import Issue, Outcome, RunResult
from airflow_provider_testerarmy.runs.text import one_line, plural


def describe_issue(issue: Issue) -> str:
    """A short description, e.g. ``issue "Cart total is wrong" (severity 5)``."""
    kind = "issue" if issue.confirmed else "warning"
    severity = f"severity {issue.severity}" if issue.severity is not None else "no severity given"
    return f'{kind} "{one_line(issue.name, 120)}" ({severity})'


def judged_outcome(run: RunResult) -> Outcome:
    """The outcome that counts for the gate."""
    # A missing outcome must never count as a pass.
    return run.outcome if run.finished and run.outcome else Outcome.UNKNOWN


def shown_name(run: RunResult) -> str:
    """The title of the run, or its id, on one line."""
    return one_line(run.label, 120)


def shown_link(run: RunResult) -> str:
    """The address of the run after a space, empty if there is none."""
    return f" {run.url}" if run.url else ""


def explain(run: RunResult) -> str:
    """The outcome of a run with its most severe issue or its failed step."""
    outcome = judged_outcome(run)
    if not run.finished:
        return f"had not ended (status {one_line(run.status, 60)!r})"
    if outcome is Outcome.UNKNOWN:
        return f"ended in the unknown state {one_line(run.status, 60)!r}, which is not a pass"
    details = list(_details(run))
    if run.attempts:
        details.append(f"attempts: {shown_attempts(run)}")
    if run.owner and outcome is not Outcome.PASSED:
        details.append(f"owner: {one_line(run.owner, 120)}")
    return f"{outcome}{': ' if details else ''}{'; '.join(details)}"


def _details(run: RunResult) -> Iterator[str]:
    confirmed = [issue for issue in run.issues if issue.confirmed]
    if run.outcome is Outcome.FAILED and confirmed:
        yield describe_issue(max(confirmed, key=lambda issue: issue.severity or 0))
        if len(confirmed) > 1:
            yield plural(len(confirmed) - 1, "further issue")
    step = run.failed_step
    if run.outcome is Outcome.FAILED and step:
        code = f" ({step.error_code})" if step.error_code else ""
        hint = f" - {step.hint}" if step.hint else ""
        yield f'step "{one_line(step.title, 120)}" failed{code}{hint}'
    code = f"{one_line(run.error_code, 60)}: " if run.error_code else ""
    if run.reason and (run.outcome is not Outcome.FAILED or not (confirmed or step)):
        yield f"{code}{one_line(run.reason)}"


def shown_attempts(run: RunResult) -> str:
    """The outcomes of all runs of a confirmed test, e.g. ``failed, passed``; empty for any other test."""
    return ", ".join(str(one.outcome or "not ended") for one in run.attempts)
