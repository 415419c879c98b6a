from __future__ import annotations

import pytest

from airflow_provider_testerarmy.sandbox.core import edits


def page():
    """A list response with two runs."""
    return {
        "runs": [
            {"id": "a", "createdAt": "2026-02-11T12:00:00.250Z", "input": {"prompt": " Look\n twice "}},
            {"id": "b", "createdAt": None, "input": {}},
        ]
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("runs.*.id", ["x", "x"]),
        ("runs.1.id", ["a", "x"]),
        ("runs.7.id", ["a", "b"]),
        ("tests.*.id", ["a", "b"]),
    ],
)
def test_a_value_is_put_where_the_path_leads(path, expected):
    """A path that does not exist changes nothing."""
    document = page()
    edits.put(document, path, "x")
    assert [run["id"] for run in document["runs"]] == expected


def test_the_last_key_of_a_put_may_be_new():
    """A field that the service has never sent appears."""
    document = {"runs": [{}]}
    edits.put(document, "runs.*.mood", None)
    assert document == {"runs": [{"mood": None}]}


def test_values_are_dropped():
    """All values that the path names are removed, from objects and from lists."""
    document = page()
    edits.drop(document, "runs.*.input.prompt")
    edits.drop(document, "runs.*.status")
    assert [run["input"] for run in document["runs"]] == [{}, {}]
    edits.drop(document, "runs.*")
    assert document == {"runs": []}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no_zone", "2026-02-11T12:00:00.250"),
        ("other_zone", "2026-02-11T17:30:00.250+05:30"),
        ("whole_seconds", "2026-02-11T12:00:00Z"),
        ("shift:-4", "2026-02-11T11:59:56.250Z"),
        ("shift:+60", "2026-02-11T12:01:00.250Z"),
    ],
)
def test_times_are_written_in_other_ways(name, expected):
    """A null stays null."""
    document = page()
    edits.change(document, "runs.*.createdAt", name)
    assert [run["createdAt"] for run in document["runs"]] == [expected, None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("strip", "Look\n twice"),
        ("squeeze", "Look twice"),
        ("upper", " LOOK\n TWICE "),
        ("lower", " look\n twice "),
        ("pad", "   Look\n twice \n"),
    ],
)
def test_texts_are_spelled_in_other_ways(name, expected):
    """A run without the field is not changed."""
    document = page()
    edits.change(document, "runs.*.input.prompt", name)
    assert [run["input"] for run in document["runs"]] == [{"prompt": expected}, {}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("repeat_first", ["a", "b", "a"]), ("drop_first", ["b"]), ("reverse", ["b", "a"])],
)
def test_lists_are_changed(name, expected):
    """An id is repeated or missing."""
    document = {"runIds": ["a", "b"]}
    edits.change(document, "runIds", name)
    assert document["runIds"] == expected


def test_a_number_becomes_text():
    """Docket's ids are integers; as text they are wrong."""
    document = {"test_run": {"id": 38001}}
    edits.change(document, "test_run.id", "text")
    assert document["test_run"]["id"] == "38001"


@pytest.mark.parametrize("name", ["earthquake", "shift:", "shift:soon"])
def test_unknown_changes_are_refused(name):
    """An unknown change is an error."""
    with pytest.raises(ValueError, match="unknown change"):
        edits.change_named(name)
