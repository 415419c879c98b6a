"""Runs at the service: listed, shown, cancelled and watched, against the sandbox."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
import yaml

from airflow_provider_testerarmy.client.testerarmy import operations
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.docket.catalog import BLUEPRINT_PASSES
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.cli.command_line import connect

UNKNOWN = "10000000-0000-4000-8000-00000000dead"
WATCH = [
    sys.executable,
    "-W",
    "ignore",
    "-m",
    "airflow_provider_testerarmy",
    "runs",
    "watch",
    "--interval",
    "0.2",
]


@pytest.fixture(scope="module")
def fast():
    """A sandbox in which a run takes a moment."""
    with SandboxServer(Sandbox(SandboxClock(speed=400))) as server:
        yield server


@pytest.fixture
def started(fast, monkeypatch):
    """Starts a run of a test, and returns its id."""
    connect(monkeypatch, host=fast.url, password=DEFAULT_API_KEY)
    connect(monkeypatch, "docket_default", conn_type="docket", host=fast.docket_url, password=DEFAULT_API_KEY)

    def start(test_id=catalog.TEST_PASSES):
        return TesterArmyHook().send(operations.trigger_test_run(test_id)).run_id

    return start


def test_the_list_has_the_newest_runs_first(command_line, started):
    ids = [started(), started()]
    rows = command_line.json("runs", "list", "--limit", 2, "--test", catalog.TEST_PASSES)
    assert [row["run_id"] for row in rows] == ids[::-1]
    assert {"status", "outcome", "url", "started_at"} <= rows[0].keys()


@pytest.mark.parametrize("output", ["table", "plain", "yaml", "json"])
def test_every_format(command_line, started, output):
    run_id = started()
    text = command_line.run("runs", "list", "--limit", 1, "--output", output)
    assert run_id in text
    assert run_id in command_line.run("runs", "show", run_id, "--output", output)
    if output == "yaml":
        assert yaml.safe_load(text)[0]["run_id"] == run_id


def test_a_run_is_shown_with_what_failed(command_line, started):
    run_id = started(catalog.TEST_FAILS)
    command_line.run("runs", "watch", run_id, "--interval", "0.1", code=3)
    (row,) = command_line.json("runs", "show", run_id)
    assert row["outcome"] == "failed"
    assert row["issues"]
    assert "failed_step" in row


@pytest.mark.parametrize("output", ["table", "plain", "yaml", "json"])
def test_hostile_text_does_not_steer_the_terminal(command_line, started, output):
    """No escape codes, no markup of the console, and no second line."""
    run_id = started(catalog.TEST_HOSTILE)
    command_line.run("runs", "watch", run_id, "--interval", "0.1", code=None)
    for words in (["list", "--test", catalog.TEST_HOSTILE, "--limit", 1], ["show", run_id]):
        text = command_line.run("runs", *words, "--output", output)
        assert not re.search(
            "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text + command_line.err
        )


@pytest.mark.parametrize("output", ["table", "plain", "yaml", "json"])
def test_rows_are_cleaned(capsys, output):
    """Whatever part of the package they come from."""
    from airflow_provider_testerarmy.cli.output import print_rows

    print_rows([{"test": "shop\x1b[2J\u202e\r\nx", "issues": ["a\x9b1m\n"]}], output)
    printed = capsys.readouterr().out
    assert "shop[2J x" in printed
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|\\x1b|\\e|\\u", printed)


def test_markup_is_text(capsys):
    """Airflow's console would make a link of it."""
    from airflow_provider_testerarmy.cli.output import print_rows

    print_rows([{"test": "[link=https://evil.example]shop[/link] :bomb:\x1b[2J\r\n"}], "table")
    assert "[link=https://evil.example]shop[/link] :bomb:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["list", "--conn-id", "docket_default"], "Docket has no list"),
        (["list", "--limit", "0"], "at least 1"),
        (["list", "--status", "lost"], "--status must be one of queued"),
        (["list", "--conn-id", "nope"], "There is no connection 'nope'"),
        (["show", UNKNOWN], "TesterArmy does not know the run"),
        (["show", "12", "--conn-id", "docket_default"], "Docket does not know the run 12"),
        (["show", "x\x1b[2Jx", "--conn-id", "docket_default"], "is not a run of Docket"),
        (["cancel", "1", "--conn-id", "docket_default", "-y"], "Docket cannot cancel runs"),
        (["watch", UNKNOWN, "--interval", "nan"], "--interval must be a positive"),
        (["watch", UNKNOWN, "--timeout", "0"], "--timeout must be a positive"),
    ],
)
def test_a_mistake_is_one_line(command_line, started, words, why):
    assert why in command_line.refuse("runs", *words)


def test_a_rejected_key_is_one_line(command_line, fast, monkeypatch):
    connect(monkeypatch, host=fast.url, password="sk_wrong")
    for words in (["list"], ["show", UNKNOWN]):
        assert "401" in command_line.refuse("runs", *words)
    assert command_line.run("runs", "watch", UNKNOWN, "--interval", "0.1", code=1) == ""
    *_, last = command_line.err.splitlines()
    assert last.startswith("Error: The wait ended: ")
    assert "401" in last


def test_whatever_else_fails_is_one_line(command_line, started, monkeypatch):
    """Such as a secrets backend, or a database."""

    def fail(*_):
        raise RuntimeError("a\nb\x1b[2J [SQL: SELECT secret]")

    monkeypatch.setattr("airflow_provider_testerarmy.airflow_compat.read_connection", fail)
    assert command_line.refuse("runs", "list") == "Error: RuntimeError: a b[2J"


# -- cancel


def test_a_run_is_cancelled_once(command_line, started):
    run_id = started(catalog.TEST_ENDLESS)
    assert command_line.run("runs", "cancel", run_id, "--yes") == f"{run_id}: cancelled.\n"
    assert command_line.json("runs", "show", run_id)[0]["outcome"] == "cancelled"
    assert command_line.run("runs", "cancel", run_id, "--yes") == f"{run_id}: has ended before.\n"


def test_nothing_is_cancelled_without_a_yes(command_line, started, monkeypatch):
    run_id = started(catalog.TEST_ENDLESS)
    monkeypatch.setattr("builtins.input", lambda _: "")
    command_line.run("runs", "cancel", run_id, code=1)
    assert "Nothing is changed" in command_line.err
    assert command_line.json("runs", "show", run_id)[0]["outcome"] is None
    command_line.run("runs", "cancel", run_id, "-y")


def test_a_run_that_cannot_be_cancelled_is_named(command_line, started):
    """The others are cancelled all the same."""
    run_id = started(catalog.TEST_ENDLESS)
    text = command_line.run("runs", "cancel", UNKNOWN, run_id, "-y", code=1)
    assert f"{run_id}: cancelled." in text
    assert f"1 run ({UNKNOWN}) may still be active" in command_line.err
    assert command_line.json("runs", "show", run_id)[0]["outcome"] == "cancelled"


# -- watch


@pytest.mark.parametrize(
    ("test_id", "code", "verdict"),
    [
        (catalog.TEST_PASSES, 0, "passed"),
        (catalog.TEST_FAILS, 3, "failed"),
        (catalog.TEST_BREAKS, 4, "errored"),
        (catalog.TEST_CANCELLED, 4, "cancelled"),
        (catalog.TEST_SKIPPED, 4, "skipped"),
    ],
)
def test_watching_ends_with_the_verdict(command_line, started, test_id, code, verdict):
    run_id = started(test_id)
    (row,) = command_line.json("runs", "watch", run_id, "--interval", "0.1", code=code)
    assert row["run_id"] == run_id
    assert f"Verdict: {verdict}." in command_line.err


def test_runs_are_judged_together(command_line, started):
    ids = [started(), started(catalog.TEST_FAILS)]
    rows = command_line.json("runs", "watch", *ids, ids[0], "--interval", "0.1", code=3)
    assert [row["run_id"] for row in rows] == ids
    assert "finished" in command_line.err


def test_a_time_out_leaves_the_runs_active(command_line, started):
    run_id = started(catalog.TEST_ENDLESS)
    command_line.run("runs", "watch", run_id, "--interval", "0.1", "--timeout", "1", code=1)
    assert "Nothing is cancelled" in command_line.err
    assert command_line.json("runs", "show", run_id)[0]["outcome"] is None
    command_line.run("runs", "cancel", run_id, "-y")


def test_docket_is_watched_too(command_line, started):
    from airflow_provider_testerarmy.client.docket import operations as docket
    from airflow_provider_testerarmy.hooks.docket import DocketHook

    group = DocketHook().send(docket.trigger({"test_blueprint_ids": [BLUEPRINT_PASSES]}))
    ids = [run.id for run in group.test_runs]
    rows = command_line.json("runs", "watch", *ids, "--conn-id", "docket_default", "--interval", "0.1")
    assert [row["outcome"] for row in rows] == ["passed"]


def test_ctrl_c_leaves_the_runs_active_and_says_so(command_line, started):
    """As a process of its own, as a person has it."""
    run_id = started(catalog.TEST_ENDLESS)
    process = subprocess.Popen([*WATCH, run_id], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        first = process.stderr.readline()
        assert "0/1 finished" in first
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert f"Stopped watching. Nothing is cancelled: 1 run ({run_id})" in err
    assert "Traceback" not in err
    assert command_line.json("runs", "show", run_id)[0]["outcome"] is None
    command_line.run("runs", "cancel", run_id, "-y")


def test_a_terminal_gets_a_live_table(started):
    """It shows each run with its state, and is gone at the end."""
    run_ids = [started(catalog.TEST_HOSTILE), started()]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([*WATCH, *run_ids], stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    shown, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if not select.select([ours], [], [], 60)[0]:
            break
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    process.communicate(timeout=30)
    os.close(ours)
    text = shown.decode()
    assert "state" in text
    assert all(run_id in text for run_id in run_ids)
    # The table is drawn by moving the cursor and erasing lines; a title adds nothing to that.
    codes = {code[-1] for code in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]", text)}
    assert codes <= set("AKhlm")
    assert "\x1b]" not in text
