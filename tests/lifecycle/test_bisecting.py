"""Bisecting: a test that newly fails runs at the addresses of the nights since its last pass."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.exceptions import TestsFailed
from airflow_provider_testerarmy.runs.verdict.bisect import limit
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.test_memory import Nights
from tests.lifecycle.test_temporary_groups import temporary
from tests.lifecycle.tries import group, posts

pytestmark = pytest.mark.usefixtures("connections")

NEW = {"fail_on": "new"}
CART = catalog.TEST_CART
MODES = pytest.mark.parametrize("deferrable", [False, True])


def address(number):
    """Where the product of a night is deployed."""
    return f"https://n{number}.shop.example/"


def commit(number):
    """The commit of a night."""
    return f"{number}4f2d1c9aa"


def task_options(nights, number):
    """The parameters of the task of a night."""
    return {
        "gate": NEW,
        "memory_path": nights.memory,
        "target_url": address(number),
        "commit_sha": commit(number),
        "bisect": True,
    }


class Bisected(Nights):
    """Nights that each have an address and a commit of their own."""

    def __init__(self, service, monkeypatch, memory):
        super().__init__(service, monkeypatch)
        self.memory = memory

    def task(self, number, **options):
        """The task of a night."""
        return group(**task_options(self, number) | options)

    def run(self, task):
        """Run a night to its end, through the triggerer wherever it defers."""
        return self.to_end(task, self.night(task))

    def to_end(self, task, result):
        """Run the trigger wherever the task defers."""
        while isinstance(result, TaskDeferred):
            result = self.through_trigger(task)
        return result

    def until_broken(self, between=5, first_bad=3, **options):
        """A night on which the test passes, nights on which the service breaks it, and tonight's task.

        :param between: the nights without a result.
        :param first_bad: the first of them whose product is broken.
        """
        store = self.service.control.store
        self.run(self.task(1, **options))
        store.override_script(CART, "breaks")
        for number in range(2, 2 + between):
            self.run(self.task(number, **options))
        store.override_script(CART, "passes")
        for number in range(1 + first_bad, 3 + between):
            store.override_script(CART, "fails", address(number))
        self.service.control.log.clear()
        return self.task(2 + between, **options)

    def tried(self):
        """The address of each run of the search."""
        runs = self.service.control.store.runs
        found = [runs[run_id] for one in self.service.control.log.submissions()[1:] for run_id in one.run_ids]
        return [run.target_url for run in found if run.test.id == CART]

    @property
    def bisected(self):
        """What the summary of the newest try has on the test."""
        (entry,) = self.summary["bisected"]
        return entry


@pytest.fixture
def nights(service, monkeypatch, tmp_path):
    return Bisected(service, monkeypatch, tmp_path / "memory")


@MODES
def test_the_commit_that_broke_a_test_is_named(nights, service, deferrable):
    """Night 1 passes, night 7 fails, and night 4 was the first bad one."""
    ending = nights.run(nights.until_broken(deferrable=deferrable))
    assert isinstance(ending, TestsFailed)
    assert f"commit {commit(4)[:7]} broke it. First bad 2023-11-18 on commit {commit(4)[:7]}" in str(ending)
    entry = nights.bisected
    assert (entry["end"], entry["good"]["address"], entry["bad"]["commit"]) == (
        "found",
        address(3),
        commit(4),
    )
    assert entry["text"] == nights.summary["reasons"][0]
    assert nights.tried() == [one["address"] for one in entry["tried"]]
    assert (nights.tried()[0], temporary(service)) == (address(1), [])
    assert len(entry["tried"]) == posts(service) - 1 <= limit(5)
    assert (nights.summary["counts"]["failed"], nights.summary["counts"]["total"]) == (1, 4)


@MODES
@pytest.mark.parametrize("first_bad", range(1, 7))
def test_whatever_the_night(nights, first_bad, deferrable):
    """The product breaks on any of them."""
    nights.run(nights.until_broken(first_bad=first_bad, deferrable=deferrable))
    assert (nights.bisected["end"], nights.bisected["bad"]["commit"]) == ("found", commit(1 + first_bad))


def test_the_runs_of_a_search_are_no_runs_of_the_night(nights, service):
    """They are in no count, and neither among the tests nor in the memory."""
    nights.run(nights.until_broken())
    first = service.control.log.submissions()[0].run_ids
    assert nights.summary["run_ids"] == nights.xcoms["run_ids"] == list(first)
    assert {test["run_id"] for test in nights.summary["tests"]} == set(first)
    assert nights.summary["url"] == nights.xcoms["testerarmy_url"]
    summary = nights.run(nights.task(8))
    assert summary["verdict"] == "passed"
    assert "bisected" not in summary


def test_no_run_is_started_if_no_night_lies_between(nights, service):
    """The reason names the two neighbours."""
    ending = nights.run(nights.until_broken(between=0, first_bad=1))
    assert "nothing to bisect, because no night lies between. First bad 2023-11-16" in str(ending)
    assert (posts(service), nights.bisected["tried"]) == (1, [])


@pytest.mark.parametrize("there", ["https://next.shop.example/", "https://next.other.example/"])
def test_an_address_that_shows_another_product_is_not_tried(nights, service, there):
    """A later night has used it; or it is another site, and the service would type passwords into its pages."""
    task = nights.until_broken(**({"target_url": there} if "shop" in there else {}))
    task.target_url = there
    service.control.store.override_script(CART, "fails", there)
    assert "none of the 5 nights between has an address of its own" in str(nights.run(task))
    assert posts(service) == 1


def test_addresses_that_are_gone_widen_the_range(nights, service):
    """A failure of another step is no answer."""
    task = nights.until_broken(first_bad=3)
    for number in (3, 4):
        service.control.store.override_script(CART, "hostile", address(number))
    ending = nights.run(task)
    assert nights.bisected["end"] == "narrowed"
    assert "It broke after 2023-11-16 on commit 24f2d1c" in str(ending)
    assert "2 nights between could not be tested" in str(ending)
    assert "broke it" not in str(ending)


def test_an_address_that_answers_both_ways_is_said(nights, service):
    """The search does not guess."""
    task = nights.until_broken(first_bad=3)
    service.control.store.override_script(CART, "flaky", address(4))
    assert "It passes and fails at 2023-11-18 on commit 44f2d1c" in str(nights.run(task))
    assert (nights.bisected["end"], nights.summary["verdict"]) == ("flaky", "failed")


def test_a_failure_at_the_last_good_night_ends_the_search(nights, service):
    """Then no commit explains it, for example if the test itself was edited."""
    ending = nights.run(nights.until_broken(first_bad=0))
    assert "It now fails at 2023-11-15 on commit 14f2d1c at https://n1.shop.example/ too" in str(ending)
    assert nights.tried() == [address(1)]


def test_two_tests_that_broke_on_different_nights_share_the_rounds(nights, service):
    """Each has a result of its own, and a night that both need is one request."""
    task = nights.until_broken(first_bad=2)
    other = catalog.TEST_LOGIN
    service.control.store.override_script(other, "fails", address(7))
    nights.run(task)
    found = {entry["test_id"]: entry for entry in nights.summary["bisected"]}
    assert found[CART]["bad"]["commit"] == commit(3)
    assert found[other]["end"] == "nothing"
