"""Sends the webhooks of both vendors when runs end, as the services do."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from airflow_provider_testerarmy.sandbox.testerarmy.engine import ended_at, status_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from airflow_provider_testerarmy.sandbox.docket.store import GroupRun
    from airflow_provider_testerarmy.sandbox.state import Sandbox

#: Seconds before a failed delivery is repeated.
RETRIES: Final = (1.0, 2.0, 4.0)
#: The time limit of a delivery in seconds.
TIMEOUT: Final = 10.0
#: Seconds between two searches for runs that have ended.
EVERY: Final = 0.05
#: The number of deliveries at once.
WIDTH: Final = 16


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook delivery.

    :param done: called with `delivered` or `failed`.
    """

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    done: Callable[[str], None] = lambda _status: None


class WebhookSender:
    """Sends deliveries from threads, between `with` and its end.

    TesterArmy's are unsigned, and go to the run's own `webhookUrl` and to the address of the project. Docket's are
    signed, and are sent once for each group run.

    :param testerarmy_url: the address for all TesterArmy runs; empty for none.
    :param docket_url: the address for all Docket group runs; empty for none.
    :param docket_secret: the secret that Docket signs with, in hexadecimal.
    :param sleep: waits before a repetition.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        testerarmy_url: str = "",
        docket_url: str = "",
        docket_secret: str = "",
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._testerarmy_url = testerarmy_url
        self._docket_url, self._docket_secret = docket_url, docket_secret
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._sent: set[str | int] = set()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="sandbox webhooks", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(TIMEOUT)

    def _run(self) -> None:
        with ThreadPoolExecutor(WIDTH) as pool, httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            while not self._stopped.is_set():
                for delivery in self.due():
                    pool.submit(self.deliver, client, delivery)
                self._stopped.wait(EVERY)

    def due(self) -> list[Delivery]:
        """The deliveries for the runs that have ended since the last call."""
        return [*self._testerarmy(), *self._docket()]

    def _testerarmy(self) -> Iterator[Delivery]:
        store, now = self._sandbox.store, self._sandbox.clock.time()
        with store.lock:
            ended = [run for run in store.runs.values() if run.id not in self._sent and ended_at(run) <= now]
        for run in ended:
            self._sent.add(run.id)
            body = {"id": run.id, "status": status_at(run, now), "batchId": run.batch_id}
            content = json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            if run.webhook_url:
                settle = lambda status, run=run: setattr(run, "webhook_status", status)  # noqa: E731
                yield Delivery(run.webhook_url, content, headers, settle)
            if self._testerarmy_url:
                yield Delivery(self._testerarmy_url, content, headers)

    def _docket(self) -> Iterator[Delivery]:
        if not self._docket_url:
            return
        store, now = self._sandbox.docket, self._sandbox.clock.time()
        with store.lock:
            groups = [group for group in store.group_runs.values() if group.id not in self._sent]
        for group in groups:
            if group.status(now) != "running":
                self._sent.add(group.id)
                yield self._signed(group, group.status(now))

    def _signed(self, group: GroupRun, status: str) -> Delivery:
        tests = [{"id": run.id} for run in group.runs]
        payload = {"id": group.id, "status": status, "name": group.name, "tests": tests}
        body = json.dumps({"event": f"test_group_run_{status}", "payload": payload}).encode()
        # The receiver compares this time with its own clock, not with the sandbox's.
        at = str(math.floor(time.time()))
        key = bytes.fromhex(self._docket_secret)
        digest = hmac.new(key, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Docket-Signature": f"v1,t={at},s={digest}",
            "X-Docket-Idempotency-Key": f"group-run-{group.id}",
        }
        return Delivery(self._docket_url, body, headers)

    def deliver(self, client: httpx.Client, delivery: Delivery) -> bool:
        """Send a delivery until an answer of 2xx, at most four times."""
        for pause in (*RETRIES, None):
            if self._attempt(client, delivery):
                delivery.done("delivered")
                return True
            if pause is not None:
                self._sleep(pause)
        delivery.done("failed")
        return False

    @staticmethod
    def _attempt(client: httpx.Client, delivery: Delivery) -> bool:
        try:
            return client.post(delivery.url, content=delivery.body, headers=delivery.headers).is_success
        except httpx.HTTPError:
            return False
