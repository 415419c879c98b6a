"""Group runs and test runs as the Docket API writes them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.sandbox.core import hostile

if TYPE_CHECKING:
    from airflow_provider_testerarmy.sandbox.docket.catalog import Blueprint
    from airflow_provider_testerarmy.sandbox.docket.store import DocketRun, GroupRun

Json = dict[str, Any]

COMPANY_ID = 2
SHOP = "https://shop.acme.example"


def group_run_document(group: GroupRun, now: float) -> Json:
    """Return a group run as in the response to its trigger."""
    return {
        "id": group.id,
        "company_id": COMPANY_ID,
        "name": group.name,
        "status": group.status(now),
        "test_runs": [_started_run(run, now) for run in group.runs],
        "created_at": _time(group.created),
        "updated_at": _time(group.created),
    }


def _started_run(run: DocketRun, now: float) -> Json:
    return {
        "id": run.id,
        "status": run.status(now),
        "test_blueprint_id": run.blueprint.id,
        "test_group_run_id": run.group_run_id,
        "blueprint_metadata": _snapshot(run),
        "results": None,
        "is_login_test_run": run.is_login,
        "test_video_s3_key": None,
        "created_at": _time(run.created),
        "updated_at": _time(run.created),
    }


def run_document(run: DocketRun, now: float, origin: str) -> Json:
    """Return a test run as the API shows it at this moment."""
    if run.course.kind == "sparse":
        return _sparse(run, now)
    attempts = [
        _attempt(run, number, passed, origin) for number, passed in enumerate(run.finished_attempts(now), 1)
    ]
    # Docket's `results` are null while the run is active, and `additional_attempts` has the earlier attempts.
    last = attempts.pop() if attempts and run.status(now) != "running" else None
    video = last["test_video_url"] if last else None
    return _started_run(run, now) | {
        "results": last["results"] if last else None,
        "test_video_url": video,
        "test_video_download_url": f"{video}&response-content-disposition=attachment" if video else None,
        "test_video_s3_key": f"videos/{run.id}.webm" if video else None,
        "additional_attempts": attempts,
        "updated_at": _time(run.changed(now)),
    }


def _sparse(run: DocketRun, now: float) -> Json:
    """Return a run with null in every nullable field, and with an undocumented field."""
    return {
        "id": run.id,
        "status": run.status(now),
        "test_blueprint_id": None,
        "test_group_run_id": None,
        "blueprint_metadata": None,
        "results": None,
        "test_video_url": None,
        "additional_attempts": None,
        "created_at": None,
        "updated_at": None,
        "agent_mood": {"happy": True},
    }


def _attempt(run: DocketRun, number: int, passed: bool, origin: str) -> Json:
    wild = run.course.kind == "hostile"
    tasks = _tasks(run.blueprint)
    reached = tasks if passed else tasks[:3]
    share = round(run.blueprint.seconds / len(reached), 2)
    results = []
    for index, task in enumerate(reached, 1):
        good = passed or index < len(reached)
        if run.course.kind == "contradictory" and index == len(reached) - 1:
            good = False
        said = "Done." if good else "The objective could not be completed: the confirmation never appeared."
        results.append(
            {
                "step_number": index,
                "task": hostile.NASTY_TEXT if wild else task,
                "is_successful": good,
                "result": hostile.NASTY_TEXT + hostile.VERY_LONG if wild else said,
                "duration": share,
                "actions": [_action(run, number, index, task, origin, wild=wild)],
            }
        )
    video = hostile.SCRIPT_URL if wild else _signed(f"{origin}/videos/docket-{run.id}-{number}.webm")
    return {"results": results, "test_video_url": video}


def _action(run: DocketRun, number: int, step: int, task: str, origin: str, *, wild: bool) -> Json:
    name = f"{origin}/screenshots/docket-{run.id}-{number}-{step}"
    return {
        "description": hostile.MARKUP if wild else f"Action: {task}",
        "type": "click_element",
        "screenshot_url": hostile.SCRIPT_URL if wild else _signed(f"{name}.png"),
        "screenshot_url_before": _signed(f"{name}-before.png"),
        "api_response": None,
    }


def _tasks(blueprint: Blueprint) -> list[str]:
    return [
        "Open the page",
        f"Do: {blueprint.title}",
        "Wait for the confirmation",
        "The page shows what was asked for",
    ]


def _snapshot(run: DocketRun) -> Json:
    """Return the blueprint as it was at the start of the run.

    The real field is large and contains credentials, so clients must not copy it anywhere.
    """
    blueprint, wild = run.blueprint, run.course.kind == "hostile"
    recorded = f"<html><!-- {blueprint.id} -->".ljust(blueprint.ballast, "x")
    return {
        "id": blueprint.id,
        "title": hostile.MARKUP + hostile.VERY_LONG if wild else blueprint.title,
        "type": "integration",
        "device_type": "desktop",
        "starting_url": SHOP + blueprint.path,
        "num_retries": max(0, len(run.course.attempts) - 1),
        "variables": [{"key": "customer", "type": "static", "value": "sandbox-customer"}],
        "credentials": {"username": "customer@acme.example", "password": "sandbox-blueprint-password"},
        "steps": [
            {"step_number": index, "type": "act", "action": task, "action_cache": {"page": recorded}}
            for index, task in enumerate(_tasks(blueprint), 1)
        ],
    }


def _signed(url: str) -> str:
    """Return the URL as an object store signs it for one hour."""
    signature = hashlib.sha256(url.encode()).hexdigest()
    return f"{url}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&X-Amz-Signature={signature}"


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
