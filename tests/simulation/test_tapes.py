"""The simulation does what the real Airflow did: each tape is played in it, and the same comes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.simulation.replay import Replay, facts_of
from tests.simulation.sequence import draw

TAPES = sorted((Path(__file__).parent / "tapes").glob("*.json"))


@pytest.mark.parametrize("path", TAPES, ids=lambda path: path.stem)
def test_the_simulation_does_what_airflow_did(path):
    """States with their tries, max_tries and ids, the DAG run, triggerers, and what the service accepted."""
    tape = json.loads(path.read_text())
    replay = Replay(tape)
    replay.run()
    replay.bury()
    assert replay.facts() == facts_of(tape), draw(replay.world.history)


def test_there_are_tapes():
    """An empty folder would prove nothing."""
    assert len(TAPES) >= 12
