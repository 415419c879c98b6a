"""What a try compares with a record: what the task asks for, and the generation."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.submission.asked import UNKNOWN, Asked, Generation, asked_for, digest

BASE = Generation(2, 2, 0)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Generation(2, 2, 0), True),
        (Generation(3, 2, 0), False),
        (Generation(2, 1, 0), False),
        (Generation(2, 3, 0), False),
        (Generation(2, 2, 1), False),
        (Generation(2, UNKNOWN, UNKNOWN), True),
        (Generation(3, UNKNOWN, UNKNOWN), False),
        (Generation(2, 1, UNKNOWN), False),
    ],
)
def test_a_generation_is_another_one_when_any_known_number_differs(other, same):
    """None of the three alone tells a retry from a clear."""
    assert BASE.same(other) is same
    assert other.same(BASE) is same


def asked(**changes):
    fields = {"kind": "test", "target": "t", "body": {"mode": "fast"}} | changes
    return asked_for("hook", "conn", RunRequest(**fields), "gate")


@pytest.mark.parametrize(
    ("changes", "runs", "target"),
    [
        ({}, True, True),
        ({"body": {"mode": "deep"}}, False, True),
        ({"target": "u"}, False, False),
        ({"kind": "group"}, False, False),
        ({"whole": False}, True, True),
    ],
)
def test_runs_serve_what_asks_for_the_same(changes, runs, target):
    """A request without its body matches any body."""
    assert asked().same_runs(asked(**changes)) is runs
    assert asked().same_target(asked(**changes)) is target


def test_another_connection_is_another_target():
    """It may be another account."""
    assert not Asked("hook", "conn", "test", "t").same_target(Asked("hook", "other", "test", "t"))
    assert not Asked("hook", "conn", "test", "t").same_target(Asked("other", "conn", "test", "t"))


def test_the_gate_is_not_part_of_what_runs():
    """The gate only judges runs; changing it starts none."""
    one, other = (asked_for("hook", "conn", RunRequest("test", "t"), gate) for gate in ("a", "b"))
    assert one.same_runs(other)
    assert not one.same_gate(other)


@pytest.mark.parametrize("name", ["password", "Password", "secret", "token"])
def test_a_secret_leaves_no_trace(name):
    """Not even in the digest: a short password can be guessed from one."""
    bodies = [{"prompt": "p", "credentials": [{"username": "u", name: value}]} for value in ("1234", "5678")]
    one, other = (asked_for("h", "c", RunRequest("prompt", "", body), "") for body in bodies)
    assert one == other
    renamed = {"prompt": "p", "credentials": [{"username": "v", name: "1234"}]}
    assert asked_for("h", "c", RunRequest("prompt", "", renamed), "") != one


def test_a_digest_does_not_depend_on_the_order_of_fields():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})
    assert digest({"a": "\ud800"}) != digest({"a": "\ud801"})
