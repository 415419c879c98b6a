from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.testerarmy import catalog

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_index_says_what_this_is(server):
    """The index page lists the API prefixes."""
    page = httpx.get(server.origin)
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.text
    assert "/screenshots/start.png" in page.text


def test_a_stopped_server_can_start_again(sandbox):
    """A restarted server has the same port and the same runs."""
    server = SandboxServer(sandbox)
    headers = {"Authorization": "Bearer sk_sandbox_key"}
    with server:
        url = server.url
        httpx.post(f"{url}/tests/{catalog.TEST_PASSES}/runs", headers=headers)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/runs", headers=headers)
    with server:
        assert len(httpx.get(f"{url}/runs", headers=headers).json()["runs"]) == 1


def test_unanswered_calls_do_not_hold_up_the_end(sandbox):
    """A server with a call that gets no response still stops."""
    sandbox.faults.add("timeout", times=-1)
    with SandboxServer(sandbox) as server, pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{server.url}/runs", timeout=0.1)


def test_many_clients_at_once(server, remote):
    """Each of many simultaneous submissions takes effect exactly once."""
    path = f"/groups/{catalog.GROUP_NIGHTLY}/runs"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: remote.post(path).json(), range(40)))
    told = [run_id for answer in answers for run_id in answer["runIds"]]
    assert sorted(told) == sorted(server.control.log.submitted_run_ids())
    assert len(set(told)) == 40 * 8


@pytest.fixture
def certificate(tmp_path):
    """A certificate for the loopback address and its key, in one file."""
    x509 = pytest.importorskip("cryptography.x509")
    from ipaddress import ip_address

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    path = tmp_path / "sandbox.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return str(path)


def test_tls(sandbox, certificate):
    """With a certificate the server uses TLS, its links are https, and it can still reset connections."""
    trusting = ssl.create_default_context(cafile=certificate)
    headers = {"Authorization": "Bearer sk_sandbox_key"}
    with (
        SandboxServer(sandbox, certfile=certificate, keyfile=certificate) as server,
        httpx.Client(base_url=server.url, verify=trusting, headers=headers) as client,
    ):
        assert server.url.startswith("https://127.0.0.1:")
        client.post(f"/tests/{catalog.TEST_PASSES}/runs")
        sandbox.clock.advance(60)
        run = client.get("/runs").json()["runs"][0]
        assert run["output"]["screenshots"][0].startswith(server.origin)
        sandbox.faults.add("reset_after", "trigger_test")
        with pytest.raises(httpx.TransportError):
            client.post(f"/tests/{catalog.TEST_PASSES}/runs")
    assert len(sandbox.log.submissions()) == 2


def test_the_command_prints_its_address_and_ends_on_sigterm():
    """The command prints its URLs in one line, and exits with code 0 on SIGTERM."""
    command = [
        sys.executable,
        "-m",
        "airflow_provider_testerarmy.sandbox",
        "--port",
        "0",
        "--api-key",
        "sk_x",
    ]
    with subprocess.Popen(
        [*command, "--manual-clock", "--clock-skew", "3600"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/api/v1", line)
            assert address, line
            answer = httpx.get(f"{address[0]}/runs", headers={"Authorization": "Bearer sk_x"})
            assert answer.json() == {"runs": [], "nextCursor": None}
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stdout.read() == ""
