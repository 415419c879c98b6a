"""A sync that is killed at any of its requests, and run again: the end state is the same, nothing is made twice."""

from __future__ import annotations

import shutil

import pytest

from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from tests.catalogue.conftest import PROJECT
from tests.catalogue.killing import MOMENTS, Killer


def first(folder):
    """Nothing is at the service yet."""
    folder.write("login.md", "Login", "Open the page", "assert: The form is there", group="Nightly")
    folder.write("pay.md", "Pay", body="With a card.", group="Nightly")
    folder.write("old.md", "Old", enabled="false")


def second(folder):
    """Something of each kind has changed."""
    first(folder)
    folder.write("gone.md", "Gone")
    folder.write("moved.md", "Moved")
    folder.sync()
    folder.write("login.md", "Login", "Open the page", group="Weekly")
    folder.write("new.md", "New", groups="[Nightly, Weekly]")
    (folder.path / "moved.md").rename(folder.path / "elsewhere.md")
    (folder.path / "gone.md").unlink()


def without(folder):
    """A file is gone."""
    folder.write("gone.md", "Gone")
    folder.sync()
    (folder.path / "gone.md").unlink()


CASES = {"first": (first, []), "second": (second, ["--delete"]), "disabling": (without, [])}


def begin(folder, prepare):
    """The state before a sync, each time the same."""
    folder.service.control.reset()
    shutil.rmtree(folder.path)
    folder.path.mkdir()
    prepare(folder)


def apply(folder, options, at=0, moment="before"):
    """Run the command; its exit code and its requests."""
    with Killer(folder.service.url, at, moment) as killer:
        words = ["tests", "apply", str(folder.path), "--project", PROJECT, "--yes", *options]
        return killer.run(words, DEFAULT_API_KEY), killer.requests


def method(request):
    """What a request does; ids differ each time."""
    return request.partition(" ")[0]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("case", CASES)
def test_a_killed_sync_goes_on_where_it_was(folder, case, moment):
    """It dies before the service sees a request, or when the service has answered and nobody read the answer."""
    prepare, options = CASES[case]
    begin(folder, prepare)
    code, requests = apply(folder, options)
    assert code == 0
    expected = folder.state()
    deletes = {"delete": True} if options else {}
    assert folder.sync(**deletes) == []
    for number, request in enumerate(requests, 1):
        begin(folder, prepare)
        code, sent = apply(folder, options, number, moment)
        assert (code, method(sent[-1])) == (-9, method(request))
        folder.sync(**deletes)
        assert folder.state() == expected, f"killed {moment} {request}"
        assert folder.sync(**deletes) == [], f"killed {moment} {request}"
