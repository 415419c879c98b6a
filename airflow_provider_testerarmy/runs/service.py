"""The service port: the interface that each vendor's adapter implements for the lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from airflow_provider_testerarmy.runs.results import RunId, RunResult

T_co = TypeVar("T_co", covariant=True)


class Ask(Protocol[T_co]):
    """A request to the service as a value. Flows yield it; a sender sends it. Only its name is used here."""

    @property
    def name(self) -> str:
        """Its name in logs."""

    @property
    def parse(self) -> Callable[[Any], T_co]:
        """Converts the decoded response."""


class Reply(Protocol[T_co]):
    """A parsed response, with the service's time if the response has it."""

    @property
    def value(self) -> T_co:
        """The parsed response."""

    @property
    def server_time(self) -> datetime | None:
        """The service's time when it sent the response, in whole seconds."""

    @property
    def requests_per_second(self) -> float | None:
        """The rate that the service still allows; None if the response does not say."""


class FaultKind(StrEnum):
    """The kind of a failed request, as far as the lifecycle has to distinguish it."""

    TRANSIENT = "transient"
    RATE_LIMITED = "rate limited"
    DENIED = "denied"
    NOT_FOUND = "not found"
    CONFLICT = "conflict"
    REFUSED = "refused"


class ServiceFault(Exception):
    """A request failed, or its response is unusable.

    :param may_have_effect: whether the service may have processed the request despite the failure.
    :param retry_after: the seconds to wait that the service asked for.
    :param candidates: the run ids in an unusable response to a submission.
    :param batch_id: the batch id in that response, or an empty string.
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
    """A validated request to start runs.

    :param kind: the vendor's word for what it runs, e.g. ``group``.
    :param target: the id of what it runs, or an empty string if there is none.
    :param body: the request's body; not shown in ``repr``, because it may hold credentials.
    :param whole: False if the request comes from a record that did not store its body. Runs cannot be matched
        with such a request.
    :param commit: the commit that is tested, or an empty string if it is unknown. A record does not store it.
    :param address: the URL that is tested, or an empty string if the service knows it. A record does not store it.
    """

    kind: str
    target: str
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    whole: bool = field(default=True, repr=False)
    commit: str = field(default="", repr=False, compare=False)
    address: str = field(default="", repr=False, compare=False)

    @property
    def label(self) -> str:
        """Its name in messages, e.g. ``group 3f0e...``."""
        return f"{self.kind} {self.target}".strip()


@dataclass(frozen=True, slots=True)
class Scope:
    """What the adapter read about the target before the submission.

    :param project_id: the project whose list will contain the runs, or an empty string if it does not matter.
    :param title: the target's title.
    :param companions: tests that may run in addition to the listed ones, e.g. a preparation test.
    """

    project_id: str = ""
    title: str = ""
    companions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Submission:
    """The runs that a request started.

    :param run_ids: all of its runs, including the rejected ones.
    :param rejected_run_ids: runs that the service cancelled immediately (a duplicate, a quota).
    :param batch_id: the batch of a group run, or an empty string if there is none or it is unknown.
    :param adopted: whether the runs were found in a list because the response was lost.
    """

    run_ids: tuple[RunId, ...]
    rejected_run_ids: tuple[RunId, ...] = ()
    batch_id: str = ""
    adopted: bool = False

    @property
    def all_rejected(self) -> bool:
        """Whether the service rejected every run; False if there are no runs."""
        return bool(self.run_ids) and set(self.run_ids) == set(self.rejected_run_ids)

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON values without null: Airflow's task state store refuses null."""
        return {
            "run_ids": list(self.run_ids),
            "rejected_run_ids": list(self.rejected_run_ids),
            "batch_id": self.batch_id,
            "adopted": self.adopted,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Submission:
        """Convert back from the result of :meth:`to_json`.

        :raises KeyError, TypeError: for any other data.
        """
        return cls(
            tuple(data["run_ids"]),
            tuple(data.get("rejected_run_ids", ())),
            str(data.get("batch_id", "")),
            bool(data.get("adopted", False)),
        )


class Match(StrEnum):
    """Whether a request may have started a run, judged by the fields of the run.

    ``YES``: no field that both have differs. ``MAYBE``: the target is the same, but another field differs. ``NO``:
    the target differs, or something else started the run.
    """

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run from a list.

    :param match: whether the request in question may have started it.
    """

    run: RunResult
    match: Match = Match.YES


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list of runs, newest first; the cursor of the last page is empty."""

    listed_runs: tuple[ListedRun, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class Tests:
    """A page of the tests of a target: their titles by id, and the ids of those that a run of it includes."""

    __test__ = False

    titles: Mapping[str, str]
    runnable: frozenset[str]
    next_cursor: str = ""


class RunService(Protocol):
    """A vendor's service. Its methods build requests and do no I/O."""

    @property
    def vendor(self) -> str:
        """The vendor's name in messages."""

    @property
    def active_statuses(self) -> tuple[str, ...]:
        """The statuses of active runs, for filtering lists; empty if the API has no list of runs."""

    @property
    def ended_statuses(self) -> tuple[str, ...]:
        """The statuses of ended runs, for filtering lists; the most frequent one first."""

    @property
    def can_cancel(self) -> bool:
        """Whether the API can cancel runs."""

    def prepare(self, request: RunRequest) -> Ask[Scope] | None:
        """Read the target: checks that it exists and that the key may access it, and tells the service's time.

        None if the API has no such call. The submission is the first request then.
        """

    def submit(self, request: RunRequest) -> Ask[Submission]:
        """Start the runs. Not idempotent: after an unclear failure, never send it again without reconciling."""

    def fetch(self, run_id: RunId) -> Ask[RunResult]:
        """One run with all of its details."""

    def fetch_state(self, run_id: RunId) -> Ask[RunResult]:
        """The state and outcome of one run, without issues, steps and screenshots."""

    def list_by_status(self, status: str, cursor: str) -> Ask[Page]:
        """The account's runs with one status, newest first, in the detail of :meth:`fetch_state`."""

    def list_candidates(self, request: RunRequest, scope: Scope, cursor: str) -> Ask[Page]:
        """The newest runs, filtered so that the request's runs would be among them."""

    def list_neighbours(self, request: RunRequest, scope: Scope, cursor: str) -> Ask[Page] | None:
        """The newest runs of all tests of the target's project; None if :meth:`list_candidates` lists them."""

    def list_newest(self, request: RunRequest, scope: Scope) -> Ask[tuple[RunId, ...]]:
        """The ids of the first few runs of that list."""

    def examine(self, run_id: RunId, request: RunRequest) -> Ask[ListedRun]:
        """One run, and whether the request may have started it."""

    def list_tests(self, request: RunRequest, scope: Scope, cursor: str) -> Ask[Tests] | None:
        """The tests of a target that has several, e.g. a group; None for a target that starts one run."""

    def known_runs(self, request: RunRequest) -> int | None:
        """How many runs a request starts; None if the request alone does not tell."""

    def cancel_run(self, run_id: RunId) -> Ask[Any]:
        """Cancel one run."""

    def cancel_batch(self, batch_id: str) -> Ask[Any]:
        """Cancel the active runs of a batch."""

    def some_tests(self, request: RunRequest, test_ids: Sequence[str]) -> tuple[RunRequest, ...] | None:
        """The smallest number of requests that run exactly these tests of a request for several tests.

        None if the API cannot run them on their own, or ``test_ids`` is empty.
        """

    def submission_url(self, submission: Submission) -> str:
        """The dashboard page of the started runs, or an empty string if it is unknown."""
