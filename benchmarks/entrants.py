"""The operators that the part `whole` compares: one that only defers, ours, and those of the peers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from benchmarks import catalog
from benchmarks.contenders import PEERS
from benchmarks.stage import Stage, WorkerProcess
from benchmarks.whole import connection

DAGS = Path(__file__).with_name("dags")
FLOOR = "floor"
OURS = "ours"
#: All names, in the order of the tables.
NAMES = (FLOOR, OURS, *(peer.name for peer in PEERS))
#: Seconds within which a server replies.
_REPLY_SECONDS = 20.0


@dataclass(frozen=True)
class Entrant:
    """An operator that starts something, defers and resumes, and the service that it talks to.

    :param name: one of :data:`NAMES`.
    :param dag: the file of its DAG, whose id is the name of the file.
    :param connections: its Airflow connections, by id.
    :param conf: the conf of the DAG run of a round.
    :param end: ends what all tasks of a round wait for.
    :param requests: the number of requests to the service so far.
    """

    name: str
    dag: Path
    end: Callable[[int], object]
    connections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    conf: Callable[[int], dict[str, str]] = lambda _number: {}
    requests: Callable[[], int] = lambda: 0

    @property
    def dag_id(self) -> str:
        """The id of its DAG."""
        return "mapped_groups" if self.name == OURS else self.dag.stem


@contextmanager
def entrants(names: Sequence[str], runs: int, stage: Stage) -> Iterator[list[Entrant]]:
    """Start the services, all with TLS and one certificate.

    :param names: which entrants, of :data:`NAMES`.
    :param runs: the most runs that a peer starts.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(_entrant(name, runs, stage)) for name in NAMES if name in names]


def _entrant(name: str, runs: int, stage: Stage) -> Any:
    return {FLOOR: _floor, OURS: _ours}.get(name, _peer)(name, runs, stage)


@contextmanager
def _floor(name: str, _runs: int, _stage: Stage) -> Iterator[Entrant]:
    with tempfile.TemporaryDirectory() as folder:

        def file(number: int) -> Path:
            return Path(folder) / f"round-{number}"

        yield Entrant(
            name,
            DAGS / "floor.py",
            end=lambda number: file(number).touch(),
            conf=lambda number: {"file": str(file(number))},
        )


@contextmanager
def _ours(name: str, _runs: int, stage: Stage) -> Iterator[Entrant]:
    chain, key, _ = stage.certificates
    with SandboxServer(Sandbox(catalog=catalog.catalog()), certfile=str(chain), keyfile=str(key)) as service:
        yield Entrant(
            name,
            DAGS / "mapped.py",
            end=lambda _number: service.control.clock.advance(2 * catalog.RUN_SECONDS),
            connections={"testerarmy_default": connection(service)},
            requests=lambda: len(service.control.log),
        )


@contextmanager
def _peer(name: str, runs: int, stage: Stage) -> Iterator[Entrant]:
    (peer,) = (each for each in PEERS if each.name == name)
    with stage.server(name, runs) as (server, port):
        kind = name.replace("-", "_")
        yield Entrant(
            name,
            DAGS / f"{kind}.py",
            end=lambda _number: _ask(server, "end"),
            connections={f"{kind}_default": peer.connection(port)},
            requests=lambda: int(_ask(server, "count")["requests"]),
        )


def _ask(server: WorkerProcess, what: str) -> dict[str, Any]:
    server.order(what)
    return server.answer(_REPLY_SECONDS)
