"""Thousands of simulated worlds keep the promises, and worlds that once broke one keep it now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.judge import judge
from tests.simulation.plan import Plan, draw
from tests.simulation.plants import PLANTS
from tests.simulation.world import Simulation

FOUND = Path(__file__).parent / "found"
ROOT = Path(__file__).parents[2]

#: Worlds of a usual run; continuous integration asks for more.
SEEDS = os.environ.get("TESTERARMY_SIMULATED_WORLDS", "2000")


def simulate(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as `make simulate` does."""
    command = [sys.executable, "-m", "tests.simulation", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def history(plan: Plan) -> list[tuple[float, str, str]]:
    simulation = Simulation(plan, keep_history=True)
    simulation.run()
    simulation.bury()
    return simulation.world.history


def test_no_world_breaks_a_promise():
    """Whatever is killed, paused, lost, late or cleared in them."""
    done = simulate("--seeds", SEEDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{int(SEEDS):,} worlds" in done.stdout


def test_a_run_ends_after_its_time_but_not_before_its_least_number():
    """Continuous integration runs what fits beside its other steps, and says how much that was."""
    done = simulate("--seeds", "400", "--minutes", "0", "--at-least", "150")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 worlds" in done.stdout
    assert "The other 200 were not started within 0 minutes." in done.stdout


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.json")), ids=lambda path: path.stem)
def test_a_world_that_broke_a_promise_keeps_it_now(path):
    """Each is the smallest world that showed a fault of the product, which was fixed then."""
    simulation = Simulation(Plan.from_json(json.loads(path.read_text())["plan"]))
    broken = judge(simulation.run())
    simulation.bury()
    assert broken == []


@pytest.mark.parametrize("seed", [3, 79, 1385])
def test_a_seed_makes_the_same_world_each_time(seed):
    """Down to the order of events."""
    assert history(draw(seed)) == history(draw(seed))


@pytest.mark.parametrize("name", PLANTS)
def test_every_plant_changes_one_line_that_is_there(name):
    """A product that has moved on is no excuse: the plant moves along."""
    assert PLANTS[name].source() != PLANTS[name].path.read_text()


def seed_that_finds(plant: str) -> str:
    """The seed of the first world that breaks a promise with this fault in the product."""
    done = simulate("--seeds", "2000", "--plant", plant)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout.partition("seed ")[2].partition(":")[0]


@pytest.mark.parametrize("name", ["completed-is-passed", "retry-replaces"])
def test_a_planted_fault_is_found(name):
    """These are found within a few hundred worlds; `make simulate-plants` tries all of them."""
    assert seed_that_finds(name)


def test_a_world_with_a_planted_fault_can_be_replayed():
    """It takes most of a minute to find the smallest world, so one fault is enough."""
    seed = seed_that_finds("kill-without-guard")
    again = simulate("--replay", seed, "--plant", "kill-without-guard")
    assert "breaks a promise; the smallest world that still does" in again.stdout, again.stderr
