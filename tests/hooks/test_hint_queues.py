"""The queue of hints in a connection, and the runs that its messages name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.hooks.deliveries import MAX_BODY, MOST_RUNS, queued_runs
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook

BODY = json.dumps({"id": "run-1", "batchId": "batch-1"})
QUEUE = {"scheme": "redis+pubsub", "channels": ["testerarmy"]}


@pytest.fixture
def connect(monkeypatch):
    def set_connection(**extra):
        fields = {"conn_type": "testerarmy", "password": "sk_key", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_WEB", json.dumps(fields))
        return TesterArmyHook("web")

    return set_connection


@pytest.mark.parametrize("given", [QUEUE, json.dumps(QUEUE)], ids=["JSON", "the form's text"])
def test_the_queue_of_a_connection(connect, given):
    assert connect(hints_queue=given).hints_queue == QUEUE


@pytest.mark.parametrize("given", [None, ""])
def test_a_connection_without_a_queue(connect, given):
    assert connect(hints_queue=given).hints_queue is None


@pytest.mark.parametrize(
    "given", ["x", "[]", "{}", {"scheme": 1}, 7, "[" * 100_000, {"scheme": "a", "queue": "b"}]
)
def test_a_wrong_queue_is_refused_before_a_run_starts(connect, given):
    hook = connect(hints_queue=given)
    with pytest.raises(RequestInvalid, match="hints_queue in the extra of the connection 'web'"):
        hook.asker()


@pytest.mark.parametrize(
    "message",
    [
        BODY,
        BODY.encode(),
        {"type": "message", "channel": "testerarmy", "data": BODY},
        {"status": "success", "message_batch": [{"MessageId": "m", "Body": BODY}]},
        {"message_batch": [{"Body": json.dumps({"Type": "Notification", "Message": BODY})}]},
        json.loads(BODY),
    ],
    ids=["text", "bytes", "Redis", "SQS", "SNS to SQS", "JSON"],
)
def test_the_runs_of_a_message(message):
    assert {"run-1", "batch-1"} <= set(queued_runs(message))


@pytest.mark.parametrize(
    "message",
    [
        None,
        7,
        "",
        "x",
        "[" * 60_000,
        b"\xff",
        {"data": " " * MAX_BODY + BODY},
        [[[[[[[[[[{"id": "deep"}]]]]]]]]]],
    ],
)
def test_a_message_without_runs(message):
    assert queued_runs(message) == ()


def test_a_batch_is_bounded():
    bodies = [json.dumps([{"id": f"{number}-{each}"} for each in range(999)]) for number in range(99)]
    assert len(queued_runs({"message_batch": [{"Body": body} for body in bodies]})) == MOST_RUNS


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "runId", "Body"]), inner),
    )
)
def test_no_message_breaks_the_search(message):
    assert all(isinstance(each, str | int) for each in queued_runs(message))
