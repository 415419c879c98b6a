"""The webhooks that the sandbox sends, over a real socket."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from airflow_provider_testerarmy.client.docket.webhooks import verify
from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.docket.catalog import BLUEPRINTS
from airflow_provider_testerarmy.sandbox.state import Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunRequest
from airflow_provider_testerarmy.sandbox.webhooks import RETRIES, WebhookSender

SECRET = "6b657920666f722074686520776562686f6f6b732e"


class Receiver(ThreadingHTTPServer):
    """Keeps what it receives; answers with the scripted statuses, then with 202."""

    def __init__(self, *statuses):
        self.received, self.statuses = [], list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append((self.path, dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 202)
                self.end_headers()

            def log_message(self, *_args):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def receiver():
    made = Receiver()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def sandbox():
    return Sandbox(SandboxClock(manual=True))


def send_all(sender):
    with httpx.Client(trust_env=False) as client:
        return [sender.deliver(client, delivery) for delivery in sender.due()]


def test_an_end_is_sent_once(sandbox, receiver):
    """To the run's own address, and to the project's."""
    run = sandbox.store.submit_prompt("passes", RunRequest(webhook_url=f"{receiver.url}/own"))
    sender = WebhookSender(sandbox, testerarmy_url=f"{receiver.url}/project")
    assert send_all(sender) == []
    sandbox.clock.advance(1000)
    assert send_all(sender) == [True, True]
    assert send_all(sender) == []
    assert [path for path, _, _ in receiver.received] == ["/own", "/project"]
    assert {json.loads(body)["id"] for _, _, body in receiver.received} == {run.id}
    assert run.webhook_status == "delivered"


def test_a_cancelled_run_has_ended_too(sandbox, receiver):
    run = sandbox.store.submit_prompt("passes", RunRequest())
    sandbox.store.cancel_run(run.id)
    sandbox.clock.advance(10)
    assert send_all(WebhookSender(sandbox, testerarmy_url=receiver.url)) == [True]
    assert json.loads(receiver.received[0][2])["status"] == "cancelled"


def test_docket_signs(sandbox, receiver):
    """As the client verifies it."""
    group = sandbox.docket.submit([next(iter(BLUEPRINTS))])
    sandbox.clock.advance(1000)
    sender = WebhookSender(sandbox, docket_url=receiver.url, docket_secret=SECRET)
    assert send_all(sender) == [True]
    (_, headers, body) = receiver.received[0]
    event = verify(body, headers["X-Docket-Signature"], SECRET, now=time.time())
    assert event.payload.id == group.id
    assert [each["id"] for each in event.payload.tests] == [run.id for run in group.runs]
    assert headers["X-Docket-Idempotency-Key"]


@pytest.mark.parametrize(("failures", "delivered"), [(1, True), (3, True), (4, False)])
def test_a_failed_delivery_is_repeated(sandbox, receiver, failures, delivered):
    """After one, two and four seconds, and no more."""
    receiver.statuses = [500] * failures
    run = sandbox.store.submit_prompt("passes", RunRequest(webhook_url=receiver.url))
    sandbox.clock.advance(1000)
    pauses = []
    assert send_all(WebhookSender(sandbox, sleep=pauses.append)) == [delivered]
    assert pauses == list(RETRIES[: min(failures, 3)])
    assert len({body for _, _, body in receiver.received}) == 1
    assert run.webhook_status == ("delivered" if delivered else "failed")


def test_a_receiver_that_is_down_fails_the_delivery_only(sandbox):
    run = sandbox.store.submit_prompt("passes", RunRequest(webhook_url="http://127.0.0.1:9/"))
    sandbox.clock.advance(1000)
    assert send_all(WebhookSender(sandbox, sleep=lambda _seconds: None)) == [False]
    assert run.webhook_status == "failed"


def test_it_sends_by_itself(sandbox, receiver):
    sandbox.store.submit_prompt("passes", RunRequest())
    with WebhookSender(sandbox, testerarmy_url=receiver.url):
        sandbox.clock.advance(1000)
        end = time.monotonic() + 10
        while not receiver.received and time.monotonic() < end:
            threading.Event().wait(0.01)
    assert len(receiver.received) == 1
