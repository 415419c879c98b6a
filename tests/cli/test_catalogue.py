"""The commands below `tests`, against the sandbox."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.catalogue.files import parse, schema
from tests.catalogue.conftest import PROJECT, folder

__all__ = ["folder"]

LOGIN = {"project_id": PROJECT, "title": "Login", "steps": [{"type": "act", "title": "Open it"}]}


def test_check_sends_no_request(command_line, folder, monkeypatch):
    """It needs no connection either, and shows everything that is wrong."""
    monkeypatch.delenv("AIRFLOW_CONN_TESTERARMY_DEFAULT")
    folder.write("a.md", "Login")
    assert "1 test in" in command_line.run("tests", "check", folder.path)
    folder.write("b.md", "Pay", platform="desktop")
    folder.write("c.md", "Cart", color="red")
    said = command_line.run("tests", "check", folder.path, code=1)
    assert "b.md: platform: it must be web or mobile." in said
    assert "c.md: 'color' is no field." in said
    assert "2 files of 3 cannot be used" in command_line.err
    (folder.path / "b.md").unlink()
    (folder.path / "c.md").unlink()
    (folder.path / "tests.lock.json").write_text("{")
    assert "The lock cannot be read" in command_line.refuse("tests", "check", folder.path)
    assert "is no folder" in command_line.refuse("tests", "check", folder.path / "typo")
    assert folder.service.control.log.entries() == []


def test_plan_and_apply(command_line, folder, monkeypatch):
    """The plan comes first, and apply asks."""
    folder.write("a.md", "Login", group="Nightly")
    words = ["tests", "plan", folder.path, "--project", PROJECT]
    assert [row["action"] for row in command_line.json(*words)] == ["create group", "create", "add to group"]
    command_line.run(*words, "--exit-code", code=2)
    assert folder.titled("Login") == []
    apply = ["tests", "apply", folder.path, "--project", PROJECT]
    monkeypatch.setattr("builtins.input", lambda _question: "n")
    command_line.run(*apply, code=1)
    assert folder.titled("Login") == []
    monkeypatch.setattr("builtins.input", lambda _question: "y")
    assert "Applied 3 of 3 actions." in command_line.run(*apply)
    assert len(folder.titled("Login")) == 1
    assert command_line.run("tests", "apply", folder.path) == "Nothing to do.\n"
    assert command_line.run("tests", "plan", folder.path) == "Nothing to do.\n"
    assert command_line.json("tests", "plan", folder.path) == []


def test_a_conflict_changes_nothing(command_line, folder):
    """Plan and apply show it; pull resolves it."""
    folder.write("a.md", "Login", owner="web")
    folder.sync()
    (test,) = folder.titled("Login")
    folder.hook.update_test(test.id, description="Somebody's")
    assert "CONFLICT" in command_line.run("tests", "plan", folder.path, code=1)
    assert "CONFLICT" in command_line.run("tests", "apply", folder.path, "--yes", code=1)
    assert "Nothing is changed." in command_line.err
    assert "Wrote 1 file." in command_line.run("tests", "pull", folder.path, "--yes")
    pulled = parse("a.md", (folder.path / "a.md").read_text())
    assert (pulled.description, pulled.owner) == ("Somebody's", "web")
    assert command_line.run("tests", "plan", folder.path) == "Nothing to do.\n"
    assert command_line.run("tests", "pull", folder.path) == "Nothing to pull.\n"


def test_a_pull_overwrites_no_file_that_changed_as_well(command_line, folder):
    folder.write("a.yaml.md", "Login")
    folder.sync()
    folder.hook.update_test(folder.titled("Login")[0].id, description="Somebody's")
    folder.write("a.yaml.md", "Login", "Open another page")
    assert "have both changed" in command_line.run("tests", "pull", folder.path, "--yes", code=1)
    command_line.run("tests", "pull", folder.path, "--yes", "--overwrite")
    assert parse("a.yaml.md", (folder.path / "a.yaml.md").read_text()).description == "Somebody's"


def test_a_pull_takes_over_tests(command_line, folder):
    """By their ids or all of them; a sync then has nothing to do."""
    (folder.path / "old.yaml").write_text("title: Old\nsteps: [Open it]\n")
    folder.sync()
    made = folder.hook.create_test(**LOGIN, description="- a list")
    words = ["tests", "pull", folder.path, "--yes", "--test"]
    assert "has no test" in command_line.refuse(*words, "50000000-0000-4000-8000-00000000dead")
    command_line.run(*words, made.id)
    assert parse("login.md", (folder.path / "login.md").read_text()).description == "- a list"
    assert folder.sync() == []
    command_line.run("tests", "pull", folder.path, "--yes", "--all")
    assert folder.sync() == []
    assert len(json.loads((folder.path / "tests.lock.json").read_text())["tests"]) == len(
        list(folder.hook.list_tests(PROJECT))
    )
    folder.hook.update_test(folder.titled("Old")[0].id, description="Somebody's")
    command_line.run("tests", "pull", folder.path, "--yes")
    assert parse("old.yaml", (folder.path / "old.yaml").read_text()).description == "Somebody's"


def test_a_test_that_no_file_can_describe_stays_at_the_service(command_line, folder):
    """With a kind of step that this version does not know; no file is written then."""
    made = folder.hook.create_test(**LOGIN)
    faults = folder.service.control.faults
    faults.add("edit", "list_tests", put={f"tests.{place(folder, made)}.steps.0.type": "hover"}, times=-1)
    said = command_line.refuse("tests", "pull", folder.path, "--yes", "--project", PROJECT, "--test", made.id)
    assert "cannot be written as a file" in said
    assert list(folder.path.iterdir()) == []


def place(folder, test):
    return [each.id for each in folder.hook.list_tests(PROJECT)].index(test.id)


def test_the_schema(command_line):
    assert command_line.run("tests", "schema") == schema()


@pytest.mark.parametrize("words", [["plan"], ["apply", "--yes"]])
def test_what_fails_is_one_line(command_line, folder, words):
    folder.write("a.md", "Login")
    command = ["tests", words[0], folder.path, *words[1:]]
    assert "Name the project" in command_line.refuse(*command)
    folder.service.control.faults.add("status", "list_tests", status=403, times=-1)
    assert "403" in command_line.refuse(*command, "--project", PROJECT)
