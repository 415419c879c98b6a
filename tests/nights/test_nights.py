"""Thirty nights of one DAG on a real Airflow. Each of them is right: the state, the reasons, and the memory.

``make test-nights`` runs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY, Sandbox
from tests.nights import calendar
from tests.nights.script import BY_NUMBER, EXPIRED, NEW, NIGHTS, PHRASES, Night
from tests.nights.stage import SPEED, Stage, commit_of
from tests.nights.tests_of import TASKS, catalog, id_of
from tests.rig.airflow import LocalAirflow

pytestmark = pytest.mark.integration

KEPT = 20


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The nights, played up to the last one that a selected test needs."""
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    last = max(_number(spec.params) for spec in specs if spec is not None)
    home = tmp_path_factory.mktemp("nights")
    calendar.set_night(home, 1)
    with SandboxServer(Sandbox(SandboxClock(speed=SPEED), catalog=catalog())) as service:
        connections = {
            "testerarmy_default": {
                "conn_type": "testerarmy",
                "host": service.url,
                "password": DEFAULT_API_KEY,
            },
            "docket_default": {
                "conn_type": "docket",
                "host": service.docket_url,
                "password": DEFAULT_API_KEY,
            },
        }
        dags = [Path(__file__).parent / "dags" / "nights.py"]
        with LocalAirflow(dags, home=home, connections=connections, parallelism=6) as airflow:
            stage = Stage(airflow, service)
            stage.play(last)
            yield stage


nights = pytest.mark.parametrize("night", NIGHTS, ids=lambda night: night.run_id)
tasks = pytest.mark.parametrize("task", TASKS)


@tasks
@nights
def test_a_night_fails_when_something_is_new_and_says_so(stage: Stage, night: Night, task: str) -> None:
    """The state is right, and the reasons have exactly the phrases of this night."""
    seen = stage.seen[night.number, task]
    assert seen.state == night.state, seen.reasons
    assert {phrase for phrase in PHRASES if phrase in seen.reasons} == night.says, seen.reasons
    assert {each["test_id"]: each["standing"] for each in seen.summary["known"]} == {
        id_of(task, name): standing for name, standing in night.known.items()
    }


@tasks
@nights
def test_a_night_is_remembered_once(stage: Stage, night: Night, task: str) -> None:
    """Also one that was retried, or whose worker was lost; and none that could not read the memory."""
    assert _in_order(stage.seen[night.number, task].letters) == _in_order(_remembered(night.number))


@tasks
@nights
def test_a_night_starts_no_run_twice(stage: Stage, night: Night, task: str) -> None:
    """Only to confirm a failure that counts, or after an error of the service, is there a second request."""
    seen = stage.seen[night.number, task]
    assert seen.requests == night.requests
    lost = night.number == 19 and task == "worker"
    assert seen.tries == night.tries + lost


@tasks
@pytest.mark.parametrize("number", [7, 15, 22])
def test_a_new_failure_names_the_nights(stage: Stage, number: int, task: str) -> None:
    """The last good one and the first bad one, with their commits where the task knows them."""
    seen = stage.seen[number, task]
    with_commit = task == "triggerer"
    good, bad = (f" on commit {commit_of(each)}" if with_commit else "" for each in (number - 1, number))
    assert f"{NEW} {seen.date_before}{good}, first bad {seen.date}{bad}" in seen.reasons


@tasks
@pytest.mark.parametrize("number", [9])
def test_a_cleared_night_is_judged_beside_the_others(stage: Stage, number: int, task: str) -> None:
    """It stays between the nights 7 and 9, and the failure is known since night 7."""
    cleared = stage.cleared[8, task]
    assert (cleared.state, cleared.requests) == ("success", 1), cleared.reasons
    (known,) = [each for each in cleared.summary["known"] if each["standing"] == "known"]
    assert (known["test_id"], known["nights"]) == (id_of(task, "checkout"), 2)
    assert cleared.letters == _remembered(number)


@tasks
@pytest.mark.parametrize(("number", "nights_failed"), [(16, 2), (17, 3)])
def test_the_first_try_of_a_retried_night_is_no_night(
    stage: Stage, number: int, nights_failed: int, task: str
) -> None:
    """The cart has failed since night 15. Night 16 has two tries, and counts once."""
    (known,) = stage.seen[number, task].summary["known"]
    assert known["nights"] == nights_failed


@pytest.mark.parametrize("number", [17])
def test_airflow_has_forgotten_nights_that_the_gate_remembers(stage: Stage, number: int) -> None:
    """`airflow db clean` deletes DAG runs, and the memory stays."""
    assert {"night-01", "night-07"} <= stage.deleted
    assert "night-01" in [run_id for run_id, _ in stage.seen[number, "worker"].letters]


@tasks
@pytest.mark.parametrize("number", [30])
def test_a_person_ends_an_expired_quarantine(stage: Stage, number: int, task: str) -> None:
    """Night 30 passes when it is cleared after that."""
    cleared = stage.cleared[number, task]
    assert cleared.state == "success", cleared.reasons
    assert EXPIRED not in cleared.reasons
    assert cleared.summary["known"] == []


def _number(params: Mapping[str, Any]) -> int:
    """The night of a test. Nights 13 and 14 are played together."""
    number = params["night"].number if "night" in params else int(params.get("number", 1))
    return 14 if number == 13 else number


def _remembered(number: int) -> list[tuple[str, str]]:
    """What must be remembered after a night, the oldest first."""
    found = [(night.run_id, night.letters) for night in NIGHTS if night.number <= number and night.letters]
    if number == 13:
        found.append((BY_NUMBER[14].run_id, BY_NUMBER[14].letters))
    if number >= 23:
        # Its logical date is before that of night 22.
        late = next(each for each in found if each[0] == "night-23")
        found.remove(late)
        found.insert([each[0] for each in found].index("night-22"), late)
    return found[-KEPT:]


def _in_order(letters: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The nights 13 and 14 were judged at once, so either may come first."""
    at_once = sorted(each for each in letters if each[0] in ("night-13", "night-14"))
    rest = iter(at_once)
    return [next(rest) if each in at_once else each for each in letters]
