"""A group that its webhook starts, against the sandbox: at most once, and without a secret anywhere."""

from __future__ import annotations

import json
import logging

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_testerarmy.exceptions import CredentialsRejected, RequestRefused, SubmissionUnclear
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyTriggerGroupOperator
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.conftest import no_pauses  # noqa: F401
from tests.lifecycle.tries import TaskInstance, posts
from tests.operators.test_testerarmy import own_parameters

pytestmark = pytest.mark.usefixtures("connections", "no_pauses")


@pytest.fixture(autouse=True)
def webhook(service, monkeypatch):
    """Sets the connection of the webhook."""

    def set_connection(**fields):
        given = {"conn_type": "testerarmy", "host": service.url, "login": catalog.GROUP_WEBHOOK}
        fields = {**given, "password": catalog.WEBHOOK_SECRET, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_WEBHOOK", json.dumps(fields))

    set_connection()
    return set_connection


def trigger(**fields):
    return TesterArmyTriggerGroupOperator(task_id="trigger", testerarmy_conn_id="webhook", **fields)


def run(task):
    return task.execute({"ti": TaskInstance(lambda: None, 1, 0)})


def test_it_starts_the_group(service):
    """With the parameters of the request, and without the API key."""
    (batch_id,) = run(trigger(target_url="https://pr-7.shop.example/", commit_sha="4f2d1c9"))
    (submission,) = service.control.log.submissions()
    assert submission.batch_id == batch_id
    started = [service.control.store.runs[run_id] for run_id in submission.run_ids]
    assert {each.input["commitSha"] for each in started} == {"4f2d1c9"}


@pytest.mark.parametrize("kind", ["reset_after", "status_after", "garbage", "wrong_shape"])
def test_a_lost_response_is_not_repeated(service, kind, caplog):
    """Nobody can look up what a webhook started, so the task says so and is not retried."""
    caplog.set_level(logging.DEBUG)
    service.control.faults.add(kind, "trigger_group_webhook")
    with pytest.raises(SubmissionUnclear) as caught:
        run(trigger())
    assert isinstance(caught.value, AirflowFailException)
    assert posts(service) <= 1
    assert len(service.control.log.entries("trigger_group_webhook")) == 1
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert catalog.WEBHOOK_SECRET not in f"{chain!r} {caught.value} {caplog.text}"


def test_a_busy_service_is_asked_again(service):
    """It has started nothing."""
    service.control.faults.add("status", "trigger_group_webhook", status=429, times=2)
    assert run(trigger())
    assert posts(service) == 1


def test_a_wrong_secret(webhook, service):
    """The message does not show it."""
    webhook(password="whsec_wrong")
    with pytest.raises(CredentialsRejected) as caught:
        run(trigger())
    assert "whsec_wrong" not in str(caught.value)
    assert posts(service) == 0


@pytest.mark.parametrize("fields", [{"login": ""}, {"password": ""}, {"login": "no-uuid"}])
def test_an_unusable_connection_is_refused(webhook, service, fields):
    """Nothing is sent."""
    webhook(**fields)
    with pytest.raises(RequestRefused):
        run(trigger())
    assert service.control.log.entries() == []


def test_bad_input_is_refused(service):
    """Nothing is sent."""
    for fields in ({"target_url": "ftp://x"}, {"mobile": {"app": "x"}}, {"platform": "fridge"}):
        with pytest.raises(RequestRefused, match=next(iter(fields))):
            run(trigger(**fields))
    assert service.control.log.entries() == []


def test_an_ignored_webhook_is_no_success(service):
    """It has started nothing."""
    body = {"received": True, "ignored": True, "reason": "the group is paused"}
    service.control.faults.add("wrong_shape", "trigger_group_webhook", body=body)
    with pytest.raises(RequestRefused, match="the group is paused"):
        run(trigger())


def test_it_is_never_retried():
    """Neither by its own parameter, nor by the DAG's defaults, nor when it is mapped."""
    with DAG("dag", schedule=None, default_args={"retries": 3}):
        mapped = TesterArmyTriggerGroupOperator.partial(task_id="mapped").expand(commit_sha=["a", "b"])
        assert (trigger().retries, mapped.retries) == (0, 0)
    assert trigger(retries=2).retries == 0


def test_every_field_that_is_data_is_templated():
    """A parameter that is not templated would fail this test."""
    assert own_parameters(TesterArmyTriggerGroupOperator) == set(
        TesterArmyTriggerGroupOperator.template_fields
    )
