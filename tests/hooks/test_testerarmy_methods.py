"""The hook's methods, each in a worker and in an event loop, against the sandbox."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from airflow_provider_testerarmy.client.http.errors import Conflict, NotFound, RequestInvalid
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

SHOP, APP = catalog.PROJECT_SHOP, catalog.PROJECT_APP
PULL_REQUEST = {"number": 7, "title": "Faster checkout", "commit_sha": "abc"}


class InLoop:
    """The hook's methods for event loops, by the names of those for workers."""

    def __init__(self, hook: TesterArmyHook) -> None:
        self._hook = hook

    def __getattr__(self, name):
        method = getattr(self._hook, f"a{name}")

        def call(*args, **fields):
            found = method(*args, **fields)
            return asyncio.run(found if asyncio.iscoroutine(found) else collect(found))

        return call


async def collect(items):
    """All items of an asynchronous iterator."""
    return [item async for item in items]


@pytest.fixture(params=[lambda hook: hook, InLoop], ids=["sync", "async"])
def hook(request, service, monkeypatch):
    """The hook of a connection to the sandbox."""
    connection = {"conn_type": "testerarmy", "host": service.url, "password": DEFAULT_API_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(connection))
    hook = TesterArmyHook()
    yield request.param(hook)
    hook.close()


def test_projects(hook):
    """Created, read by either id, changed, listed and deleted."""
    project = hook.create_project(name="New shop", url="https://new.example/", project_type="web")
    assert hook.get_project(project.short_id) == project
    assert hook.update_project(project.id, name="Old shop").name == "Old shop"
    assert project.id in [each.id for each in hook.list_projects()]
    hook.delete_project(project.id)
    with pytest.raises(NotFound):
        hook.get_project(project.id)


def test_environments(hook):
    """One that exists already is a conflict."""
    created = hook.create_environment(SHOP, name="PR 7", url="https://pr-7.example/")
    with pytest.raises(Conflict):
        hook.create_environment(SHOP, name="PR 7", url="https://pr-7.example/")
    assert created in hook.list_environments(SHOP)
    hook.delete_environment(SHOP, created.id)
    assert created not in hook.list_environments(SHOP)


def test_credentials(hook):
    """Of each kind; their secrets are not returned."""
    made = [
        hook.create_credential(SHOP, label="a", username="me", password="hunter2"),
        hook.create_credential(SHOP, label="b", auth_method="custom", auth_instructions="hunter2"),
        hook.create_credential(SHOP, label="c", kind="inbox"),
    ]
    assert tuple(made) == hook.list_credentials(SHOP)
    assert [each.kind for each in made] == ["login", "login", "inbox"]


def test_memories_and_files(hook):
    """What agents know, and what tests upload."""
    fields = {"category": "test_insights", "title": "Release", "content": "New.", "importance": "low"}
    memory = hook.create_memory(SHOP, **fields).memory
    assert hook.list_memories(SHOP).memories == (memory,)
    hook.delete_memory(SHOP, memory.id)
    assert hook.list_memories(SHOP).count == 0
    assert [each.id for each in hook.list_files(SHOP)] == [catalog.PROJECT_FILE]


def test_apps(hook):
    """In one request, and in three steps."""
    small = hook.upload_app(APP, b"PK", filename="a.apk", remove_after=60)
    fields = {"filename": "b.ipa", "file_size": 2}
    upload = hook.request_app_upload(APP, **fields)
    hook.put_app(upload, lambda: io.BytesIO(b"PK"), 2)
    large = hook.confirm_app_upload(APP, storage_key=upload.storage_key, **fields)
    assert {small.id, large.id} <= {each.id for each in hook.list_apps(APP)}
    for app in (small, large):
        hook.delete_app(APP, app.id)
    assert [each.id for each in hook.list_apps(APP)] == [catalog.MOBILE_APP]


def test_tests(hook):
    """With all of their steps; a list has as many pages as it needs."""
    steps = [{"type": "act", "title": "Open"}, {"type": "screenshot"}]
    test = hook.create_test(project_id=SHOP, title="Mine", steps=steps)
    assert [step.type for step in hook.get_test(test.id).steps] == ["act", "screenshot"]
    assert hook.update_test(test.id, enabled=False).enabled is False
    hook.delete_test(test.id)
    assert test.id not in [each.id for each in hook.list_tests(SHOP)]
    assert len(list(hook.list_tests(catalog.PROJECT_LOAD, group_id=catalog.GROUP_250))) == 250


def test_groups(hook):
    """Created, filled, changed, emptied and deleted."""
    group = hook.create_group(project_id=SHOP, name="Mine", prep_test_id=catalog.TEST_PREPARATION)
    assert hook.add_group_test(group.id, catalog.TEST_PASSES).added is True
    assert hook.update_group(group.id, name="Ours", without_prep_test=True).prep_test_id is None
    assert (hook.get_group(group.id).name, hook.get_group(group.id).prep_test_id) == ("Ours", None)
    listed = {each.id: each for each in hook.list_groups(SHOP)}
    assert listed[group.id].test_count == 1
    assert hook.remove_group_test(group.id, catalog.TEST_PASSES).removed is True
    hook.delete_group(group.id)
    with pytest.raises(NotFound):
        hook.get_group(group.id)
    with pytest.raises(RequestInvalid, match="exclude"):
        hook.update_group(group.id, prep_test_id=catalog.TEST_PASSES, without_prep_test=True)


def test_runs(hook, service):
    """Every way to start one is counted once; runs are read, cancelled and started again."""
    single = hook.trigger_test_run(catalog.TEST_ENDLESS, mode="fast").run_id
    batch = hook.trigger_group_run(catalog.GROUP_NIGHTLY, commit_sha="abc")
    prompt = hook.submit_prompt_run(prompt="Look").id
    web = hook.trigger_pull_request_run(SHOP, target_url="https://x.example/", pull_request=PULL_REQUEST)
    mobile = hook.trigger_pull_request_run(APP, platform="ios", pull_request=PULL_REQUEST)
    secret = catalog.WEBHOOK_SECRET
    (by_webhook,) = hook.trigger_group_webhook(catalog.GROUP_WEBHOOK, secret).batch_ids
    deployed = hook.trigger_webhook(catalog.PROJECT_WEBHOOK, secret, {"state": "success"}).run_id
    assert len(service.control.log.submissions()) == 7
    known = {run.id for run in hook.list_runs()}
    assert known >= {single, prompt, web.run_id, mobile.run_id, deployed, *batch.run_ids}
    assert hook.cancel_run(single).status == "cancelled"
    assert hook.get_run(single).status == "cancelled"
    assert set(hook.cancel_batch(batch.batch_id).cancelled_run_ids) == set(batch.run_ids)
    assert len(hook.rerun_batch(batch.batch_id).run_ids) == len(batch.run_ids)
    hook.cancel_batch(by_webhook)


def test_a_lost_answer_starts_nothing_twice(hook, service):
    """Nor does it leave a second environment behind."""
    from airflow_provider_testerarmy.client.http.errors import AnswerLost

    calls = {
        "trigger_pull_request": lambda: hook.trigger_pull_request_run(
            SHOP, target_url="https://x.example/", pull_request=PULL_REQUEST
        ),
        "trigger_group_webhook": lambda: hook.trigger_group_webhook(
            catalog.GROUP_WEBHOOK, catalog.WEBHOOK_SECRET
        ),
        "create_environment": lambda: hook.create_environment(SHOP, name="x", url="https://x.example/"),
        "confirm_app_upload": lambda: hook.confirm_app_upload(
            APP, storage_key="x", filename="a.apk", file_size=2
        ),
    }
    for name, call in calls.items():
        service.control.faults.add("reset_after", name)
        with pytest.raises(AnswerLost):
            call()
        assert len(service.control.log.entries(name)) == 1


def test_a_hiccup_is_repeated_where_that_is_safe(hook, service):
    """A list, a change, a deletion, and the bytes of an upload."""
    for name in ("list_tests", "update_test", "list_environments"):
        service.control.faults.add("reset_after", name)
    assert list(hook.list_tests(SHOP))
    assert hook.update_test(catalog.TEST_PASSES, enabled=True).enabled
    assert hook.list_environments(SHOP)
    service.control.faults.add("status", "put_app", status=503)
    upload = hook.request_app_upload(APP, filename="a.apk", file_size=2)
    hook.put_app(upload, lambda: io.BytesIO(b"PK"), 2)
    assert len(service.control.log.entries("put_app")) == 2


@pytest.mark.parametrize("name", ["create_project", "create_credential", "create_memory", "create_test"])
def test_what_cannot_be_sent_is_refused_before(hook, service, name):
    """The message names each wrong field, and no value."""
    first = () if name in ("create_project", "create_test") else (SHOP,)
    with pytest.raises(RequestInvalid) as caught:
        getattr(hook, name)(*first, surprise="hunter2")
    assert "surprise" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(service.control.log) == 0
