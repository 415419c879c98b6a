"""What a task asks for and its generation; a try compares both with the record of earlier tries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_testerarmy.runs.service import RunRequest

#: Fields of a body that are never stored, not even in a digest: a short password can be guessed from its digest.
SECRET_FIELDS: Final = frozenset({"password", "secret", "token"})
#: Stands for an unknown number of a generation: in older records, and on versions of Airflow that lack it.
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Generation:
    """The numbers that distinguish a retry from a user's *clear*; none of them suffices alone.

    A retry leaves ``max_tries`` unchanged. A clear sets it to ``try_number + retries``. That is the old number if
    ``retries`` was lowered in the DAG by the number of tries used. If a running task is cleared and its worker is
    lost, ``max_tries`` does not change at all. Every clear in the DAG run raises ``clear_number``, also a clear of
    another task (all measured on Airflow 3.3.2).

    :param max_tries: of the task instance.
    :param retries: of the task in the current version of its DAG.
    :param clear_number: of the DAG run.
    """

    max_tries: int
    retries: int = UNKNOWN
    clear_number: int = UNKNOWN

    def same(self, other: Generation) -> bool:
        """Whether all numbers are equal, except those that one of the two lacks."""
        return all(
            # A record of version 1 has only `max_tries`, and Airflow 2 has no `clear_number`.
            UNKNOWN in pair or pair[0] == pair[1]
            for pair in zip(self.to_json(), other.to_json(), strict=True)
        )

    @property
    def counts_clears(self) -> bool:
        """Whether the DAG run counts its clears. A cleared task then has another generation."""
        return self.clear_number != UNKNOWN

    def to_json(self) -> list[int]:
        """As a list of numbers."""
        return [self.max_tries, self.retries, self.clear_number]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a task asks for, computed from the rendered operator in each try. An empty field is unknown.

    :param hook: the import path of the vendor's hook class.
    :param conn_id: the Airflow connection.
    :param kind: the vendor's word for what it runs.
    :param target: the id of what it runs.
    :param body: the digest of the request's body, without its secrets.
    :param gate: the digest of the gate.
    """

    hook: str
    conn_id: str
    kind: str = ""
    target: str = ""
    body: str = ""
    gate: str = ""

    def same_connection(self, other: Asked) -> bool:
        """Whether both use one connection."""
        return (self.hook, self.conn_id) == (other.hook, other.conn_id)

    def same_target(self, other: Asked) -> bool:
        """Whether both run the same target through the same connection."""
        return (
            self.same_connection(other)
            and _equal(self.kind, other.kind)
            and _equal(self.target, other.target)
        )

    def same_runs(self, other: Asked) -> bool:
        """Whether both need the same runs. The gate does not matter, because it only judges them."""
        return self.same_target(other) and _equal(self.body, other.body)

    def same_gate(self, other: Asked) -> bool:
        """Whether both judge by the same gate, so that earlier results still count."""
        return _equal(self.gate, other.gate)


def _equal(one: str, other: str) -> bool:
    # Records of version 1 lack some fields; an unknown one must not stop runs that are still needed.
    return not one or not other or one == other


def asked_for(hook: str, conn_id: str, request: RunRequest | None, gate: str) -> Asked:
    """What a try asks for.

    :param request: None for a task that only waits for runs.
    :param gate: the digest of the gate.
    """
    if request is None:
        return Asked(hook, conn_id, gate=gate)
    body = digest(without_secrets(request.body)) if request.whole else ""
    return Asked(hook, conn_id, request.kind, request.target, body, gate)


def without_secrets(value: Any) -> Any:
    """The body without its secret fields."""
    if isinstance(value, Mapping):
        return {
            name: without_secrets(item) for name, item in value.items() if name.lower() not in SECRET_FIELDS
        }
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


def digest(value: Any) -> str:
    """The SHA-256 of JSON values in hexadecimal; the order of fields does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
