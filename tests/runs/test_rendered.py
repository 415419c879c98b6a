from __future__ import annotations

import uuid

import pytest

from airflow_provider_testerarmy.runs.rendered import is_nothing, listed

ID = uuid.UUID(int=7)


@pytest.mark.parametrize("value", [None, "", " ", "None", "NULL", " none ", "undefined"])
def test_nothing(value):
    """And the words that a template makes of it."""
    assert is_nothing(value)
    assert listed(value) == []


@pytest.mark.parametrize("value", [0, False, "0", "nothing", [], {}])
def test_something(value):
    """Falsy is not missing."""
    assert not is_nothing(value)


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("a", ["a"]),
        (" a , b,", ["a", "b"]),
        ('["a", 7]', ["a", 7]),
        ("('a', 'b')", ["a", "b"]),
        ("{'a'}", ["a"]),
        ("[a, b]", ["a", "b"]),
        ("set()", []),
        (str([ID]), [str(ID)]),
        ([["a"], [["b"]], "c,d"], ["a", "b", "c", "d"]),
        (range(2), [0, 1]),
        ({"a": 1}, [{"a": 1}]),
        ([None, "", "a"], ["a"]),
        ("[" * 10_000, []),
    ],
)
def test_a_list_of_items(value, items):
    """Nested, lazy, or as text."""
    assert listed(value) == items
