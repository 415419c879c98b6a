"""A folder of test files, and commands on it against the sandbox."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.client.http.retry import ONCE
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.hooks.testerarmy_catalogue import HookRequests
from airflow_provider_testerarmy.lifecycle.catalogue import CatalogueSync
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.cli.command_line import CommandLine, connect

PROJECT = catalog.PROJECT_APP


class Folder:
    """A folder of test files."""

    def __init__(self, path, service):
        self.path, self.service = path, service
        self.hook = TesterArmyHook(policy=ONCE)

    def write(self, name, title, *steps, body="", **fields):
        """Write a Markdown file."""
        head = "".join(f"{field}: {value}\n" for field, value in {"title": title, **fields}.items())
        listed = "".join(f"{number}. {step}\n" for number, step in enumerate(steps or ("Open it",), 1))
        (self.path / name).write_text(f"---\n{head}---\n{body}\n\n{listed}")

    def open(self, **options):
        """A sync that does not wait."""
        given = {"pause": lambda _seconds: None, **options}
        return CatalogueSync(HookRequests(self.hook), str(self.path), PROJECT, **given)

    def sync(self, **options):
        """Plan and apply; the actions by kind and file."""
        sync = self.open()
        state = sync.read()
        plan = sync.plan(state, **options)
        sync.apply(state, plan, lambda _action: None)
        return [(str(action.kind), action.key or action.group) for action in plan.actions]

    def state(self):
        """Everything of the project that a sync can change, without ids."""
        tests = {test.id: test for test in self.hook.list_tests(PROJECT)}
        titles = {test_id: test.title for test_id, test in tests.items()}
        groups = [
            (
                group.name or "",
                sorted(titles[test.id] for test in self.hook.list_tests(PROJECT, group_id=group.id)),
            )
            for group in self.hook.list_groups(PROJECT)
        ]
        shown = [
            (test.title, test.description, test.enabled, [step.model_dump() for step in test.steps])
            for test in tests.values()
        ]
        return sorted(shown, key=repr), sorted(groups)

    def titled(self, title):
        """The tests with a title."""
        return [test for test in self.hook.list_tests(PROJECT) if test.title == title]


@pytest.fixture
def folder(tmp_path, service, monkeypatch):
    """A folder, and a connection to the sandbox."""
    connect(monkeypatch, host=service.url, password=DEFAULT_API_KEY)
    path = tmp_path / "tests"
    path.mkdir()
    found = Folder(path, service)
    yield found
    found.hook.close()


@pytest.fixture
def command_line(capsys):
    """The command line of this process."""
    return CommandLine(capsys)
