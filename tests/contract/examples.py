"""A valid call of each operation, as the client builds it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.client.testerarmy import (
    apps,
    credentials,
    environments,
    files,
    groups,
    memories,
    models,
    operations,
    projects,
    pull_requests,
    saved_tests,
    webhooks,
)

PROJECT = "10000000-0000-4000-8000-000000000001"
UUID = "3f0e8a52-0000-4000-8000-000000000001"
PASSWORD = "hunter2-hunter2"
SECRET = "whsec/with a slash"
BUILD = {
    "app_id": UUID,
    "bundle_id": "com.acme",
    "artifact_url": "https://ci.example/app.apk",
    "build_id": "7",
}
PULL_REQUEST = {
    "provider": "github",
    "number": 7,
    "title": "Faster checkout",
    "description": "",
    "base_branch": "main",
    "head_branch": "checkout",
    "commit_sha": "abc123",
}
STEPS = [
    {"type": "act", "title": "Open the shop"},
    {"type": "assert", "title": "The price is shown"},
    {"type": "login", "title": "Sign in", "credential_id": UUID, "temporary_email": False},
    {"type": "files", "title": "Upload", "file_ids": [UUID]},
    {"type": "screenshot"},
    {"type": "javascript", "code": "1"},
]
APP = {"filename": "app.apk", "file_size": 4, "remove_after": 60}


def _credential(**fields: Any) -> Operation[Any]:
    fields = {"label": "Shop", **fields}
    return credentials.create_credential(PROJECT, build_request(credentials.request_kind(fields), **fields))


def _pull_request(**fields: Any) -> Operation[Any]:
    fields = {"pull_request": PULL_REQUEST, **fields}
    return pull_requests.trigger_pull_request_run(
        PROJECT, build_request(pull_requests.request_kind(fields), **fields)
    )


def _project() -> projects.ProjectRequest:
    return build_request(
        projects.ProjectRequest,
        name="Shop",
        url="https://shop.example/",
        project_type="web",
        description="The shop.",
    )


def _group_run() -> models.GroupRunRequest:
    return build_request(
        models.GroupRunRequest,
        platform="android",
        device_model="ipad",
        project_environment_id=UUID,
        target_url="https://pr-7.shop.example/",
        environment="preview",
        mobile=BUILD,
        commit_sha="abc123",
        pr_number=7,
    )


def _prompt() -> models.PromptRunRequest:
    login = {"username": "me", "password": PASSWORD}
    return build_request(
        models.PromptRunRequest, prompt="Look", credentials=[login], webhook_url="https://hooks.example/x"
    )


#: Examples by the name of the operation in the contract; some operations have several.
EXAMPLES: dict[str, tuple[Callable[[], Operation[Any]], ...]] = {
    "list_projects": (operations.list_projects,),
    "create_project": (lambda: projects.create_project(_project()),),
    "get_project": (lambda: projects.get_project(PROJECT),),
    "update_project": (
        lambda: projects.update_project(PROJECT, build_request(projects.ProjectChange, name="Shop 2")),
    ),
    "delete_project": (lambda: projects.delete_project(PROJECT),),
    "list_environments": (lambda: environments.list_environments(PROJECT),),
    "create_environment": (
        lambda: environments.create_environment(
            PROJECT,
            build_request(environments.EnvironmentRequest, name="PR 7", url="https://pr-7.shop.example/"),
        ),
    ),
    "delete_environment": (lambda: environments.delete_environment(PROJECT, UUID),),
    "list_credentials": (lambda: credentials.list_credentials(PROJECT),),
    "create_credential": (
        lambda: _credential(username="me", password=PASSWORD),
        lambda: _credential(username="me", password=PASSWORD, auth_method="google"),
        lambda: _credential(auth_method="custom", auth_instructions=PASSWORD),
        lambda: _credential(kind="inbox"),
    ),
    "list_memories": (lambda: memories.list_memories(PROJECT),),
    "create_memory": (
        lambda: memories.create_memory(
            PROJECT,
            build_request(
                memories.MemoryRequest,
                category="test_insights",
                title="Release 7",
                content="The checkout is new.",
                importance="high",
            ),
        ),
    ),
    "delete_memory": (lambda: memories.delete_memory(PROJECT, UUID),),
    "list_files": (lambda: files.list_files(PROJECT),),
    "list_apps": (lambda: apps.list_apps(PROJECT),),
    "upload_app": (
        lambda: apps.upload_app(
            PROJECT, b"PK\3\4", build_request(apps.AppOptions, filename="app.apk", remove_after=60)
        ),
    ),
    "delete_app": (lambda: apps.delete_app(PROJECT, UUID),),
    "request_app_upload": (
        lambda: apps.request_app_upload(PROJECT, build_request(apps.AppUploadRequest, **APP)),
    ),
    "confirm_app_upload": (
        lambda: apps.confirm_app_upload(
            PROJECT, build_request(apps.AppConfirmation, **APP, storage_key="tmp/1")
        ),
    ),
    "list_tests": (
        lambda: operations.list_tests(PROJECT, group_id=UUID, cursor="c"),
        lambda: saved_tests.list_saved_tests(PROJECT, limit=5),
    ),
    "create_test": (
        lambda: saved_tests.create_test(
            build_request(
                saved_tests.TestRequest,
                title="Search",
                description="Finds a product.",
                steps=STEPS,
                project_id=PROJECT,
                group_id=UUID,
                platform="web",
                enabled=False,
            )
        ),
    ),
    "get_test": (lambda: operations.get_test(UUID), lambda: saved_tests.get_saved_test(UUID)),
    "update_test": (
        lambda: saved_tests.update_test(
            UUID, build_request(saved_tests.TestChange, title="Search", steps=STEPS, enabled=True)
        ),
    ),
    "delete_test": (lambda: saved_tests.delete_test(UUID),),
    "trigger_test_run": (
        lambda: operations.trigger_test_run(
            UUID, build_request(models.TestRunRequest, mode="deep", platform="ios", app_id=UUID)
        ),
    ),
    "list_groups": (
        lambda: operations.list_groups(PROJECT),
        lambda: groups.list_group_details(PROJECT),
    ),
    "create_group": (
        lambda: operations.create_group(PROJECT, "Mine"),
        lambda: groups.create_group(
            build_request(
                groups.GroupRequest,
                project_id=PROJECT,
                name="Mine",
                run_mode="sequential",
                prep_test_id=UUID,
            )
        ),
    ),
    "get_group": (lambda: operations.get_group(UUID), lambda: groups.get_group_detail(UUID)),
    "update_group": (
        lambda: groups.update_group(UUID, build_request(groups.GroupChange, name="Mine")),
        lambda: groups.update_group(UUID, groups.GroupChange(), without_prep_test=True),
    ),
    "delete_group": (lambda: operations.delete_group(UUID),),
    "add_group_test": (
        lambda: operations.add_group_test(UUID, UUID),
        lambda: groups.add_group_test(UUID, UUID),
    ),
    "remove_group_test": (lambda: groups.remove_group_test(UUID, UUID),),
    "trigger_group_run": (
        lambda: operations.trigger_group_run(UUID),
        lambda: operations.trigger_group_run(UUID, _group_run()),
    ),
    "trigger_webhook": (lambda: webhooks.trigger_webhook(UUID, SECRET, {"state": "success"}),),
    "trigger_group_webhook": (
        lambda: webhooks.trigger_group_webhook(
            UUID, SECRET, build_request(webhooks.GroupWebhookRequest, platform="web", mobile=BUILD)
        ),
    ),
    "list_runs": (
        lambda: operations.list_runs(limit=5, status="completed", project_id=UUID, test_id=UUID, cursor="c"),
        operations.list_run_states,
    ),
    "get_run": (lambda: operations.get_run(UUID), lambda: operations.get_run_state(UUID)),
    "cancel_run": (lambda: operations.cancel_run(UUID),),
    "submit_prompt_run": (lambda: operations.submit_prompt_run(_prompt()),),
    "cancel_batch": (lambda: operations.cancel_batch(UUID),),
    "rerun_batch": (lambda: operations.rerun_batch(UUID),),
    "trigger_pull_request_run": (
        lambda: _pull_request(target_url="https://pr-7.shop.example/"),
        lambda: _pull_request(platform="ios", mobile=BUILD, simulator_region="eu-north1"),
    ),
}


def upload(url: str) -> Operation[None]:
    """The upload of an app to this URL."""
    target = apps.AppUpload.model_validate({"uploadUrl": url, "storageKey": "tmp/1"})
    return apps.put_app(target, lambda: io.BytesIO(b"PK\3\4"), 4)
