"""Converts Docket's runs to domain results; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from airflow_provider_testerarmy.client.docket import models as wire
from airflow_provider_testerarmy.runs.cleaning import clean_result
from airflow_provider_testerarmy.runs.results import Issue, Outcome, Phase, RunResult, Step

DASHBOARD: Final = "https://app.docketqa.com/dashboard"

#: Docket's reference names `passed`, `failed`, `stopped` and `error`; the others are assumptions (docs/docket.md).
_OUTCOMES: Final = {
    "passed": Outcome.PASSED,
    "failed": Outcome.FAILED,
    "error": Outcome.ERRORED,
    "errored": Outcome.ERRORED,
    "stopped": Outcome.CANCELLED,
    "cancelled": Outcome.CANCELLED,
    "canceled": Outcome.CANCELLED,
    "aborted": Outcome.CANCELLED,
    "timeout": Outcome.ERRORED,
    "timed_out": Outcome.ERRORED,
    "skipped": Outcome.SKIPPED,
}


def to_result(run: wire.TestRun) -> RunResult:
    """Convert a run to a domain result."""
    phase, outcome = _state(run)
    steps, video_url = _decisive_attempt(run)
    finished_at = run.updated_at if outcome else None
    found = RunResult(
        run_id=run.id,
        status=run.status,
        phase=phase,
        outcome=outcome,
        test_id=str(run.test_blueprint_id or ""),
        title=(run.blueprint_metadata.title or "") if run.blueprint_metadata else "",
        reason=next((step.result for step in steps if _failed(step) and step.result), ""),
        url=group_run_url(run.test_group_run_id),
        issues=_contradictions(outcome, steps),
        steps=tuple(_steps(steps)),
        screenshots=tuple(dict.fromkeys(_screenshots(steps))),
        duration=(finished_at - run.created_at).total_seconds() if finished_at and run.created_at else None,
        created_at=run.created_at,
        started_at=run.created_at,
        finished_at=finished_at,
        # Docket starts a further attempt only after a failed one.
        flaky=outcome is Outcome.PASSED and bool(run.additional_attempts),
        video_url=video_url or "",
    )
    return clean_result(found)


def group_run_url(group_run_id: int | str | None) -> str:
    """The dashboard page of a group run, or an empty string if its id is unknown."""
    return f"{DASHBOARD}/grouprun/{group_run_id}" if group_run_id else ""


def to_state(run: wire.TestRunState) -> RunResult:
    """The state and outcome of a run, without details."""
    return clean_result(RunResult(run.id, run.status, *_state(run)))


def _state(run: wire.TestRunState) -> tuple[Phase, Outcome | None]:
    # An unknown status is not an end: polling continues until the deadline, and the status is in the log.
    outcome = _OUTCOMES.get(run.status)
    return Phase.FINISHED if outcome else Phase.RUNNING if run.status == "running" else Phase.UNKNOWN, outcome


def _decisive_attempt(run: wire.TestRun) -> tuple[tuple[wire.StepResult, ...], str | None]:
    """The steps and the video of the attempt that determined the run's status.

    Docket's reference does not say whether ``results`` belong to the first or to the last attempt. If the run
    passed but ``results`` has a failed step, a further attempt without one is used instead.
    """
    if run.status == "passed" and any(map(_failed, run.results)):
        for attempt in reversed(run.additional_attempts):
            if attempt.results and not any(map(_failed, attempt.results)):
                return attempt.results, attempt.test_video_url
    return run.results, run.test_video_url or run.test_video_download_url


def _contradictions(outcome: Outcome | None, steps: Sequence[wire.StepResult]) -> tuple[Issue, ...]:
    """A warning for each failed step of a run with the status *passed*, for the gate's ``fail_on_warnings``.

    Docket may report ``passed`` although a step has ``is_successful: false``.
    """
    if outcome is not Outcome.PASSED:
        return ()
    return tuple(
        Issue(
            f"The run's status is passed, but step {step.task or step.step_number or number!r} failed",
            confirmed=False,
            description=step.result or "",
            contradicts_pass=True,
        )
        for number, step in enumerate(steps, 1)
        if _failed(step)
    )


def _failed(step: wire.StepResult) -> bool:
    return step.is_successful is False


def _steps(results: Sequence[wire.StepResult]) -> Iterator[Step]:
    ended: float | None = 0.0
    for number, step in enumerate(results, 1):
        passed, started = step.is_successful is True, ended
        # Docket reports durations, not times. After a step without one, all further times are unknown.
        ended = started + step.duration if started is not None and step.duration is not None else None
        yield Step(
            title=step.task or f"step {step.step_number or number}",
            passed=passed,
            kind=next((action.type for action in step.actions if action.type), ""),
            summary=step.result or "",
            error="" if passed else step.result or "",
            started=started,
            ended=ended,
            screenshots=tuple(dict.fromkeys(_screenshots([step]))),
            screenshot_before=_before(step),
        )


def _screenshots(results: Sequence[wire.StepResult]) -> Iterator[str]:
    for step in results:
        for action in step.actions:
            if picture := action.screenshot_url or action.screenshot_url_before:
                yield picture


def _before(step: wire.StepResult) -> str:
    """The page before the step; nothing if no screenshot shows the page after its last action."""
    if not step.actions or not step.actions[-1].screenshot_url:
        return ""
    return next((found for action in step.actions if (found := action.screenshot_url_before)), "")
