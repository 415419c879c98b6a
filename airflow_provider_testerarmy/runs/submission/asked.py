"""What a task wants to be run, and in which generation: what a record is compared with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_testerarmy.runs.service import RunRequest

#: Fields of a body that are never stored, not even as a digest: a short password can be guessed from one.
SECRET_FIELDS: Final = frozenset({"password", "secret", "token"})
#: A number of a generation that nobody knows: an older record, or an Airflow that does not tell.
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Generation:
    """What tells a retry from a user's *clear*; no number alone does.

    A clear sets ``max_tries`` to ``try_number + retries``, which is the old number again once ``retries`` was
    lowered by the tries used. A clear of a running task whose worker is lost leaves it as it was. A clear of
    anything in the DAG run raises ``clear_number`` (measured on Airflow 3.3.2).

    :param max_tries: of the task instance.
    :param retries: of the task, as its DAG has it now.
    :param clear_number: of the DAG run.
    """

    max_tries: int
    retries: int = UNKNOWN
    clear_number: int = UNKNOWN

    def same(self, other: Generation) -> bool:
        """Whether no number that both know differs."""
        return all(
            UNKNOWN in pair or pair[0] == pair[1]
            for pair in zip(self.to_json(), other.to_json(), strict=True)
        )

    def surely_same(self, other: Generation) -> bool:
        """Whether both know every number, and none differs."""
        return UNKNOWN not in self.to_json() and self == other

    def to_json(self) -> list[int]:
        """As a list of numbers."""
        return [self.max_tries, self.retries, self.clear_number]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a task wants: computed from the rendered operator of each try. An empty field is not known.

    :param hook: the import path of the vendor's hook class.
    :param conn_id: the Airflow connection.
    :param kind: the vendor's word for what is run.
    :param target: the id of what is run.
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
        """Whether both run the same thing through one connection."""
        return (
            self.same_connection(other)
            and _equal(self.kind, other.kind)
            and _equal(self.target, other.target)
        )

    def same_runs(self, other: Asked) -> bool:
        """Whether runs of one serve the other: everything but the gate, which only judges them."""
        return self.same_target(other) and _equal(self.body, other.body)

    def same_gate(self, other: Asked) -> bool:
        """Whether what one gate let pass counts for the other."""
        return _equal(self.gate, other.gate)


def _equal(one: str, other: str) -> bool:
    return not one or not other or one == other


def asked_for(hook: str, conn_id: str, request: RunRequest | None, gate: str) -> Asked:
    """What a try wants.

    :param request: None for a task that only waits.
    :param gate: the digest of the gate.
    """
    if request is None:
        return Asked(hook, conn_id, gate=gate)
    body = digest(without_secrets(request.body)) if request.whole else ""
    return Asked(hook, conn_id, request.kind, request.target, body, gate)


def without_secrets(value: Any) -> Any:
    """A body without the fields that are secret."""
    if isinstance(value, Mapping):
        return {
            name: without_secrets(item) for name, item in value.items() if name.lower() not in SECRET_FIELDS
        }
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


def digest(value: Any) -> str:
    """A digest of JSON values that does not depend on the order of fields."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
