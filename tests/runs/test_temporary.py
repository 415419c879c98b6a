"""The names of temporary targets."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.submission.stored import identity
from airflow_provider_testerarmy.runs.temporary import is_named_for, name_for

IDENTITIES = st.builds(
    identity,
    st.text(st.characters(exclude_characters="/"), max_size=250),
    st.text(max_size=20),
    st.text(st.characters(exclude_characters="/"), max_size=250),
    st.integers(-1, 2000),
)
NONCES = st.text("0123456789abcdef", min_size=12, max_size=12)


@given(IDENTITIES, IDENTITIES, NONCES)
def test_a_name_belongs_to_one_task_instance(own, other, nonce):
    """The service may store at most 255 characters, and might change other characters than these."""
    name = name_for(own, nonce)
    assert is_named_for(own, name)
    assert is_named_for(other, name) == (own == other)
    assert re.fullmatch(r"[A-Za-z0-9._ -]{1,255}", name)


def test_a_name_says_which_task():
    """A person who finds a group that is left knows whose it is."""
    name = name_for(identity("nightly", "manual__2026-01-01T00:00:00+00:00", "shop.tests", 3), "0" * 12)
    assert name.startswith("Airflow confirms nightly.shop.tests ")


@given(IDENTITIES, st.text(max_size=30))
def test_other_names_are_not_the_tasks(own, name):
    """Whatever somebody calls a group."""
    assert not is_named_for(own, name)
    assert not is_named_for(own, name_for(own, "0" * 12) + name + "0")
