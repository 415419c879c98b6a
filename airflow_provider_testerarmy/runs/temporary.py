"""Temporary targets: groups that exist only while they run the tests of a confirming round, or of a search.

They are an optional part of the service port. A vendor without them implements :class:`RunService` alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from airflow_provider_testerarmy.runs.service import Ask, RunRequest

_BEGINNING: Final = "Airflow confirms"
_NONCE: Final = re.compile(r"[0-9a-f]{12}")
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class TemporaryTarget:
    """A temporary target of a task, as its record stores it until the target is deleted.

    :param name: unique, so that a target whose creation got no response can be found in a list.
    :param project_id: the project that contains it.
    :param target: its id; empty while it is unknown whether it was created.
    """

    name: str
    project_id: str
    target: str = ""

    @property
    def label(self) -> str:
        """Its name in messages."""
        return f"the temporary group {self.name!r}"


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a temporary target takes over from the target of a request.

    :param details: the vendor's fields, e.g. the preparation test.
    """

    project_id: str
    details: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class TemporaryTargets(Protocol):
    """The optional part of the port. Its methods build requests and do no I/O."""

    def blueprint(self, request: RunRequest) -> Ask[Blueprint] | None:
        """Read what a temporary target takes over; None if the request is for a single run."""

    def create_target(self, blueprint: Blueprint, name: str) -> Ask[str]:
        """Create a target without tests; the response is its id. Not idempotent."""

    def targets_named(self, project_id: str, name: str) -> Ask[tuple[str, ...]]:
        """The ids of the project's targets with exactly this name."""

    def name_of_target(self, target: str) -> Ask[str]:
        """The name of a target."""

    def add_test(self, target: str, test_id: str) -> Ask[Any]:
        """Add a test to a target. Idempotent."""

    def delete_target(self, target: str) -> Ask[Any]:
        """Delete a target. Its runs keep their results."""

    def on_target(self, request: RunRequest, target: str) -> RunRequest:
        """The same request for another target."""

    def on_deployment(self, request: RunRequest, address: str, commit: str) -> RunRequest | None:
        """The same request for another address and commit; None if the request itself has no address.

        :param commit: an empty text if it is unknown.
        """


def name_for(identity: str, nonce: str) -> str:
    """The name of a temporary target.

    :param identity: of the task instance, ``dag/run/task/map index``.
    :param nonce: 12 random hexadecimal digits.
    """
    return f"{_own_beginning(identity)}{nonce}"


def is_named_for(identity: str, name: str) -> bool:
    """Whether a name is one that this task instance gives. Users can edit the names in a record."""
    beginning = _own_beginning(identity)
    return name.startswith(beginning) and bool(_NONCE.fullmatch(name[len(beginning) :]))


def _own_beginning(identity: str) -> str:
    dag_id, _, rest = identity.partition("/")
    task_id = rest.rpartition("/")[0].rpartition("/")[2]
    # A service may store other characters in another form, and the name would not be found again.
    shown = _ODD.sub("_", f"{dag_id}.{task_id}")[:180]
    return f"{_BEGINNING} {shown} {hashlib.sha256(identity.encode('utf-8', 'replace')).hexdigest()[:8]}"
