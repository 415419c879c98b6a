"""The sandbox against Schemathesis, which sends what the OpenAPI document allows, and what it does not."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from tests.contract.servers.specification import for_the_sandbox, specification

ROOT = Path(__file__).parents[3]
SCHEMATHESIS = ROOT / ".local" / "fuzz" / "bin" / "schemathesis"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "ignored_auth",
)


def test_every_answer_is_within_the_document(tmp_path):
    """No 5xx, no status, type or shape outside of it; and nothing invalid is accepted."""
    if not SCHEMATHESIS.exists():
        pytest.fail("Schemathesis is not installed; run make test-contract.", pytrace=False)
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(for_the_sandbox(specification())))
    with SandboxServer(Sandbox()) as server:
        command = [
            SCHEMATHESIS,
            "run",
            path,
            f"--url={server.origin}/api",
            f"--header=Authorization: Bearer {DEFAULT_API_KEY}",
            f"--checks={','.join(CHECKS)}",
            "--phases=examples,coverage,fuzzing",
            f"--max-examples={os.environ.get('EXAMPLES', '25')}",
            "--seed=1",
            "--continue-on-failure",
            "--no-color",
        ]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=900, check=False, cwd=tmp_path
        )
    if ended.returncode:
        pytest.fail(ended.stdout[-20_000:] + ended.stderr[-2_000:], pytrace=False)
