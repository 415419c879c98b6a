from __future__ import annotations

import pytest

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle.claims import AGAIN_AFTER, ATTEMPTS, TaskClaims, claim_patiently
from airflow_provider_testerarmy.runs.submission.lookup import CLAIM_SETTLES
from tests.runs.scripted import World


@pytest.fixture
def variables(monkeypatch):
    """Airflow's Variables, which refuse as many writes as a test says."""
    stored = {}
    stored_after = {"refused": 0}

    def write(key, value, _description):
        stored_after["refused"] -= 1
        if stored_after["refused"] >= 0:
            raise OSError("disk full")
        stored[key] = value

    monkeypatch.setattr(airflow_compat, "set_variable", write)
    stored["refuse"] = lambda times: stored_after.update(refused=times)
    return stored


def test_a_refused_claim_is_stored_as_soon_as_airflow_takes_it(variables):
    """Before a task that looks for its own run could adopt this one, and see its claim uncontested."""
    variables["refuse"](5)
    world = World({})
    world.run(claim_patiently(TaskClaims("a", variables.get), ("r1",)))
    assert world.slept == [AGAIN_AFTER] * 5
    assert AGAIN_AFTER < CLAIM_SETTLES
    assert TaskClaims("b", variables.get).of_others(("r1",)) == {"r1"}


def test_a_claim_that_airflow_never_takes_does_not_fail_the_task(variables, caplog):
    """It matters only if another task with the same request loses an answer."""
    variables["refuse"](10**6)
    world = World({})
    world.run(claim_patiently(TaskClaims("a", variables.get), ("r1",)))
    assert world.slept == [AGAIN_AFTER] * ATTEMPTS
    assert "Airflow did not store that this task started run r1" in caplog.text


def test_a_process_that_cannot_write_claims_has_none_refused(variables):
    """The listener stops the runs that it finds, and claims none."""
    assert TaskClaims("a", variables.get, writes=False).claim(("r1",))
    assert "testerarmy_run:r1" not in variables
