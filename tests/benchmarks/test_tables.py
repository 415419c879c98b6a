"""Targets compare with the best peer, and a missing measurement never counts as success."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks import report
from benchmarks.limit import Limited
from benchmarks.measure import Measurement
from benchmarks.results import Results, best, kept_up
from benchmarks.tables import tables, times
from benchmarks.targets import targets

INTERVAL = 5.0
OURS = Measurement(
    "testerarmy", 1000, requests=300, connections=4, cpu=0.5, median=1.0, p99=3.0, ended=200, memory=4096
)
QUICK = Measurement(
    "dbt-cloud", 1000, requests=4500, connections=4500, cpu=5.0, median=2.5, p99=5.0, ended=200
)
THRIFTY = Measurement(
    "databricks", 1000, requests=5000, connections=1000, cpu=3.0, median=2.6, p99=5.1, ended=200
)
MANY = replace(OURS, count=5000, cpu=2.0)
LIMIT = Limited(2000, 5.0, ended=200, requests=500, refused=30, seconds=40.0)


def results(*measurements, limited=LIMIT):
    return Results({(item.contender, item.count): item for item in measurements}, limited=limited)


def verdicts(found):
    return [line.reached for line in targets(found, INTERVAL)]


GOOD = results(OURS, QUICK, THRIFTY, MANY)


def test_every_target_is_reached_by_numbers_that_reach_it():
    assert verdicts(GOOD) == [True] * 9


@pytest.mark.parametrize(
    ("line", "worse"),
    [
        (0, {"requests": 451}),
        (1, {"connections": 9}),
        (2, {"cpu": 0.61}),
        (3, {"median": 2.51}),
        (4, {"p99": 6.01}),
        (4, {"p99": math.inf}),
        (5, {"missed": 1}),
        (5, {"failed": 1}),
    ],
)
def test_a_number_that_is_worse_misses_its_target(line, worse):
    found = results(replace(OURS, **worse), QUICK, THRIFTY, replace(MANY, cpu=2.0))

    assert verdicts(found)[line] is False


def test_the_best_peer_is_another_one_for_each_number():
    assert best([QUICK, THRIFTY], "requests") is QUICK
    assert best([QUICK, THRIFTY], "cpu") is THRIFTY


@pytest.mark.parametrize("fault", [{"missed": 1}, {"failed": 1}, {"p99": 10.1}, {"p99": math.inf}])
def test_a_peer_that_did_not_keep_up_sets_no_mark_while_another_one_did(fault):
    lame = replace(THRIFTY, requests=10, **fault)

    assert not kept_up(lame, INTERVAL)
    assert results(OURS, QUICK, lame).peers(1000, INTERVAL) == [QUICK]
    assert results(OURS, lame).peers(1000, INTERVAL) == [lame]


def test_a_peer_that_could_not_be_measured_is_shown_with_the_reason_and_never_compared_with():
    noted = Measurement("airbyte", 1000, note="did not start 1000 triggers in 65 s")
    found = results(OURS, QUICK, noted)

    assert found.peers(1000, INTERVAL) == [QUICK]
    assert any("did not start 1000 triggers" in line for line in report.plain(found, INTERVAL))


def test_more_cpu_per_run_with_more_runs_misses_the_target():
    assert verdicts(results(OURS, QUICK, replace(MANY, cpu=2.6)))[6] is False


@pytest.mark.parametrize(
    ("fault", "line"),
    [({"missed": 1}, 7), ({"failed": 1}, 7), ({"seconds": math.inf}, 8), ({"note": "x"}, 7)],
)
def test_a_loss_behind_the_limit_misses_the_target(fault, line):
    assert verdicts(results(OURS, limited=replace(LIMIT, **fault)))[line] is False


def test_what_was_not_measured_is_no_success():
    assert set(verdicts(Results())) == {None}


def test_a_peer_s_numbers_say_how_many_times_as_much_they_are():
    (table,) = [table for table in tables(GOOD, INTERVAL) if table.title == "1,000 waiting runs"]
    ours, peer = table.rows[0], table.rows[1]

    assert ours[1:5] == ["300", "4", "0.0", "0.50"]
    assert peer[1] == "4,500 (15x)"
    assert peer[4] == "5.00 (10x)"


def test_a_disturbed_measurement_and_a_server_that_was_the_brake_are_remarked():
    found = results(replace(OURS, others=0.7), replace(QUICK, server=0.95, missed=3))
    (table,) = [table for table in tables(found, INTERVAL) if table.title == "1,000 waiting runs"]

    assert table.rows[0][-1] == "disturbed: 0.7 cores busy elsewhere"
    assert table.rows[1][-1] == "3 events never came, server at 95% of a core"


@pytest.mark.parametrize(
    ("factor", "shown"), [(15.2, "15x"), (1.53, "1.5x"), (0.034, "0.03x"), (math.inf, "infinite")]
)
def test_a_factor_is_shown_in_few_digits(factor, shown):
    assert times(factor) == shown


def test_results_survive_being_kept(tmp_path):
    kept = results(replace(OURS, p99=math.inf), QUICK, limited=replace(LIMIT, seconds=math.inf))

    kept.save(tmp_path / "results.json")

    assert Results.load(tmp_path / "results.json") == kept


def test_the_page_keeps_the_words_around_the_results(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text(f"# Cost\n\nBefore.\n\n{report.BEGIN}The last time.\n{report.END}\nAfter.\n")

    for _ in range(2):
        report.write(GOOD, INTERVAL, page, tmp_path / "images" / "chart.svg")

    text = page.read_text()
    assert text.startswith("# Cost\n\nBefore.")
    assert text.endswith("After.\n")
    assert text.count("1,000 waiting runs") == 1
    assert "The last time" not in text


def test_a_page_without_a_place_is_not_touched(tmp_path):
    page = tmp_path / "performance.md"
    page.write_text("# Cost\n")

    with pytest.raises(report.NoPlaceError):
        report.write(GOOD, INTERVAL, page, tmp_path / "chart.svg")

    assert page.read_text() == "# Cost\n"
