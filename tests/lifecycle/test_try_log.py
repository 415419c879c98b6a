"""What earlier tries said stays readable, within limits, and never fails a task."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.exceptions import RequestRefused, TestsFailed
from airflow_provider_testerarmy.runs.verdict.tries import KEY, MAX_BYTES, MAX_TRIES, try_entry, with_entry
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.lifecycle.tries import group

pytestmark = pytest.mark.usefixtures("connections")
FLAKY = catalog.GROUP_FLAKY


def said(tries):
    return [(one["try"], one["verdict"]) for one in tries.store[KEY]["tries"]]


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_first_try_stays_readable_after_a_retry(tries, deferrable):
    """The retry passed; the failed test and its reason are still there."""

    def run(number):
        task = group(FLAKY, retry_failed_tests=True, deferrable=deferrable)
        ending = tries.execute(task, try_number=number, max_tries=2)
        return tries.through_trigger(task) if deferrable else ending

    assert isinstance(run(1), TestsFailed)
    assert run(2)["verdict"] == "passed"
    assert said(tries) == [(1, "failed"), (2, "passed")]
    first = tries.store[KEY]["tries"][0]
    assert first["tests"] == [{"title": "Live stock badge updates", "outcome": "failed"}]
    assert "Live stock badge updates" in " ".join(first["reasons"])
    assert first["counts"] == {"total": 2, "passed": 1, "failed": 1}


def test_a_clear_keeps_them(tries):
    """A clear starts anew, and what was said before stays."""
    tries.clear_number = 0
    tries.execute(group(catalog.GROUP_FAILING))
    tries.clear_number = 1
    tries.execute(group(catalog.GROUP_FAILING), try_number=2, max_tries=1)
    assert said(tries) == [(1, "failed"), (2, "failed")]


def test_a_try_without_a_verdict_says_why(tries, service):
    """The service refused the request."""
    assert type(tries.execute(group(catalog.UNKNOWN_ID))) is RequestRefused
    (only,) = tries.store[KEY]["tries"]
    assert (only["verdict"], "was not started" in only["reasons"][0]) == ("", True)


def test_the_first_try_needs_no_write_of_its_own(tries):
    """Each write is a request. Its entry is stored with the record that says that the task has concluded."""
    tries.execute(group(catalog.GROUP_FAILING))
    assert KEY not in tries.store
    assert tries.record["stage"] == "concluded"
    assert (tries.record["said"]["try"], tries.record["said"]["verdict"]) == (1, "failed")


def test_one_write_a_later_try_and_no_null(tries):
    """The task state store refuses null."""
    tries.execute(group(catalog.GROUP_FAILING))
    written = []

    def count(value):
        if "tries" in value:
            written.append(json.dumps(value))

    tries.store.on_set = count
    for number in (2, 3):
        tries.execute(group(catalog.GROUP_FAILING), try_number=number, max_tries=number - 1)
    assert len(written) == 2
    assert "null" not in written[1]
    assert said(tries) == [(1, "failed"), (2, "failed"), (3, "failed")]


def test_a_record_that_cannot_be_stored_does_not_take_the_entry_with_it(tries):
    """The list has it then."""

    def fail(value):
        if value.get("stage") == "concluded":
            raise RuntimeError("no API server")

    tries.store.on_set = fail
    tries.execute(group(catalog.GROUP_FAILING))
    assert said(tries) == [(1, "failed")]


@pytest.mark.parametrize("edited", ["text", {}, {"try": 1}, {"try": 1, "reasons": 1, "tests": []}])
def test_an_edited_entry_is_left_out(tries, edited):
    """Users can edit task state."""
    tries.execute(group(catalog.GROUP_FAILING))
    tries.record["said"] = edited
    tries.execute(group(catalog.GROUP_FAILING), try_number=2, max_tries=1)
    assert said(tries) == [(2, "failed")]


def test_a_store_that_fails(tries):
    """The verdict is the same."""

    def fail(value):
        if "tries" in value or "said" in value:
            raise RuntimeError("no API server")

    tries.store.on_set = fail
    assert tries.execute(group())["verdict"] == "passed"


def entry(number, size):
    tests = [{"title": "ü" * size, "outcome": "failed"} for _ in range(40)]
    reasons = ["ü" * size for _ in range(20)]
    counts = {"total": 40, "failed": 40}
    return try_entry(number, 1.0, {"verdict": "failed", "reasons": reasons, "tests": tests, "counts": counts})


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_the_list_is_bounded(size):
    """The newest try has its details, and the oldest ones go first."""
    held = None
    for number in range(1, 31):
        held = with_entry(held, entry(number, size))
        assert len(json.dumps(held).encode()) <= MAX_BYTES
        assert held["tries"][-1]["try"] == number
    assert 1 < len(held["tries"]) <= MAX_TRIES
    assert held["tries"][-1]["reasons"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["try", "tests", "reasons", "tries"]), inner)
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_an_edited_list_is_no_obstacle(value):
    """Users can edit task state."""
    for stored in (value, {"version": 1, "tries": value}, {"version": 1, "tries": [value]}):
        assert with_entry(stored, entry(3, 300))["tries"][-1]["try"] == 3
