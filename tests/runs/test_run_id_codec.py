from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_testerarmy.runs.run_id_codec import PACK_FROM, PackingUnknown, pack, unpack

IDS = st.uuids().map(str) | st.integers(1) | st.text(max_size=40)


@given(st.lists(IDS, max_size=60) | st.lists(st.uuids().map(str), min_size=PACK_FROM, max_size=200))
def test_ids_come_back_as_they_were(ids):
    """Through a database, which keeps JSON."""
    assert unpack(json.loads(json.dumps(pack(ids)))) == ids


def test_few_ids_stay_readable():
    ids = [str(UUID(int=number)) for number in range(PACK_FROM - 1)]
    assert pack(ids) == ids


def test_a_thousand_ids_take_little_more_than_half_of_the_space():
    ids = [str(UUID(int=number)) for number in range(1000)]
    assert len(json.dumps(pack(ids))) < 22 * 1024 < 0.6 * len(json.dumps(ids))


def test_an_id_that_would_not_come_back_the_same_is_left_as_it_is():
    ids = [str(UUID(int=number)).upper() for number in range(PACK_FROM, 3 * PACK_FROM)]
    assert pack(["A" * 8, *ids]) == ["A" * 8, *ids]


@pytest.mark.parametrize(
    "packed",
    [{}, {"zstd": "AAAA"}, {"uuids": 1}, {"uuids": "AAA="}, {"uuids": "no base64!"}, "text", None, 38],
)
def test_another_packing_is_named(packed):
    """A newer version of this package may have written the row."""
    with pytest.raises(PackingUnknown):
        unpack(packed)
