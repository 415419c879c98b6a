"""The tables and the chart of what a task costs beyond Airflow itself."""

from __future__ import annotations

from xml.etree import ElementTree

from benchmarks import floor_chart, report
from benchmarks.floor import Round, cost_table, count_calls, table
from benchmarks.results import Results

SVG = "{http://www.w3.org/2000/svg}"


def test_the_table_has_medians_and_their_ratio():
    rounds = [
        Round("floor", 100, 9.0, 10.0),
        Round("ours", 100, 12.0, 10.0),
        Round("floor", 100, 10.0, 10.0),
        Round("ours", 100, 15.0, 20.0),
        Round("floor", 100, 50.0, 10.0),
        Round("ours", 100, 90.0, 20.0),
    ]
    assert table(rounds) == [
        "| tasks | what | floor, s | ours (times the floor), s |",
        "| --- | --- | --- | --- |",
        "| 100 | deferring | 10.0 | 15.0 (1.5) |",
        "| 100 | resuming | 10.0 | 20.0 (2.0) |",
    ]


def test_each_number_of_tasks_has_its_rows():
    rounds = [
        Round(name, tasks, 1.0, 1.0) for tasks in (300, 100) for name in ("databricks", "ours", "floor")
    ]
    found = table(rounds)
    assert [row.split("|")[1].strip() for row in found[2:]] == ["100", "100", "300", "300"]
    assert found[0].index("floor, s") < found[0].index("ours") < found[0].index("databricks")


def test_the_cost_is_that_of_one_task():
    """By process and by operator."""
    rounds = [
        Round("floor", 100, 1.0, 1.0, {"scheduler": 20.0, "triggerer": 1.0}, 0, {"xcoms": 100}),
        Round(
            "ours", 100, 1.0, 1.0, {"scheduler": 30.0, "triggerer": 2.0}, 450, {"xcoms": 500, "store": 300}
        ),
    ]
    assert cost_table(rounds) == [
        "| tasks | operator | scheduler, CPU ms | triggerer, CPU ms | requests | store | xcoms |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| 100 | floor | 200 | 10 | 0.0 | 0.0 | 1.0 |",
        "| 100 | ours | 300 | 20 | 4.5 | 3.0 | 5.0 |",
    ]


def test_calls_are_counted_in_the_log_of_the_api_server():
    """A heartbeat is no call of an operator, and neither is what a person or the benchmark asks."""
    log = (
        "... \x1b[36mpath\x1b[0m=\x1b[35m/execution/xcoms/dag/run/task/run_ids\x1b[0m status_code=201\n"
        "... path=/execution/task-instances/0190/heartbeat status_code=204\n"
        "... path=/execution/task-instances/0190/run status_code=200\n"
        "... path=/execution/health status_code=200\n"
        "... path=/api/v2/dags status_code=200\n"
        '{"path": "/execution/xcoms/dag/run/task/batch_id", "status_code": 201}\n'
        '{"path": "/execution/task-instances/0190/heartbeat", "status_code": 204}\n'
    )
    assert count_calls(log) == {"xcoms": 2, "task-instances": 1}


def rounds_of(names, sizes):
    cpu = {"api-server": 10.0, "scheduler": 20.0, "triggerer": 1.0}
    return [Round(name, tasks, 10.0, 10.0, cpu, 100) for tasks in sizes for name in names]


def test_the_chart_has_a_point_for_each_size_and_the_legend():
    """Our own marker is a circle."""
    drawn = ElementTree.fromstring(floor_chart.svg(rounds_of(("floor", "ours", "airbyte"), (10, 100, 300))))
    assert len(drawn.findall(f"{SVG}circle")) == 1 + 6 * 3


def test_what_was_not_measured_is_left_out():
    found = [*rounds_of(("floor", "ours"), (10, 100)), *rounds_of(("floor",), (300,))]
    drawn = ElementTree.fromstring(floor_chart.svg(found))
    assert len(drawn.findall(f"{SVG}circle")) == 1 + 6 * 2


def test_the_page_gets_the_tables_between_its_markers(tmp_path):
    """Nothing else of the page changes."""
    page, picture = tmp_path / "page.md", tmp_path / "images" / "tasks.svg"
    page.write_text(f"before\n{report.TASKS_BEGIN}old\n{report.TASKS_END}after\n")
    results = Results(rounds=rounds_of(("floor", "ours"), (10,)), machine={"cores": "2"})
    report.write_tasks(results, page, picture)
    text = page.read_text()
    assert text.startswith(f"before\n{report.TASKS_BEGIN}\nMedians of 1 rounds. Measured with: cores 2.\n")
    assert text.endswith(f"{report.TASKS_END}after\n")
    assert "| 10 | deferring | 10.0 | 10.0 (1.0) |" in text
    assert "old" not in text
    assert ElementTree.parse(picture).getroot().tag == f"{SVG}svg"


def test_results_survive_a_file(tmp_path):
    results = Results(rounds=rounds_of(("floor", "ours"), (10, 100)))
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json").rounds == results.rounds
