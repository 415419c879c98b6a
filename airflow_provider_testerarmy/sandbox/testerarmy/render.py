"""Renders runs, tests, groups and projects as the TesterArmy API does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.testerarmy.engine import ended_at, started_at, status_at
from airflow_provider_testerarmy.sandbox.testerarmy.outputs import RunContext, plan

if TYPE_CHECKING:
    from airflow_provider_testerarmy.sandbox.testerarmy.catalog import (
        Catalog,
        Environment,
        Group,
        Project,
        SavedTest,
    )
    from airflow_provider_testerarmy.sandbox.testerarmy.engine import Run
    from airflow_provider_testerarmy.sandbox.testerarmy.outputs import Json

WITH_RESULT = frozenset({"completed", "failed"})


def run_bytes(run: Run, now: float, origin: str) -> bytes:
    """Return a run as JSON. It is cached per status, because nothing else in it changes."""
    key = (status_at(run, now), origin)
    cached = run.rendered.get(key)
    if cached is None:
        # ASCII escapes can also carry text that UTF-8 cannot encode.
        cached = json.dumps(run_document(run, now, origin), separators=(",", ":")).encode("ascii")
        run.rendered[key] = cached
    return cached


def run_document(run: Run, now: float, origin: str) -> Json:
    """Return a run as the API shows it at this moment."""
    status = status_at(run, now)
    context = _context(run, origin)
    has_result = status in WITH_RESULT
    output = run.outcome.output(context) if run.outcome.output and status == "completed" else None
    error = run.outcome.error if has_result else None
    return {
        "id": run.id,
        "type": "test" if run.test else "ci",
        "status": status,
        "platform": run.platform,
        "deviceModel": run.device_model,
        "source": run.source,
        "projectId": run.project_id,
        "input": run.input,
        "output": output,
        "testPlan": None if run.test else _test_plan(run, context),
        "error": {"code": error[0], "message": error[1]} if error else None,
        "webhookUrl": run.webhook_url,
        # OpenAPI: pending, delivered or failed. Without a `WebhookSender`, they all stay pending.
        "webhookStatus": run.webhook_status if run.webhook_url else None,
        "testId": run.test.id if run.test else None,
        "stepResults": (output or {}).get("steps") if run.test else None,
        "userName": run.outcome.user_name,
        "externalRef": run.external_ref,
        "executionMode": run.mode,
        # OpenAPI: how often the service retried the run itself after a temporary failure; the run id stays.
        "autoRetryCount": run.outcome.auto_retry_count if has_result else None,
        "createdAt": run.created_iso,
    } | _times(run, now)


def _times(run: Run, now: float) -> Json:
    started, ended = started_at(run, now), ended_at(run)
    over = ended <= now
    return {
        "startedAt": None if started is None else iso(started),
        "completedAt": iso(ended) if over else None,
        "durationMs": round((ended - started) * 1000) if over and started is not None else None,
    }


def _context(run: Run, origin: str) -> RunContext:
    base = (run.target_url or "https://shop.acme.example/").rstrip("/")
    if run.test is None:
        return RunContext("Prompt", base + "/", origin, run.seconds)
    return RunContext(run.test.title, base + run.test.path, origin, run.seconds, login=run.test.login)


def _test_plan(run: Run, context: RunContext) -> Json:
    return {
        "instructions": run.input.get("prompt", ""),
        "focusAreas": [context.title],
        "complexity": "simple",
        "changeType": "frontend",
        "steps": plan(context.title, login=False),
    }


def test_document(test: SavedTest, catalog: Catalog) -> Json:
    """Return a saved test's definition."""
    project = catalog.projects[test.project_id]
    return {
        "id": test.id,
        "title": test.title,
        "description": f"Makes sure of: {test.title}." if test.description is None else test.description,
        "enabled": test.enabled,
        "platform": test.platform or project.kind,
        "steps": plan(test.title, login=test.login) if test.steps is None else list(test.steps),
        "projectId": test.project_id,
        "projectUrl": project.url,
        "projectName": project.name,
        "createdAt": test.created_at,
        "updatedAt": test.updated_at,
    }


def test_detail(test: SavedTest, catalog: Catalog) -> Json:
    """Return a saved test's definition and its groups."""
    groups = [
        {"id": group.id, "name": group.name, "isDefault": group.is_default}
        for group in catalog.groups_of(test.id)
    ]
    return test_document(test, catalog) | {"groups": groups}


def group_summary(group: Group) -> Json:
    """Return a group as it appears in the list of groups."""
    return {
        "id": group.id,
        "name": group.name,
        "isDefault": group.is_default,
        "testCount": len(group.test_ids),
        "prepTestId": group.prep_test_id,
    }


def new_group(group: Group) -> Json:
    """Return a group as the response to its creation, which has no times."""
    times = ("createdAt", "updatedAt")
    return {name: value for name, value in group_detail(group).items() if name not in times}


def group_detail(group: Group) -> Json:
    """Return a group."""
    return {
        "id": group.id,
        "name": group.name,
        "isDefault": group.is_default,
        "runMode": group.run_mode,
        "prepTestId": group.prep_test_id,
        "projectId": group.project_id,
        "createdAt": group.created_at,
        "updatedAt": group.updated_at,
    }


def project_summary(project: Project, catalog: Catalog) -> Json:
    """Return a project as it appears in the list of projects."""
    return {
        "id": project.id,
        "shortId": project.short_id,
        "name": project.name,
        "url": project.url,
        "projectType": project.kind,
        "environments": [
            environment_document(environment) for environment in catalog.environments(project.id)
        ],
    }


def project_detail(project: Project, catalog: Catalog) -> Json:
    """Return a project."""
    more = {
        "description": project.description,
        "createdAt": project.created_at,
        "updatedAt": project.updated_at,
    }
    return project_summary(project, catalog) | more


def environment_document(environment: Environment) -> Json:
    """Return an environment."""
    return {
        "id": environment.id,
        "name": environment.name,
        "slug": environment.slug,
        "kind": environment.kind,
        "url": environment.url,
    }
