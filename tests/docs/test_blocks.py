"""Every block of code in the documentation is executed here; `blocks.py` lists what is not, with its reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from airflow_provider_testerarmy.catalogue.files import parse
from airflow_provider_testerarmy.lifecycle.listed_tests import listed_tests
from airflow_provider_testerarmy.lifecycle.quarantine_file import read_quarantines
from tests.client.docket.test_webhooks import BODY, SECRET, sign
from tests.docs.blocks import ALL, NOT_CODE, REPOSITORY, Block, why_not_run
from tests.docs.run_dags import result_of
from tests.rig.database import SQLiteDatabase, run_migration
from tests.rig.settings import base_environment

DAGS = [block for block in ALL if block.is_dag]
SCRIPTS = [block for block in ALL if block.language == "python" and not block.is_dag]
CONSOLE = [(block, command) for block in ALL if block.language == "console" for command in block.commands]
#: Test files, which the DAG of their page syncs.
TEST_FILES = [
    block for block in ALL if block.page.name == "tests-as-code.md" and block.language in ("markdown", "yaml")
]
#: Pages that are followed from top to bottom, because their commands build on each other.
FOLLOWED = (
    "getting-started.md",
    "docket.md",
    "tutorial-nightly.md",
    "tutorial-deploy.md",
    "tutorial-mobile.md",
)
#: What the scripts of a page print.
PRINTED = {"docket.md": "test_group_run_failed 12345 failed\n"}
#: How many reports the DAGs leave in the object store.
OBJECTS = {"reports_to_s3": 2, "nightly_reports": 2}


def environment(home: Path) -> dict[str, str]:
    """An Airflow home with a database, and nothing else."""
    home.mkdir()
    env = base_environment(home)
    database = SQLiteDatabase(home / "airflow.db")
    database.prepare(lambda url: run_migration(url, env, home / "logs" / "migrate.log"))
    # The key that the page's reader has in a shell variable.
    return env | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url, "TESTERARMY_API_KEY": "sk_1"}


@pytest.fixture(scope="module")
def dag_runs(tmp_path_factory):
    """By block: how the run of its DAG ended."""
    folder = tmp_path_factory.mktemp("dags")
    paths = {}
    for number, block in enumerate(DAGS):
        paths[block] = folder / f"block_{number}.py"
        paths[block].write_text(block.text)
    (folder / "ui_tests").mkdir()
    for number, block in enumerate(TEST_FILES):
        suffix = "md" if block.language == "markdown" else "yaml"
        (folder / "ui_tests" / f"{number}.{suffix}").write_text(block.text)
    command = [sys.executable, "-m", "tests.docs.run_dags", *map(str, paths.values())]
    env = environment(folder / "airflow")
    ended = subprocess.run(
        command, env=env, cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    return {block: json.loads(result_of(path).read_text()) for block, path in paths.items()}


def test_there_is_no_other_kind_of_block():
    """A new language has to be executed, or put among those that are not, with a reason."""
    others = {block.language for block in ALL} - {"python", "console"}
    assert others <= set(NOT_CODE)


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "yaml"], ids=str)
def test_yaml_is_a_workflow_or_a_file_beside_a_dag(block: Block, tmp_path: Path):
    """A workflow has jobs. The others are quarantine files, lists of tests and test files."""
    document = yaml.safe_load(block.text)
    if block in TEST_FILES:
        assert parse("test.yaml", block.text).title == document["title"]
        return
    if not isinstance(document, list):
        assert document["jobs"]
        return
    if "id" in document[0]:
        (tmp_path / "tests.yaml").write_text(block.text)
        assert len(listed_tests("tests.yaml", [str(tmp_path / "dag.py")], ())) == len(document)
        return
    (tmp_path / "quarantine.yaml").write_text(block.text)
    declared = read_quarantines("quarantine.yaml", str(tmp_path / "dag.py"))
    assert (declared.fault, len(declared.quarantines)) == ("", len(document))


@pytest.mark.integration
@pytest.mark.parametrize("block", DAGS, ids=str)
def test_a_dag_runs_as_it_stands(block: Block, dag_runs):
    """And its tests pass."""
    found = dag_runs[block]
    assert found["state"] == "success", found
    assert not [state for state in found["tasks"].values() if state not in ("success", "skipped")]
    assert found["started"] > 0
    assert found["active"] == 0
    name = re.search(r"^def (\w+)\(\):$", block.text, re.MULTILINE)
    assert len(found["objects"]) == OBJECTS.get(name[1], 0)


@pytest.mark.integration
def test_the_comment_on_a_pull_request(dag_runs):
    """It carries the verdict, with the token of the connection."""
    ((path, token, body),) = [comment for found in dag_runs.values() for comment in found["comments"]]
    assert path == "/repos/acme/shop/issues/42/comments"
    assert token == "Bearer ghp_1"
    assert "Passed" in body


@pytest.mark.parametrize("block", SCRIPTS, ids=str)
def test_a_script_runs(block: Block, capsys):
    """With what its reader has at hand: a delivery of Docket."""
    delivery = {
        "raw_body": BODY,
        "headers": {"X-Docket-Signature": sign(BODY, int(time.time()))},
        "secret": SECRET,
    }
    exec(compile(block.text, str(block), "exec"), delivery)
    assert PRINTED.get(block.page.name, "") in capsys.readouterr().out


def test_the_make_targets_exist():
    """Every `make ...` in a block, and in the running text."""
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    in_blocks = [command.split()[1] for _, command in CONSOLE if command.startswith("make ")]
    in_text = [
        word
        for page in {block.page for block in ALL}
        for words in re.findall(r"`make ([a-z][a-z -]*)", page.read_text())
        for word in words.split()
    ]
    assert in_blocks
    assert {word for word in [*in_blocks, *in_text] if word not in targets} == set()


@pytest.mark.integration
@pytest.mark.parametrize("page", FOLLOWED)
def test_a_page_can_be_followed(page, tmp_path):
    """From top to bottom, on an Airflow that has a database and nothing else."""
    env = environment(tmp_path / "airflow")
    follow = [sys.executable, REPOSITORY / "tests" / "docs" / "follow.py", REPOSITORY / "docs" / page]
    ended = subprocess.run(
        follow, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
    if page == "getting-started.md":
        assert "Verdict: passed. 8 of 8 judged runs passed" in ended.stdout
        newest = max(Path("/tmp/first_tests").glob("*.html"), key=lambda path: path.stat().st_mtime)
        assert "Passed" in newest.read_text()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("block", "command"),
    [
        pytest.param(block, command, id=f"{block}-{number}")
        for number, (block, command) in enumerate(CONSOLE)
        if block.page.name not in FOLLOWED and not command.startswith("make ")
    ],
)
def test_a_command_works(tmp_path, block: Block, command):
    """Each on its own, in an Airflow home of its own."""
    if reason := why_not_run(command):
        pytest.skip(f"{command.split()[0]}: {reason}")
    assert command.startswith("airflow "), f"{block}: how is {command!r} to be tried?"
    env = environment(tmp_path / "airflow")
    ended = subprocess.run(
        ["bash", "-c", command], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
