"""Webhook deliveries: who may send them, what they say to others, and what they change."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.hooks.deliveries import MAX_BODY, MOST_RUNS, is_secret_part, named_runs
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.runs.awaiting.hint_ring import MOST, add_to_ring, parse_ring
from airflow_provider_testerarmy.runs.awaiting.hints import hint_key
from airflow_provider_testerarmy.ui import app as module
from airflow_provider_testerarmy.ui import webhooks
from airflow_provider_testerarmy.ui.webhooks import ATTEMPTS, Deliveries, HintBuffer, _read_hook

SECRET = "part-of-the-address-0123456789"
SIGNING = "6b657920666f722074686520776562686f6f6b732e"
RUN = "6ecc0f0e-0000-4000-8000-000000000001"
BODY = json.dumps({"id": RUN, "status": "failed"}).encode()
DOCKET_BODY = (
    b'{"event":"test_group_run_failed","payload":{"id":12345,"status":"failed","tests":[{"id":678}]}}'
)


class Store:
    """The stored hints."""

    def __init__(self):
        self.text, self.writes, self.broken = None, 0, False

    def __call__(self, change):
        self.writes += 1
        if self.broken:
            raise OSError("database is locked")
        self.text = change(self.text)

    def keys(self):
        return set(parse_ring(self.text))


@pytest.fixture
def connect(monkeypatch):
    def set_connection(conn_id, conn_type="testerarmy", **extra):
        fields = {"conn_type": conn_type, "password": "sk_key", "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    monkeypatch.setenv("AIRFLOW__TESTERARMY__PUSH_HINTS", "True")
    set_connection("web", webhook_secret=SECRET)
    set_connection("mobile", "docket", webhook_secret=SIGNING)
    set_connection("closed")
    set_connection("short", webhook_secret="short")
    set_connection("postgres", "postgres", webhook_secret=SECRET)
    return set_connection


@pytest.fixture
def store(monkeypatch):
    held = Store()
    reads = []

    def read(conn_id):
        reads.append(conn_id)
        return _read_hook(conn_id)

    held.reads = reads
    monkeypatch.setattr(module, "deliveries", Deliveries(HintBuffer(held), read))
    return held


@pytest.fixture
def client(connect, store):
    with TestClient(module.app) as made:
        yield made


def stored(client, store, *, within=3.0):
    """What is stored after the buffer has been emptied."""
    end = time.monotonic() + within
    task = module.deliveries._buffer._task
    while task is not None and not task.done() and time.monotonic() < end:
        client.get("/view/history")
    return store.keys()


def sign(body, secret=SIGNING, at=None):
    at = str(int(time.time() if at is None else at))
    digest = hmac.new(bytes.fromhex(secret), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Docket-Signature": f"v1,t={at},s={digest}", "X-Docket-Idempotency-Key": "one"}


def test_a_delivery_is_a_hint(client, store):
    assert client.post(f"/hooks/web/{SECRET}", content=BODY).status_code == 202
    assert stored(client, store) == {hint_key("web", RUN)}


def test_a_signed_delivery_is_a_hint_for_the_group_and_its_runs(client, store):
    assert client.post("/hooks/mobile", content=DOCKET_BODY, headers=sign(DOCKET_BODY)).status_code == 202
    assert stored(client, store) == {hint_key("mobile", 12345), hint_key("mobile", 678)}


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("web", BODY, {}),
        (f"web/{SECRET}x", BODY, {}),
        (f"web/{SECRET[:-1]}", BODY, {}),
        (f"web/{SECRET.upper()}", BODY, {}),
        ("web/" + "x" * 5000, BODY, {}),
        ("short/short", BODY, {}),
        ("closed", BODY, {}),
        ("closed/None", BODY, {}),
        (f"closed/{SECRET}", BODY, {}),
        (f"unknown/{SECRET}", BODY, {}),
        (f"postgres/{SECRET}", BODY, {}),
        (f"mobile/{SIGNING}", DOCKET_BODY, {}),
        ("mobile", DOCKET_BODY + b" ", sign(DOCKET_BODY)),
        ("mobile", DOCKET_BODY, sign(DOCKET_BODY, "00" * 32)),
        ("mobile", DOCKET_BODY, sign(DOCKET_BODY, at=1)),
        ("mobile", DOCKET_BODY, {"X-Docket-Signature": "v1"}),
        ("web%0Ax/" + SECRET, BODY, {}),
    ],
)
def test_all_that_is_refused_has_one_answer(client, store, path, body, headers):
    """Nobody learns which connections exist, or how wrong a secret is."""
    answer = client.post(f"/hooks/{path}", content=body, headers=headers, follow_redirects=False)
    reference = client.post("/hooks/nobody/nothing", content=b"{}")
    assert (answer.status_code, answer.content, dict(answer.headers)) == (404, b"", dict(reference.headers))
    assert stored(client, store) == set()


@pytest.mark.parametrize("value", ["False", None])
def test_it_is_off_unless_switched_on(client, store, monkeypatch, value):
    if value is None:
        monkeypatch.delenv("AIRFLOW__TESTERARMY__PUSH_HINTS")
    else:
        monkeypatch.setenv("AIRFLOW__TESTERARMY__PUSH_HINTS", value)
    assert client.post(f"/hooks/web/{SECRET}", content=BODY).status_code == 404
    assert (stored(client, store), store.reads) == (set(), [])


def test_both_secrets_count_during_a_rotation(client, store, connect):
    new = "another-part-of-the-address-98765"
    connect("web", webhook_secret=f"{new}, {SECRET}")
    assert client.post(f"/hooks/web/{SECRET}", content=BODY).status_code == 202
    assert client.post(f"/hooks/web/{new}", content=BODY).status_code == 202
    connect("mobile", "docket", webhook_secret=f"{'ab' * 32},{SIGNING}")
    for secret in ("ab" * 32, SIGNING):
        headers = sign(DOCKET_BODY, secret)
        assert client.post("/hooks/mobile", content=DOCKET_BODY, headers=headers).status_code == 202


def test_a_repeated_delivery_is_one_hint(client, store):
    for _ in range(20):
        assert client.post(f"/hooks/web/{SECRET}", content=BODY).status_code == 202
    assert len(stored(client, store)) == 1
    assert store.writes <= 3


def test_a_large_body_is_refused(client, store):
    assert client.post(f"/hooks/web/{SECRET}", content=b" " * MAX_BODY + BODY).status_code == 413
    fits = BODY + b" " * (MAX_BODY - len(BODY))
    assert client.post(f"/hooks/web/{SECRET}", content=fits).status_code == 202


@pytest.mark.parametrize("body", [b"", b"x", b"[" * 60_000, b"null", b'{"id":[]}', b"\xff", b'{"id":1e999}'])
def test_a_body_without_runs_changes_nothing(client, store, body):
    assert client.post(f"/hooks/web/{SECRET}", content=body).status_code == 202
    assert stored(client, store) == set()


def test_too_many_deliveries_of_one_connection_are_refused(client, store, monkeypatch):
    """Those of another one are not."""
    monkeypatch.setattr(webhooks, "PER_SECOND", 0.001)
    answers = [client.post(f"/hooks/web/{SECRET}", content=BODY).status_code for _ in range(3)]
    assert answers == [202, 429, 429]
    assert client.post("/hooks/mobile", content=DOCKET_BODY, headers=sign(DOCKET_BODY)).status_code == 202


def test_made_up_names_do_not_read_the_database(client, store):
    for number in range(300):
        client.post(f"/hooks/made-up-{number}/{SECRET}", content=BODY)
    assert len(store.reads) <= 30
    assert len(module.deliveries._hooks) <= 256


def test_a_connection_is_not_read_for_each_delivery(client, store):
    for _ in range(3):
        client.post(f"/hooks/web/{SECRET}", content=BODY)
    assert store.reads == ["web"]


def test_no_secret_is_logged(client, store, connect, caplog):
    connect("odd", webhook_secret=SECRET)
    connect("broken", "docket", webhook_secret="not hexadecimal, but a secret")
    caplog.set_level(0)
    for path in (f"web/{SECRET}", f"odd/{SECRET}x", "broken"):
        client.post(f"/hooks/{path}", content=BODY, headers=sign(BODY))
    own = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider")]
    assert not [line for line in own if SECRET in line or "not hexadecimal" in line]


def test_a_database_that_is_locked_delays_at_most(client, store):
    """The delivery is answered nevertheless."""
    store.broken = True
    assert client.post(f"/hooks/web/{SECRET}", content=BODY).status_code == 202
    assert stored(client, store) == set()
    store.broken = False
    assert client.post(f"/hooks/web/{SECRET}", content=BODY).status_code == 202
    assert stored(client, store) == {hint_key("web", RUN)}
    assert store.writes <= ATTEMPTS + 3


def test_ten_thousand_forged_deliveries_need_little_memory():
    """Each with two hundred made-up ids."""
    held = Store()

    async def storm():
        buffer = HintBuffer(held)
        for number in range(10_000):
            buffer.add("web", json.dumps([{"id": f"{number}-{each}"} for each in range(5)]).encode())
        assert len(buffer._keys) <= MOST
        assert buffer._task is not None
        await buffer._task

    asyncio.run(storm())
    assert held.writes <= 2
    assert len(held.text) < 48 * 1024


# -- the parts


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["id", "runId", "x", "batch_id"]), inner)
        ),
    )
)
def test_no_body_breaks_the_search_for_ids(value):
    found = named_runs(json.dumps(value).encode())
    assert len(found) <= MOST_RUNS
    assert all(isinstance(each, str | int) for each in found)


def test_a_secret_part_is_compared_whole():
    assert is_secret_part(SECRET, [SECRET])
    assert not is_secret_part("", [SECRET])
    assert not is_secret_part("", ["short"])
    assert not is_secret_part("", [])
    assert not is_secret_part("short", ["short"])


@given(st.text(max_size=60), st.lists(st.from_regex(r"\A[A-Za-z0-9_-]{12}\Z"), max_size=5))
def test_a_ring_that_somebody_edited_counts_as_empty(text, keys):
    assert set(keys) <= set(parse_ring(add_to_ring(text, keys, time.time())))


def test_testerarmy_takes_no_signature_for_a_secret(connect):
    hook = TesterArmyHook("web")
    assert not hook.accepts_delivery("", sign(BODY), BODY, time.time())
