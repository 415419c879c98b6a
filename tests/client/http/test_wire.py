from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_testerarmy.client.http.wire import Lenient, LenientTuple, NullableTuple, WireModel


class Part(WireModel):
    """An object with one vital field."""

    part_id: str
    size: Lenient[int] = None


class Whole(WireModel):
    """An object with everything."""

    name: Lenient[str] = None
    part: Lenient[Part] = None
    parts: LenientTuple[Part] = ()
    needed: NullableTuple[str] = ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def test_names_are_camel_case_on_the_wire():
    """And snake case here."""
    assert Part.model_validate({"partId": "a"}).part_id == "a"


def test_unknown_fields_are_ignored():
    """Unknown fields are ignored."""
    assert Part.model_validate({"partId": "a", "shape": {"new": []}}) == Part(part_id="a")


@pytest.mark.parametrize("value", [None, [], {}, "big", True, 1.5, "\ud83d"])
def test_what_is_lenient_reads_as_none(value):
    """Null or another type of a field that nothing depends on."""
    part = Part.model_validate({"partId": "a", "size": value})
    assert part.size in (None, 1)
    assert Whole.model_validate({"part": value}).part is None


def test_malformed_items_are_left_out_of_a_lenient_list():
    """The others stay, in their order."""
    parts = [{"partId": "a"}, None, 3, {"size": 1}, {"partId": "b", "size": "x"}]
    assert [part.part_id for part in Whole.model_validate({"parts": parts}).parts] == ["a", "b"]


@pytest.mark.parametrize("value", [None, {}, "text", 7])
def test_what_is_no_list_is_an_empty_lenient_list(value):
    """Null or another type."""
    assert Whole.model_validate({"parts": value}).parts == ()


def test_a_list_that_must_be_there_may_be_null_and_nothing_else():
    """A malformed id in it is not left out: it would be a run that nobody awaits."""
    assert Whole.model_validate({"needed": None}).needed == ()
    for value in ("text", [1], [None], {}):
        with pytest.raises(ValidationError):
            Whole.model_validate({"needed": value})


@given(name=JSON, part=JSON, parts=JSON)
def test_no_json_breaks_what_is_not_vital(name, part, parts):
    """Any value of an optional field can be parsed."""
    whole = Whole.model_validate({"name": name, "part": part, "parts": parts})
    assert whole.name in (name, None)


def test_answers_do_not_change():
    """What was parsed stays as it was."""
    with pytest.raises(ValidationError):
        Part(part_id="a").part_id = "b"
