"""How pytest-xdist spreads the tests over its processes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

REPOSITORY = Path(__file__).parents[1]


class OneAirflow(LoadScopeScheduling):
    """Gives each test to the next free process, but all files that start an Airflow to the same one.

    Two Airflows at once would slow each other down. The option ``--dist loadgroup`` has no effect with pytest 9.2
    and pytest-xdist 3.8: pytest ignores the group's name that xdist appends to the id of a test (measured).
    """

    def _split_scope(self, nodeid: str) -> str:
        return "airflow" if _starts_airflow(nodeid.partition("::")[0]) else nodeid


@cache
def _starts_airflow(file: str) -> bool:
    return "pytest.mark.integration" in (REPOSITORY / file).read_text()
