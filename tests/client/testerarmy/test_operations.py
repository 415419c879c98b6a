from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_testerarmy.client.http.errors import BadRequest, Conflict, NotFound, RequestInvalid
from airflow_provider_testerarmy.client.http.wire import build_request
from airflow_provider_testerarmy.client.testerarmy import models
from airflow_provider_testerarmy.client.testerarmy import operations as api
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.client.conftest import chain

PASSWORD = "hunter2-hunter2"


def finish(service):
    """Let all active runs end."""
    service.control.clock.advance(120)


# -- starting


def test_trigger_a_test(client, service):
    """One run is started, and its body arrives as it was built."""
    request = build_request(models.TestRunRequest, mode="deep", platform="web")
    queued = client.send(api.trigger_test_run(catalog.TEST_PASSES, request))
    assert (queued.status, queued.test_id) == ("queued", catalog.TEST_PASSES)
    assert service.control.log.submitted_run_ids() == [queued.run_id]
    assert client.send(api.get_run(queued.run_id)).input == {
        "testId": catalog.TEST_PASSES,
        "mode": "deep",
        "platform": "web",
    }


def test_trigger_a_group(client, service):
    """Every runnable test is started; the answer tells the accepted from the rejected."""
    request = build_request(models.GroupRunRequest, commit_sha="abc", pr_number=7)
    queued = client.send(api.trigger_group_run(catalog.GROUP_SOME_REJECTED, request))
    assert list(queued.run_ids) == service.control.log.submitted_run_ids()
    assert (len(queued.run_ids), len(queued.queued_run_ids), len(queued.cancelled_run_ids)) == (3, 2, 1)
    assert queued.batch_id in service.control.store.batches


def test_a_group_may_be_rejected_whole(client):
    """The status says cancelled, and no run was queued."""
    queued = client.send(api.trigger_group_run(catalog.GROUP_ALL_REJECTED))
    assert (queued.status, queued.queued_run_ids) == ("cancelled", ())
    assert queued.cancelled_run_ids == queued.run_ids


def test_an_empty_group_is_refused(client):
    """There is nothing to run."""
    with pytest.raises(BadRequest, match="NO_RUNNABLE_TESTS"):
        client.send(api.trigger_group_run(catalog.GROUP_EMPTY))


def test_submit_a_prompt(client, service):
    """The prompt's run is started; its credentials travel and are shown nowhere."""
    request = build_request(
        models.PromptRunRequest,
        prompt="Log in",
        credentials=[{"username": "me", "password": PASSWORD}],
        webhook_url="https://hooks.example/x",
    )
    operation = api.submit_prompt_run(request)
    assert operation.body["credentials"] == [{"username": "me", "password": PASSWORD}]
    assert PASSWORD not in f"{request!r} {request} {operation!r} {operation}"
    queued = client.send(operation)
    assert queued.status == "queued"
    # The service writes milliseconds, and the clock has microseconds.
    assert abs(queued.created_at - service.control.clock.now()) < timedelta(milliseconds=1)
    assert service.control.log.submitted_run_ids() == [queued.id]


def test_a_password_that_the_service_quotes_is_not_shown(client, service):
    """Neither in the error of the client nor where the lifecycle sends the body."""
    request = build_request(
        models.PromptRunRequest, prompt="Log in", credentials=[{"username": "me", "password": PASSWORD}]
    )
    plain = api.submit_prompt_run(build_request(models.PromptRunRequest, prompt="-"))
    for operation in (api.submit_prompt_run(request), api.with_prompt(plain, request.body())):
        service.control.faults.add("status", "trigger_prompt", status=400, message=f"{PASSWORD} is short")
        with pytest.raises(BadRequest) as caught:
            client.send(operation)
        assert "is short" in str(caught.value)
        assert PASSWORD not in chain(caught.value)


def test_rerun_a_batch(client, service):
    """The tests of an ended batch run once more; before its end that is a conflict."""
    first = client.send(api.trigger_group_run(catalog.GROUP_NIGHTLY))
    with pytest.raises(Conflict, match="active runs"):
        client.send(api.rerun_batch(first.batch_id))
    finish(service)
    second = client.send(api.rerun_batch(first.batch_id))
    assert second.batch_id != first.batch_id
    assert not set(second.run_ids) & set(first.run_ids)


# -- reading


def test_get_a_finished_run(client, service):
    """A run has its result, steps and times."""
    run_id = client.send(api.trigger_test_run(catalog.TEST_PASSES)).run_id
    assert client.send(api.get_run(run_id)).status == "queued"
    finish(service)
    run = client.send(api.get_run(run_id.upper()))
    assert (run.id, run.status, run.output.result) == (run_id, "completed", "PASS")
    assert run.output.steps[0].status == "passed"
    assert run.duration_ms == (run.completed_at - run.started_at).total_seconds() * 1000


def test_a_run_that_nobody_has(client):
    """404 has a class of its own."""
    with pytest.raises(NotFound, match="NOT_FOUND"):
        client.send(api.get_run(catalog.UNKNOWN_ID))


def test_list_runs(client, service):
    """By status, by project and by test; newest first."""
    passing = client.send(api.trigger_test_run(catalog.TEST_PASSES)).run_id
    finish(service)
    app = client.send(api.trigger_test_run(catalog.TEST_MOBILE)).run_id

    def ids(**filters):
        return [run.id for run in client.send(api.list_runs(**filters)).runs]

    assert ids() == [app, passing]
    assert ids(status="completed") == [passing]
    assert ids(project_id=catalog.PROJECT_APP) == [app]
    assert ids(test_id=catalog.TEST_PASSES) == [passing]


@pytest.mark.parametrize("limit", [0, 101, -1])
def test_a_page_has_1_to_100_runs(limit):
    """Another number is refused here."""
    with pytest.raises(RequestInvalid, match="between 1 and 100"):
        api.list_runs(limit=limit)


def test_a_cut_emoji_does_not_lose_the_page(client, service):
    """Half an emoji becomes a question mark: a page with it can be read, and what was read can be written."""
    cut = client.send(api.trigger_test_run(catalog.TEST_CUT_EMOJI)).run_id
    whole = client.send(api.trigger_test_run(catalog.TEST_PASSES)).run_id
    finish(service)
    runs = {run.id: run for run in client.send(api.list_runs()).runs}
    assert set(runs) == {cut, whole}
    assert (runs[cut].output.result, runs[cut].output.description) == ("PASS", "Great shop! ?")
    assert runs[whole].output.description
    assert client.send(api.get_run(cut)).output.result == "PASS"


@pytest.mark.parametrize(
    "test_id",
    [
        catalog.TEST_HOSTILE,
        catalog.TEST_UNKNOWN_STATUS,
        catalog.TEST_UNKNOWN_VALUES,
        catalog.TEST_UNKNOWN_RESULT,
        catalog.TEST_SPARSE,
        catalog.TEST_NO_OUTPUT,
        catalog.TEST_SKIPPED,
        catalog.TEST_BREAKS,
        catalog.TEST_AUTO_RETRIED,
    ],
)
def test_every_kind_of_run_can_be_read(client, service, test_id):
    """At every moment of its life."""
    run_id = client.send(api.trigger_test_run(test_id)).run_id
    for seconds in (0, 2, 5, 120):
        service.control.clock.advance(seconds)
        assert client.send(api.get_run(run_id)).id == run_id


def test_read_the_catalogue(client):
    """Projects, tests and groups."""
    projects = client.send(api.list_projects())
    assert catalog.PROJECT_SHOP in [project.id for project in projects]
    assert projects[0].short_id == "acme-shop"
    test = client.send(api.get_test(catalog.TEST_PASSES))
    assert (test.title, test.enabled, test.project_id) == (
        "Search finds a product",
        True,
        catalog.PROJECT_SHOP,
    )
    group = client.send(api.get_group(catalog.GROUP_SEQUENTIAL))
    assert (group.name, group.run_mode, group.prep_test_id) == (
        "Customer journey",
        "sequential",
        catalog.TEST_PREPARATION,
    )
    groups = client.send(api.list_groups(catalog.PROJECT_APP))
    assert [group.id for group in groups] == [catalog.GROUP_APP_ALL]
    page = client.send(api.list_tests(catalog.PROJECT_SHOP, group_id=catalog.GROUP_WITH_DISABLED))
    assert [(test.id, test.enabled) for test in page.tests] == [
        (catalog.TEST_PASSES, True),
        (catalog.TEST_DISABLED, False),
    ]


def test_tests_are_paginated(client):
    """A cursor leads to the next page."""
    first = client.send(api.list_tests(catalog.PROJECT_LOAD, limit=2))
    second = client.send(api.list_tests(catalog.PROJECT_LOAD, limit=2, cursor=first.next_cursor))
    assert [test.id for test in first.tests + second.tests] == [
        catalog.bulk_test_id(number) for number in (1, 2, 3, 4)
    ]


# -- stopping


def test_cancel_a_run(client, service):
    """Once; when it has finished, that is a conflict."""
    run_id = client.send(api.trigger_test_run(catalog.TEST_ENDLESS)).run_id
    assert client.send(api.cancel_run(run_id)).status == "cancelled"
    with pytest.raises(Conflict, match="already cancelled"):
        client.send(api.cancel_run(run_id))


def test_cancel_a_batch(client):
    """Active runs are cancelled; a second call changes nothing."""
    batch = client.send(api.trigger_group_run(catalog.GROUP_NIGHTLY))
    assert set(client.send(api.cancel_batch(batch.batch_id)).cancelled_run_ids) == set(batch.run_ids)
    again = client.send(api.cancel_batch(batch.batch_id))
    assert (again.cancelled_run_ids, set(again.already_finished_run_ids)) == ((), set(batch.run_ids))


def test_a_batch_that_refuses(client):
    """409 when some of its runs could not be cancelled."""
    batch = client.send(api.trigger_group_run(catalog.GROUP_REFUSES_CANCEL))
    with pytest.raises(Conflict, match="could not be cancelled"):
        client.send(api.cancel_batch(batch.batch_id))


# -- what is refused here


BY_ID = [
    api.trigger_test_run,
    api.trigger_group_run,
    api.rerun_batch,
    api.get_test,
    api.get_group,
]


@pytest.mark.parametrize("build", BY_ID)
@pytest.mark.parametrize(
    "value", ["", "  ", None, 7, "None", "../../runs", "3f0e8a52", "a" * 500, f"{uuid.UUID(int=1)}/x"]
)
def test_what_is_no_id_is_refused(build, value):
    """Nothing is sent, the id cannot leave its path segment, and the message is short."""
    with pytest.raises(RequestInvalid, match=r"_id .*(is empty|is not a TesterArmy id)") as caught:
        build(value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("build", [api.get_run, api.cancel_run, api.cancel_batch])
def test_an_id_that_the_service_gave_is_used_whatever_it_looks_like(build):
    """Refusing it would leave its run running; quoting keeps it inside its part of the path."""
    assert "/run-7..%2Fx" in build("run-7../x").path
    with pytest.raises(RequestInvalid):
        build("")


def test_ids_are_canonical():
    """Case and surrounding space do not matter."""
    value = "3F0E8A52-0000-4000-8000-00000000000A"
    assert api.check_id(f" {value}\n", "run_id") == value.lower()


@pytest.mark.parametrize("given", [uuid.UUID(int=7), str(uuid.UUID(int=7)).upper(), f"\n{uuid.UUID(int=7)} "])
def test_an_id_of_any_kind(given):
    """As Python, a database or a person writes it."""
    assert api.check_id(given, "run_id") == str(uuid.UUID(int=7))


@pytest.mark.parametrize("given", [181, [], True, 1.5, b"x"])
def test_what_is_no_id_is_not_called_empty(given):
    """The message is true."""
    with pytest.raises(RequestInvalid, match="is not a TesterArmy id"):
        api.check_id(given, "run_id")


@pytest.mark.parametrize("given", [None, "", " None ", "null", "undefined"])
def test_what_rendered_to_nothing_is_no_id(given):
    """And the message says why that may be."""
    with pytest.raises(RequestInvalid, match=r"run_id is empty.*; a template may have rendered to nothing"):
        api.check_id(given, "run_id")


@pytest.mark.parametrize(
    ("kind", "fields", "body"),
    [
        (models.GroupRunRequest, {"commit_sha": 1234567}, {"commitSha": "1234567"}),
        (models.GroupRunRequest, {"pr_number": " 12 "}, {"prNumber": 12}),
        (
            models.GroupRunRequest,
            {"target_url": "HTTPS://Shop.example/A"},
            {"targetUrl": "https://Shop.example/A"},
        ),
        (models.GroupRunRequest, {"target_url": "None"}, {}),
        (models.GroupRunRequest, {"environment": " Preview "}, {"environment": "preview"}),
        (models.GroupRunRequest, {"project_environment_id": uuid.UUID(int=7)}, None),
        (
            models.GroupRunRequest,
            {"mobile": {"build_id": 12, "bundle_id": ""}},
            {"mobile": {"buildId": "12"}},
        ),
        (models.TestRunRequest, {"mode": " ", "platform": "", "app_id": "null"}, {}),
        (models.PromptRunRequest, {"prompt": 42, "webhook_url": ""}, {"prompt": "42"}),
        (
            models.PromptRunRequest,
            {"prompt": "x", "webhook_url": "Http://a/b"},
            {"prompt": "x", "webhookUrl": "http://a/b"},
        ),
    ],
)
def test_what_templates_render(kind, fields, body):
    """Numbers are text, text is a number, and nothing is not given."""
    body = {"projectEnvironmentId": str(uuid.UUID(int=7))} if body is None else body
    assert build_request(kind, **fields).body() == body


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (models.TestRunRequest, {"mode": "slow"}, "mode: Input should be 'fast' or 'deep'"),
        (
            models.PromptRunRequest,
            {"prompt": " "},
            "prompt: is empty; a template may have rendered to nothing",
        ),
        (models.PromptRunRequest, {"prompt": "None"}, "prompt: is 'None'; a template may have rendered"),
        (models.GroupRunRequest, {"commit_sha": 1e5}, "commit_sha: is a fraction, not text; in a native"),
        (models.GroupRunRequest, {"commit_sha": True}, "commit_sha: Input should be a valid string"),
        (models.GroupRunRequest, {"pr_number": True}, "pr_number: Input should be a valid integer"),
        (models.TestRunRequest, {"app_id": "x"}, "app_id: String should match"),
        (models.TestRunRequest, {"color": "red"}, "color: Extra inputs are not permitted"),
        (models.GroupRunRequest, {"target_url": "shop.example"}, "target_url: String should match"),
        (models.GroupRunRequest, {"target_url": "javascript:alert(1)"}, "target_url: String should match"),
        (models.GroupRunRequest, {"pr_number": 0}, "pr_number: Input should be greater than 0"),
        (models.GroupRunRequest, {"mobile": {"bundle": ""}}, "mobile.bundle: Extra inputs"),
        (models.PromptRunRequest, {}, "prompt: Field required"),
        (models.PromptRunRequest, {"prompt": "\ud83d"}, "prompt: Input should be a valid string"),
    ],
)
def test_a_wrong_request_is_refused(kind, fields, message):
    """With every field that is wrong, and why."""
    with pytest.raises(RequestInvalid) as caught:
        build_request(kind, **fields)
    assert message in str(caught.value)


def test_a_refused_request_does_not_show_its_secrets():
    """The field is named, its value is not."""
    credentials = [{"username": "", "password": PASSWORD, "pin": PASSWORD}]
    with pytest.raises(RequestInvalid, match="credentials") as caught:
        build_request(models.PromptRunRequest, prompt="x", credentials=credentials)
    assert PASSWORD not in f"{caught.value} {caught.value.__cause__} {vars(caught.value)}"


def test_an_unset_field_is_left_out():
    """The service refuses null."""
    assert build_request(models.GroupRunRequest, platform=None).body() == {}


def test_templated_numbers_are_read():
    """Airflow's templates render to text."""
    assert build_request(models.GroupRunRequest, pr_number="42").body() == {"prNumber": 42}


def test_the_time_of_a_run_has_a_zone():
    """A service that forgets it means UTC, so that times can be compared."""
    for text in ("2026-02-11T12:00:00", "2026-02-11T12:00:00Z", "2026-02-11T13:00:00+01:00"):
        run = models.Run.model_validate({"id": "a", "status": "queued", "createdAt": text})
        assert run.created_at == datetime(2026, 2, 11, 12, tzinfo=UTC)
