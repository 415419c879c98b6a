"""The client against Prism, which validates each request and makes up its answer from the OpenAPI document."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from airflow_provider_testerarmy.client.http.endpoint import Endpoint
from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.client.http.sender import SyncSender
from tests.contract.examples import EXAMPLES
from tests.contract.servers.specification import operations, specification

ROOT = Path(__file__).parents[3]
PRISM = ROOT / ".local" / "prism" / "node_modules" / ".bin" / "prism"
DOCUMENT = specification()
TIMES = 50


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module", params=[(), ("--dynamic",)], ids=["fixed", "random"])
def prism(request, tmp_path_factory) -> Iterator[SyncSender]:
    """A client of Prism, which answers with fixed or with random values."""
    if not PRISM.exists():
        pytest.fail("Prism is not installed; run make test-contract.", pytrace=False)
    folder, port = tmp_path_factory.mktemp("prism"), free_port()
    (folder / "openapi.json").write_text(json.dumps(DOCUMENT))
    command = [PRISM, "mock", "--errors", "--port", str(port), *request.param, folder / "openapi.json"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(port, process)
            endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", "sk_prism")
            with SyncSender(endpoint, policy=ONCE) as client:
                yield client
        finally:
            process.terminate()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until Prism answers."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("Prism did not start.")


@pytest.mark.parametrize("name", sorted(operations(DOCUMENT)))
def test_an_operation_is_accepted_and_its_answer_read(prism, name):
    """50 times; Prism refuses a request that the document does not allow with 422."""
    for number in range(TIMES):
        example = EXAMPLES[name][number % len(EXAMPLES[name])]
        operation = example()
        answer = prism.send(operation).value
        assert (answer is not None) is operation.has_answer
