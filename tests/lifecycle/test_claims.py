from __future__ import annotations

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle import claims
from airflow_provider_testerarmy.lifecycle.claims import AGAIN_AFTER, ATTEMPTS, TaskClaims, claim_patiently
from airflow_provider_testerarmy.runs.submission.lookup import CLAIM_SETTLES
from tests.runs.scripted import World


class Variables(dict):
    """Airflow's Variables, which refuse the next writes."""

    refused = 0

    def write(self, key, value, _description):
        self.refused -= 1
        if self.refused >= 0:
            raise OSError("disk full")
        self[key] = value


@pytest.fixture
def variables(monkeypatch):
    """The Variables that claims are written to."""
    stored = Variables()
    monkeypatch.setattr(airflow_compat, "set_variable", stored.write)
    return stored


def test_a_refused_claim_is_stored_as_soon_as_airflow_takes_it(variables):
    """Before a task that looks for its own run could adopt this one, and see its claim uncontested."""
    variables.refused = 5
    world = World({})
    world.run(claim_patiently(TaskClaims("a", variables.get), ("r1",)))
    assert world.slept == [AGAIN_AFTER] * 5
    assert AGAIN_AFTER < CLAIM_SETTLES
    assert TaskClaims("b", variables.get).of_others(("r1",)) == {"r1"}


def test_a_claim_that_airflow_never_takes_does_not_fail_the_task(variables, caplog):
    """Tasks may not write Variables there. Only the first of many requests waits."""
    variables.refused = 10**6
    world, own = World({}), TaskClaims("a", variables.get)
    for run_id in ("r1", "r2", "r3"):
        world.run(claim_patiently(own, (run_id,)))
    assert world.slept == [AGAIN_AFTER] * ATTEMPTS
    assert "Airflow did not store that this task started run r3" in caplog.text


def test_a_process_that_cannot_write_claims_has_none_refused(variables):
    """The listener stops the runs that it finds, and claims none."""
    assert TaskClaims("a", variables.get, writes=False).claim(("r1",))
    assert variables == {}


def test_the_slowest_call_is_a_single_one(variables, monkeypatch):
    """A task that reads the claims of fifty runs has not met a slow Airflow."""
    now = iter(range(100))
    monkeypatch.setattr(claims.time, "monotonic", lambda: float(next(now)))
    own = TaskClaims("a", variables.get)
    assert own.of_others(tuple(f"r{number}" for number in range(20))) == frozenset()
    assert own.slowest == 1.0
    own.claim(("r1",))
    assert own.slowest == 1.0


def test_a_call_that_fails_late_was_slow(monkeypatch):
    now = iter([0.0, 9.0])
    monkeypatch.setattr(claims.time, "monotonic", lambda: next(now))

    def fail(_name):
        raise OSError("timed out")

    own = TaskClaims("a", fail)
    assert own.of_others(("r1",)) is None
    assert own.slowest == 9.0
