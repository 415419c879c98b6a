"""The service port: what the lifecycle needs of a vendor, in the lifecycle's own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from airflow_provider_testerarmy.runs.results import RunId, RunResult

T_co = TypeVar("T_co", covariant=True)


class Ask(Protocol[T_co]):
    """One question to the service, which a sender puts to it; opaque here but for its name."""

    @property
    def name(self) -> str:
        """What the question is called in logs."""

    @property
    def parse(self) -> Callable[[Any], T_co]:
        """How the answer is read."""


class Reply(Protocol[T_co]):
    """An answer, with the service's own clock where it gave it."""

    @property
    def value(self) -> T_co:
        """The answer itself."""

    @property
    def server_time(self) -> datetime | None:
        """The service's time of the answer, in whole seconds."""


class FaultKind(StrEnum):
    """What an unanswered question means for the lifecycle."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate limited"
    DENIED = "denied"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    REFUSED = "refused"


class ServiceFault(Exception):
    """A question that got no answer of use.

    :param may_have_effect: whether the service may have done what was asked all the same.
    :param retry_after: seconds that the service asked to wait.
    :param candidates: runs that an unusable answer to a submission named.
    :param batch_id: the batch that it named, empty without one.
    """

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        may_have_effect: bool = False,
        retry_after: float | None = None,
        candidates: tuple[RunId, ...] = (),
        batch_id: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.may_have_effect = may_have_effect
        self.retry_after = retry_after
        self.candidates = candidates
        self.batch_id = batch_id


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is to be started, checked and ready to send.

    :param kind: the vendor's word for it, e.g. ``group``.
    :param target: the id of what is run, empty where there is none.
    :param body: the request's body; not shown, because it may hold credentials.
    :param whole: False where only a record of it is left, without the body: what stems from it cannot be told.
    """

    kind: str
    target: str
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    whole: bool = field(default=True, repr=False)

    @property
    def label(self) -> str:
        """What a person calls it, e.g. ``group 3f0e...``."""
        return f"{self.kind} {self.target}".strip()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a look at the target before the submission learnt.

    :param project_id: where the runs will be listed, empty where it does not matter.
    :param title: the target's name.
    :param companions: tests that may run along without being listed, e.g. a preparation test.
    """

    project_id: str = ""
    title: str = ""
    companions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Submission:
    """What the service accepted: the ids that everything else hangs on.

    :param run_ids: every run, the rejected ones too.
    :param rejected_run_ids: runs that the service cancelled at once (a duplicate, a quota).
    :param batch_id: the batch of a group run, empty where there is none or where it is not known.
    :param adopted: found after an ambiguous answer instead of being answered.
    """

    run_ids: tuple[RunId, ...]
    rejected_run_ids: tuple[RunId, ...] = ()
    batch_id: str = ""
    adopted: bool = False

    @property
    def all_rejected(self) -> bool:
        """Whether there are runs, and the service rejected every one of them."""
        return bool(self.run_ids) and set(self.run_ids) == set(self.rejected_run_ids)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, none of them null."""
        return {
            "run_ids": list(self.run_ids),
            "rejected_run_ids": list(self.rejected_run_ids),
            "batch_id": self.batch_id,
            "adopted": self.adopted,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Submission:
        """The submission that :meth:`to_json` wrote.

        :raises KeyError, TypeError: for anything else.
        """
        return cls(
            tuple(data["run_ids"]),
            tuple(data.get("rejected_run_ids", ())),
            str(data.get("batch_id", "")),
            bool(data.get("adopted", False)),
        )


class Match(StrEnum):
    """Whether a run stems from a request, as far as its own fields tell.

    ``YES``: nothing that both say differs. ``MAYBE``: it is of the same target, and something differs. ``NO``: it
    is of another target, or something else is known to have started it.
    """

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A run as a list shows it.

    :param match: whether it can stem from the request that is looked for.
    """

    run: RunResult
    match: Match = Match.YES


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first; an empty cursor means it was the last part."""

    sightings: tuple[Sighting, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class Tests:
    """Part of the tests of a target: titles by id, and those of them that a run of the target includes."""

    __test__ = False

    titles: Mapping[str, str]
    runnable: frozenset[str]
    next_cursor: str = ""


class RunService(Protocol):
    """A vendor's service. Every method returns a question; none of them does I/O."""

    @property
    def vendor(self) -> str:
        """The vendor's name in messages."""

    @property
    def active_statuses(self) -> tuple[str, ...]:
        """The statuses of active runs by which lists can be filtered; empty where nothing can be listed."""

    @property
    def ended_statuses(self) -> tuple[str, ...]:
        """The statuses of ended runs by which lists can be filtered, the usual ones first."""

    @property
    def can_cancel(self) -> bool:
        """Whether a run can be cancelled at all."""

    def prepare(self, request: RunRequest) -> Ask[Scope] | None:
        """Look at the target: that it exists, that this key may see it, and what time it is there.

        None where the service offers no such look: the submission itself is the first question then.
        """

    def submit(self, request: RunRequest) -> Ask[Submission]:
        """Start it. The one question that must never be put twice blindly."""

    def fetch(self, run_id: RunId) -> Ask[RunResult]:
        """One run, whole."""

    def glance(self, run_id: RunId) -> Ask[RunResult]:
        """One run: what it is in the middle of or has come to, without issues, steps and pictures."""

    def list_by_status(self, status: str, cursor: str) -> Ask[Page]:
        """The account's runs in one status, newest first, each as :meth:`glance` has it."""

    def list_candidates(self, request: RunRequest, scope: Scope, cursor: str) -> Ask[Page]:
        """The newest runs among which those of the request would be."""

    def list_newest(self, request: RunRequest, scope: Scope) -> Ask[tuple[RunId, ...]]:
        """The ids of the newest few runs among which those of the request would be."""

    def examine(self, run_id: RunId, request: RunRequest) -> Ask[Sighting]:
        """One run, and whether it stems from the request."""

    def list_tests(self, request: RunRequest, scope: Scope, cursor: str) -> Ask[Tests] | None:
        """The tests behind a target that stands for several; None for a target that is one run."""

    def cancel_run(self, run_id: RunId) -> Ask[Any]:
        """Cancel one run."""

    def cancel_batch(self, batch_id: str) -> Ask[Any]:
        """Cancel what is active in a batch."""

    def some_tests(self, request: RunRequest, test_ids: Sequence[str]) -> tuple[RunRequest, ...] | None:
        """The fewest requests that together run exactly these tests of a request for several.

        None where some of them cannot be run that way, or where there are none.
        """

    def submission_url(self, submission: Submission) -> str:
        """Where a person looks at what was started; empty where that is not known."""
