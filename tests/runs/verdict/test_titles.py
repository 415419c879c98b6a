from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.service import RunRequest, Scope, ServiceFault, Tests
from airflow_provider_testerarmy.runs.verdict.titles import titles_of
from tests.runs.scripted import Port, World, script, transient

GROUP = RunRequest("group", "g")
TEST = RunRequest("test", "t")


def test_titles_of_a_group_come_from_all_pages():
    """A test without a title is left out."""
    pages = script(Tests({"a": "A", "b": ""}, frozenset(), "2"), Tests({"c": "C"}, frozenset()))
    world = World({"list_tests": pages})
    assert world.run(titles_of(Port(group=True), GROUP, "p")) == {"a": "A", "c": "C"}
    assert [question.args for question in world.asked] == [("",), ("2",)]


def test_the_title_of_a_test_is_that_of_the_target():
    """It is read once."""
    assert World({"prepare": Scope("p", "Checkout")}).run(titles_of(Port(), TEST, "p")) == {"t": "Checkout"}
    assert World({"prepare": Scope("p")}).run(titles_of(Port(), TEST, "p")) == {}


def test_a_name_is_not_worth_waiting_for():
    """The caller gets the fault immediately, without a retry."""
    world = World({"prepare": transient()})
    with pytest.raises(ServiceFault):
        world.run(titles_of(Port(), TEST, "p"))
    assert world.slept == []


def test_a_list_that_never_ends_is_given_up():
    """A service that repeats a cursor does not cause an endless loop."""
    world = World({"list_tests": Tests({"a": "A"}, frozenset(), "again")})
    assert world.run(titles_of(Port(group=True), GROUP, "p")) == {"a": "A"}
    assert len(world.asked) == 2
