"""A folder of 1,000 tests: within the rate limit, with bounded memory, and with the same end after a kill."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from airflow_provider_testerarmy.hooks.testerarmy_catalogue import HookRequests
from airflow_provider_testerarmy.lifecycle import catalogue
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from tests.catalogue.conftest import PROJECT
from tests.catalogue.killing import Killer
from tests.cli.command_line import connect

# It takes longer than the other tests that start no Airflow.
pytestmark = pytest.mark.integration

COUNT, KILLED_AT, PER_SECOND = 1000, 500, 7
GROUPED = range(0, COUNT, 20)


class Watch:
    """A clock that only pauses move on, and the times of the requests by it."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        self.requests = []
        sync = functools.partial(catalogue.CatalogueSync, pause=self.pause, clock=lambda: self.now)
        monkeypatch.setattr(catalogue, "CatalogueSync", sync)
        for name in ("ask", "remove"):
            monkeypatch.setattr(HookRequests, name, self._noting(getattr(HookRequests, name)))

    def pause(self, seconds):
        self.now += seconds

    def most_in_a_second(self):
        """The highest number of requests in any second."""
        most, first = 0, 0
        for last, at in enumerate(self.requests):
            while at - self.requests[first] >= 1:
                first += 1
            most = max(most, last - first + 1)
        return most

    def _noting(self, send):
        def noted(requests, operation):
            self.requests.append(self.now)
            return send(requests, operation)

        return noted


def test_a_thousand_tests_with_a_kill_in_the_middle(folder, command_line, monkeypatch):
    """Checked, planned, applied, killed, and applied again with few requests a second."""
    for number in range(COUNT):
        groups = {"group": "Nightly"} if number in GROUPED else {}
        steps = ("Open it", f"assert: It is {number}")
        folder.write(f"{number:04}.md", f"Test {number:04}", *steps, **groups)
    words = [str(folder.path), "--project", PROJECT]
    assert f"{COUNT} tests in" in command_line.run("tests", "check", folder.path)
    assert len(command_line.json("tests", "plan", *words)) == 1 + COUNT + len(GROUPED)
    with Killer(folder.service.url, KILLED_AT, "after") as killer:
        assert killer.run(["tests", "apply", *words, "--yes"], DEFAULT_API_KEY) == -9
    extra = {"max_requests_per_second": PER_SECOND}
    connect(monkeypatch, host=folder.service.url, password=DEFAULT_API_KEY, extra=extra)
    watch = Watch(monkeypatch)
    said = command_line.run("tests", "apply", *words, "--yes")
    assert said.endswith("actions.\n")
    assert len(watch.requests) > COUNT - KILLED_AT
    assert watch.most_in_a_second() <= PER_SECOND + 1
    assert watch.now - 1000 >= (len(watch.requests) - 1) / PER_SECOND - 1e-6
    tests, groups = folder.state()
    made = [each for each in tests if each[0].startswith("Test 0")]
    assert [each[0] for each in made] == [f"Test {number:04}" for number in range(COUNT)]
    assert [each[3][1]["title"] for each in made] == [f"It is {number}" for number in range(COUNT)]
    assert ("Nightly", [f"Test {number:04}" for number in GROUPED]) in groups
    assert command_line.run("tests", "plan", *words) == "Nothing to do.\n"


MEASURED = """if True:
    import resource, sys
    from airflow_provider_testerarmy.cli.definition import main

    def apply(folder):
        main(["tests", "apply", folder, "--project", sys.argv[1], "--yes"])
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    small, large = map(apply, sys.argv[2:])
    print((large - small) / 1024)
"""


def test_a_thousand_large_tests_need_less_than_64_mib(folder, monkeypatch, tmp_path):
    """The peak of the process grows by less than that over a folder of one test."""
    text = "A sentence about what the customer sees here. " * 40
    for number in range(COUNT):
        folder.write(f"{number:04}.md", f"Test {number:04}", body=text)
    large, folder.path = folder.path, tmp_path / "small"
    folder.path.mkdir()
    folder.write("a.md", "Small")
    extra = {"max_requests_per_second": 10_000}
    connect(monkeypatch, host=folder.service.url, password=DEFAULT_API_KEY, extra=extra)
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(MEASURED), PROJECT]
    ended = subprocess.run(
        [*command, str(folder.path), str(large)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout.splitlines()[-1]) < 64
