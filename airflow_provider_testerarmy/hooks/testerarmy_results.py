"""Converts TesterArmy's runs to domain results; pure functions."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from airflow_provider_testerarmy.client.testerarmy import models as wire
from airflow_provider_testerarmy.runs.cleaning import clean_result
from airflow_provider_testerarmy.runs.events.model import ListedEnd
from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step
from airflow_provider_testerarmy.runs.service import ListedRun
from airflow_provider_testerarmy.runs.text import one_line

#: What to do about a step's ``errorCode``; the codes are from the service's OpenAPI document (July 2026).
ERROR_HINTS: Final = {
    "AUTH_CREDENTIAL_UNAVAILABLE": "add the credential that the login step needs to the project",
    "AUTH_CREDENTIAL_INVALID": "check username and password of the credential in the project's settings",
    "AUTH_BASIC_REQUIRED": "the site needs HTTP basic authentication: add it to the project's credentials",
    "VERCEL_BYPASS_REQUIRED": "the deployment is protected by Vercel: set the bypass secret in the project",
    "MOBILE_RELEASE_BUILD_REQUIRED": "upload a release build of the app; a debug build cannot be tested",
    "VIEWPORT_RESIZE_UNSUPPORTED": "remove the change of the window size from the test's steps",
    "STEP_TOOL_LIMIT_EXHAUSTED": "split the step: the agent reached its limit of actions",
    "STEP_DEADLINE_EXHAUSTED": "split the step, or check why the page is slow: the agent ran out of time",
    "STEP_NO_CONCLUSION": "describe the expected result in the step: the agent reached no conclusion",
}

#: The statuses of ``RunResponse``. ``completed`` is not ``passed``; see :func:`_outcome`.
PHASES: Final = {
    "queued": Phase.QUEUED,
    "running": Phase.RUNNING,
    "completed": Phase.FINISHED,
    "failed": Phase.FINISHED,
    "cancelled": Phase.FINISHED,
}


def to_result(run: wire.Run, url: str) -> RunResult:
    """Convert a run to a domain result.

    :param url: the run's page on the dashboard; empty for no link.
    """
    phase = _phase(run)
    output = run.output or wire.Output()
    found = RunResult(
        run_id=run.id,
        status=run.status,
        phase=phase,
        outcome=_outcome(run) if phase is Phase.FINISHED else None,
        test_id=run.test_id or "",
        project_id=run.project_id or "",
        title=output.feature_name or "",
        reason=_reason(run, output),
        error_code=(run.error.code or "") if run.error else "",
        url=url,
        issues=tuple(_issue(issue) for issue in output.issues),
        steps=tuple(_step(step) for step in output.steps),
        screenshots=output.screenshots,
        duration=run.duration_ms / 1000 if run.duration_ms is not None else None,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.completed_at,
    )
    return clean_result(found)


def to_listed_run(run: wire.RunState) -> ListedRun:
    """The state of a listed run."""
    phase = _phase(run)
    return ListedRun(to_state(run)) if phase is Phase.FINISHED else _still_active(run.id, run.status, phase)


@lru_cache(maxsize=10_000)
def _still_active(run_id: str, status: str, phase: Phase) -> ListedRun:
    """Cached, because polls list the same thousands of active runs in the same state again and again."""
    return ListedRun(clean_result(RunResult(run_id, status, phase)))


def to_listed_end(run: wire.RunHead, url: str) -> ListedEnd:
    """Convert a listed run for event triggers.

    :param url: the run's page on the dashboard; empty for no link.
    """
    phase, given = _phase(run), run.input or {}
    output = run.output or wire.OutputHead()
    found = RunResult(
        run_id=run.id,
        status=run.status,
        phase=phase,
        outcome=_outcome(run) if phase is Phase.FINISHED else None,
        test_id=run.test_id or "",
        project_id=run.project_id or "",
        title=output.feature_name or "",
        reason=(run.error.message if run.error else None) or output.reason or "",
        url=url,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.completed_at,
    )
    return ListedEnd(
        clean_result(found),
        source=one_line(run.source or "", 80),
        group_id=_text(given.get("groupId")),
        environments=tuple(
            filter(None, (_text(given.get(name)) for name in ("environment", "projectEnvironmentId")))
        ),
        commit=_text(given.get("commitSha")),
    )


def _text(value: object) -> str:
    return one_line(value, 200) if isinstance(value, str) else ""


def to_state(run: wire.RunState) -> RunResult:
    """The state and outcome of a run, without details."""
    phase = _phase(run)
    outcome = _outcome(run) if phase is Phase.FINISHED else None
    return clean_result(RunResult(run.id, run.status, phase, outcome))


def _phase(run: wire.RunState) -> Phase:
    phase = PHASES.get(run.status, Phase.UNKNOWN)
    # A future status with a completion time is an end as well; waiting for a known status would time out.
    return Phase.FINISHED if phase is Phase.UNKNOWN and run.completed_at is not None else phase


def _outcome(run: wire.RunState) -> Outcome:
    """The outcome of a finished run.

    ``completed`` only says that the agent finished: ``output.result`` is the outcome. ``failed`` says that the
    service could not complete the run, e.g. because its browser did not start.
    """
    if run.status == "failed":
        return Outcome.ERRORED
    if run.status == "cancelled":
        return Outcome.CANCELLED
    if run.status == "completed" and run.output:
        if run.output.kind == "planner_skipped":
            return Outcome.SKIPPED
        return {"PASS": Outcome.PASSED, "FAILED": Outcome.FAILED}.get(
            run.output.result or "", Outcome.UNKNOWN
        )
    return Outcome.UNKNOWN


def _reason(run: wire.Run, output: wire.Output) -> str:
    if run.error and run.error.message:
        return run.error.message
    return output.reason or output.description or ""


def _issue(issue: wire.Issue) -> Issue:
    return Issue(
        name=issue.name or "unnamed",
        # The OpenAPI document: `issue` (a confirmed bug) is the default, `warning` does not block.
        confirmed=issue.type != "warning",
        severity=issue.severity,
        description=issue.description or "",
        url=issue.url or "",
        expected=issue.expected_behavior or "",
        actual=issue.actual_behavior or "",
        reproduction_steps=issue.reproduction_steps,
        screenshot_url=issue.screenshot_url or "",
    )


def _step(step: wire.Step) -> Step:
    return Step(
        title=step.title or f"step {step.step_index}",
        passed=step.status == "passed",
        kind=step.type or "",
        summary=step.summary or "",
        error=step.error or "",
        error_code=step.error_code or "",
        hint=ERROR_HINTS.get(step.error_code or "", ""),
        started=step.started_at_ms / 1000 if step.started_at_ms is not None else None,
        ended=step.completed_at_ms / 1000 if step.completed_at_ms is not None else None,
    )
