from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def digests():
    """The output of `serialize.py` in three processes with different hash seeds."""
    found = []
    for seed in ("1", "2", "42"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-m", "tests.operators.serialize"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append([line for line in ended.stdout.splitlines() if line.startswith("DAG")])
    return found


def test_the_same_file_is_the_same_dag_in_every_process(digests):
    """With a different hash seed, each parse would otherwise create another DAG version."""
    assert len(digests[0]) == 40
    assert digests[0] == digests[1] == digests[2]
