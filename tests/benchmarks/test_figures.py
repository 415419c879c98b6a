"""Percentiles and ratios."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import percentile, ratio

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("values", "percent", "result"),
    [
        ([7.0], 50, 7.0),
        ([7.0], 99, 7.0),
        ([4.0, 1.0, 3.0, 2.0], 50, 2.0),
        ([float(value) for value in range(1, 101)], 99, 99.0),
        ([float(value) for value in range(1, 201)], 99, 198.0),
        ([1.0] * 99 + [math.inf], 99, 1.0),
        ([1.0] * 98 + [math.inf] * 2, 99, math.inf),
    ],
)
def test_a_percentile_is_the_nearest_rank(values, percent, result):
    assert percentile(values, percent) == result


@given(VALUES, st.floats(0, 100))
def test_a_percentile_is_one_of_the_values_and_enough_of_them_do_not_exceed_it(values, percent):
    found = percentile(values, percent)

    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


def test_no_values_have_no_percentile():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("ours", "theirs", "result"), [(10, 40, 4.0), (40, 10, 0.25), (0, 5, math.inf), (0, 0, 1.0)]
)
def test_a_ratio_says_how_many_times_as_much_the_other_one_needs(ours, theirs, result):
    assert ratio(ours, theirs) == result
