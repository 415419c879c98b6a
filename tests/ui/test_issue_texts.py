"""Issues that say the same are one, whatever numbers, ids, times and quoted values they have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.ui.issue_texts import normalized


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Order #4711 is missing", "order #9 is missing."),
        ("Took 12.5 s", "Took 3 s"),
        ("Total is $1,299.00", "Total is $5"),
        ("Shown since 2026-11-26T02:00:00Z", "Shown since 2026-01-02 03:04"),
        ("Button 'Pay' does nothing", "Button 'Buy now' does nothing"),
        ('Expected "12"', 'Expected "a b"'),
        ("Expected „eins“", "Expected „zwei“"),
        ("See https://a.test/x?y=1 now", "See https://b.test now"),
        ("Run 10000000-0000-4000-8000-000000000009 hangs", "Run 20000000-0000-4000-8000-00000000000a hangs"),
        ("Commit 4f2d1c9a broke", "Commit 0badf00d1 broke"),
        ("Session ab-12-cd ended", "Session x9-77 ended"),
        ("10:15 is   wrong", "9:05 is wrong"),
    ],
)
def test_the_same_fault(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Login fails", "Logout fails"),
        ("It's not there, isn't it", "It's here, isn't it"),
        ("Sign-in fails", "Sign-out fails"),
        ("The button is dead", "The button is deaf"),
    ],
)
def test_other_faults(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """Normalizing what is normalized changes nothing that groups it."""
    assert normalized(text) == normalized(text.upper()) or text.upper().casefold() != text.casefold()
