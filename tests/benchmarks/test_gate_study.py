"""The gate's study: one quarter of it, which has to come out as the page says."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from benchmarks import gate_report
from benchmarks.gate_study import BREAKAGES, FLAKY_RUNS, NIGHTS, POLICIES, TESTS, Suite, quarter, study


@pytest.fixture(scope="module")
def found():
    return study(1)


def test_no_breakage_is_missed(found):
    """Whatever the gate leaves out."""
    for quarters in found.values():
        assert [one.missed for one in quarters] == [0]
        assert len(quarters[0].delays) == BREAKAGES


def test_a_gate_that_confirms_and_quarantines_is_red_for_no_reason_less_often(found):
    """On the same flakes."""
    false = {name: quarters[0].nights.count("f") for name, quarters in found.items()}
    assert false["all"] >= false["new"] > false["new, confirm"] > false["new, confirm, quarantine"]
    assert false["new, quarantine"] < false["new"]


def test_without_flaky_tests_only_known_breakages_turn_a_night_red_for_nothing():
    """And `new` leaves none of those."""
    nights = {name: quarters[0].nights for name, quarters in study(1, flaky=False).items()}
    assert nights["all"].count("k") > 0
    assert "f" not in nights["all"]
    assert set(nights["new"]) == {".", "r"}


def test_the_flakes_are_as_many_as_published():
    """Of all runs, over the suites of the study."""
    rates = [rate for seed in range(20) for rate in Suite.of(seed).rates]
    assert sum(rates) / len(rates) == pytest.approx(FLAKY_RUNS, rel=0.05)
    assert sum(rate > 0 for rate in rates) == 20 * TESTS * 0.16


def test_the_same_seed_gives_the_same_quarter(found):
    """Nothing depends on the clock, or on who runs it."""
    assert quarter(Suite.of(0), POLICIES[1]) == found["new"][0]


def test_the_page_has_place_for_table_and_chart(found, tmp_path):
    """What stands around the markers stays."""
    page, picture = tmp_path / "page.md", tmp_path / "images" / "chart.svg"
    page.write_text(f"Before.\n\n{gate_report.BEGIN}\nearlier result\n{gate_report.END}\n\nAfter.\n")
    gate_report.write(found, found, page, picture)
    text = page.read_text()
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert "earlier result" not in text
    assert text.count("| `new, confirm, quarantine` |") == 2
    drawn = ElementTree.fromstring(picture.read_text())
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert f"{found['all'][0].nights.count('f')} false-red nights" in texts
    assert f"night {NIGHTS}" in texts


def test_the_page_of_the_repository_is_of_this_study():
    """Its table has a row for each gate, and no breakage missed."""
    page = gate_report.PAGE.read_text()
    for policy in POLICIES:
        assert len(re.findall(rf"^\| `{policy.name}` \| [\d.]+ \|", page, re.MULTILINE)) == 2
    assert page.count("| 0 of 240 |") == 2 * len(POLICIES)
