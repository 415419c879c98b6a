"""The chart is well-formed SVG and shows the measurements."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from benchmarks.chart import Scale, svg
from benchmarks.measure import Measurement
from benchmarks.results import Results

ITEM = Measurement("testerarmy", 10, requests=100, connections=1, cpu=0.2, median=1.0, p99=2.0)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(*items):
    return ElementTree.fromstring(svg(Results({(item.contender, item.count): item for item in items})))


def test_a_point_is_drawn_for_every_number_and_the_legend():
    picture = drawn(ITEM, replace(ITEM, count=1000))

    assert len(picture.findall(f"{SVG}circle")) == 1 + 4 * 2


def test_what_has_no_number_is_left_out():
    picture = drawn(ITEM, replace(ITEM, count=100, p99=math.inf), replace(ITEM, count=1000, note="too slow"))

    assert len(picture.findall(f"{SVG}circle")) == 1 + 4 * 2 - 1


def test_nothing_measured_is_still_a_picture():
    assert drawn().tag == f"{SVG}svg"


@pytest.mark.parametrize(("value", "place"), [(1, 200), (10, 150), (100, 100), (0, 200)])
def test_a_scale_puts_powers_of_ten_at_equal_distances(value, place):
    assert Scale.over([100], 1, 200, 100)(value) == place
