"""A DAG that was written from `llms.txt` alone runs in the sandbox."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import REPOSITORY
from tests.docs.run_dags import result_of
from tests.docs.test_blocks import environment
from website.agents import short

DAG = Path(__file__).parent / "dags" / "from_llms.py"
#: What any author of DAGs knows.
KNOWN = {"task_id", "minutes", "tz"}


def test_llms_txt_names_all_that_the_dag_uses():
    """Every import, parameter and key."""
    text = short()
    tree = ast.parse(DAG.read_text())
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            used |= {alias.name for alias in node.names}
            used.add((node.module or "").removeprefix("airflow_provider_testerarmy."))
        elif isinstance(node, ast.keyword):
            used.add(node.arg or "")
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            used.add(str(node.slice.value))
        elif isinstance(node, ast.Dict):
            used |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
    assert len(used) > 15
    assert {name for name in used - KNOWN if name not in text} == set()


@pytest.mark.integration
def test_it_runs(tmp_path):
    """And passes: the group, the sensor, the prompt and the message."""
    path = tmp_path / "dags" / DAG.name
    path.parent.mkdir()
    path.write_text(DAG.read_text())
    ended = subprocess.run(
        [sys.executable, "-m", "tests.docs.run_dags", str(path)],
        env=environment(tmp_path / "airflow"),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    found = json.loads(result_of(path).read_text())
    assert found["state"] == "success", found
    assert set(found["tasks"].values()) == {"success"}
    assert found["started"] > 1
    assert found["active"] == 0
