"""The quality gate: turns the outcomes of runs into one verdict with reasons."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    model_validator,
)

from airflow_provider_testerarmy.runs.rendered import is_nothing, listed
from airflow_provider_testerarmy.runs.results import Issue, Outcome, RunId, RunResult
from airflow_provider_testerarmy.runs.text import one_line, plural
from airflow_provider_testerarmy.runs.verdict.explanation import (
    describe_issue,
    explain,
    judged_outcome,
    shown_link,
    shown_name,
)
from airflow_provider_testerarmy.runs.verdict.flaky import (
    ConfirmRule,
    QuarantineRule,
    Span,
    confirm_rule,
    local_path,
    quarantine_path,
    quarantine_rule,
)


class VerdictKind(StrEnum):
    """The verdict on a set of runs.

    ``NOT_JUDGED``: only non-blocking tests failed, and no other test was judged.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    NOT_JUDGED = "not_judged"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision.

    :param reasons: sentences for people, the decisive ones first; they name the test, issue, severity and link.
    :param counts: the number of runs by outcome, and the ``total``.
    """

    kind: VerdictKind
    reasons: tuple[str, ...]
    counts: Mapping[str, int]


#: The maximum number of unmatched ids in a reason.
SHOWN_IDS: Final = 5
#: Fields left out of the text while they have their defaults, so that gates from before them keep their digest.
_LATER: Final = (
    *("fail_on", "known_for", "baseline", "on_flaky"),
    *("quarantine", "confirm", "quarantine_file", "tests_folder"),
)


class GateInvalid(ValueError):
    """The gate is invalid: it has an unknown field, or a value out of range."""


def _ids(value: Any) -> Any:
    """Ids in any form as lower-case text, because services compare ids case-insensitively."""
    if isinstance(value, bool | float | bytes | Mapping):
        return value
    items = listed(value)
    # Return an invalid value unchanged, so that pydantic's error describes the original value.
    return (
        value if any(isinstance(item, bool | Mapping) for item in items) else frozenset(map(fold_id, items))
    )


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bool) and name in ("min_pass_rate", "max_severity"):
        # bool is a subclass of int, so True would be accepted as severity 1.
        return str(value)
    if isinstance(value, str) and name not in ("non_blocking_tests", "quarantine_file", "tests_folder"):
        return value.strip().lower()
    return value


def fold_id(value: object) -> str:
    """The form of a test id that the gate compares."""
    return str(value).strip().lower()


class QualityGate(BaseModel):
    """The conditions under which a set of runs passes. Operators also accept a dict of the same fields.

    :param min_pass_rate: the share of judged runs that must pass, 0.0 to 1.0.
    :param max_severity: a passed run fails the gate if it has a confirmed issue of a higher severity (0 to 5; 0
        allows no confirmed issue). An issue without a severity counts as higher.
    :param fail_on_warnings: a passed run with any issue or warning fails the gate.
    :param on_cancelled: ``fail`` counts a cancelled run as not passed; ``ignore`` leaves it out.
    :param on_skipped: ``skip`` leaves a skipped run out, and skips the task if no other run is left;
        ``pass`` counts it as passed, ``fail`` as failed.
    :param allow_empty: skip the task instead of failing it if there are no runs. The verdict is never *passed*.
    :param non_blocking_tests: ids of tests whose failures are reported but not judged.
    :param report_only: report the verdict, and let the task succeed whatever the verdict is.
    :param fail_on: ``all`` judges every failure; ``new`` leaves out those that failed in the night before.
    :param known_for: how long ``new`` leaves a failure out: seconds, a ``timedelta``, or text such as ``7d``.
    :param baseline: ``accept`` treats the failures of the first night as known; ``fail`` judges them.
    :param on_flaky: ``pass`` counts a test that failed first and then passed as passed, ``fail`` as failed.
    :param quarantine: which flaky tests are left out: ``{"after_transitions": 4, "of": 10, "for": "14d"}`` leaves
        out, for 14 days, a test that changed 4 times between passed and failed in 10 nights. None: no test.
    :param quarantine_file: a YAML or JSON file of tests that people quarantine; a path relative to the DAG file.
    :param tests_folder: a folder of test files, whose owners appear in reasons, reports and quarantines; a path
        relative to the DAG file. Its lock is in the folder.
    :param confirm: runs a failed test again before it counts: ``{"times": 2, "of": 3}`` needs two failures in three
        runs, and a number so many failures in as many runs. None: the first failure counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    min_pass_rate: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    max_severity: Annotated[int, Field(ge=0, le=5)] | None = None
    fail_on_warnings: bool = False
    on_cancelled: Literal["fail", "ignore"] = "fail"
    on_skipped: Literal["skip", "pass", "fail"] = "skip"
    allow_empty: bool = False
    non_blocking_tests: Annotated[frozenset[str], BeforeValidator(_ids)] = frozenset()
    report_only: bool = False
    fail_on: Literal["all", "new"] = "all"
    known_for: Span = timedelta(days=7)
    baseline: Literal["fail", "accept"] = "fail"
    on_flaky: Literal["pass", "fail"] = "pass"
    quarantine: Annotated[QuarantineRule | None, BeforeValidator(quarantine_rule)] = None
    quarantine_file: Annotated[str | None, BeforeValidator(quarantine_path)] = None
    tests_folder: Annotated[str | None, BeforeValidator(local_path)] = None
    confirm: Annotated[ConfirmRule | None, BeforeValidator(confirm_rule)] = None

    @model_validator(mode="before")
    @classmethod
    def _as_rendered(cls, fields: Any) -> Any:
        """Strip text, and use the default for a field that a template rendered to nothing."""
        if not isinstance(fields, Mapping):
            return fields
        known = {name: _plain(name, value) for name, value in fields.items() if name in cls.model_fields}
        unknown = {name: value for name, value in fields.items() if name not in cls.model_fields}
        return {name: value for name, value in known.items() if not is_nothing(value)} | unknown

    @field_serializer("non_blocking_tests")
    def _in_order(self, ids: frozenset[str]) -> list[str]:
        # The order of a set of strings differs between processes (hash randomization). Airflow would create a new
        # DAG version whenever it differs: https://github.com/apache/airflow/issues/56471
        return sorted(ids)

    def __str__(self) -> str:
        # Airflow serializes the gate in `.partial()` by str(), so this text must be stable as well.
        fields = type(self).model_fields
        unused = {name for name in _LATER if getattr(self, name) == fields[name].default}
        return json.dumps(self.model_dump(mode="json", by_alias=True, exclude=unused), sort_keys=True)

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        for name in type(self).model_fields:
            value = getattr(self, name)
            yield name, sorted(value) if isinstance(value, frozenset) else value

    def digest(self) -> str:
        """The SHA-256 of the fields in hexadecimal; the same for equal gates in every process."""
        return hashlib.sha256(str(self).encode()).hexdigest()

    @classmethod
    def of(cls, gate: QualityGate | Mapping[str, Any] | None) -> QualityGate:
        """The gate from an operator's parameter; None means the defaults.

        :raises GateInvalid: naming each invalid field.
        """
        if isinstance(gate, QualityGate):
            return gate
        if gate is not None and not isinstance(gate, Mapping):
            raise GateInvalid(
                f"The gate must be a QualityGate or a dict of its fields, not {type(gate).__name__}."
            )
        try:
            return cls(**(gate or {}))
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found)
            raise GateInvalid(
                f"The gate is not valid: {wrong}. Its fields are {', '.join(cls.model_fields)}."
            ) from None

    def judge(
        self,
        results: Sequence[RunResult],
        set_aside: Collection[RunId] = (),
        notes: Mapping[RunId, str] | None = None,
    ) -> Verdict:
        """The verdict on finished runs. A run that has not finished counts as unknown, never as passed.

        :param set_aside: runs that are reported but not judged.
        :param notes: more text for the reason of a run, e.g. since when its test fails.
        """
        tally = _Tally(self, results, set_aside, notes or {})
        return Verdict(tally.kind(), tuple(tally.reasons()), tally.counts())

    def is_blocking(self, run: RunResult) -> bool:
        """Whether the run counts towards the verdict."""
        return not run.test_id or fold_id(run.test_id) not in self.non_blocking_tests

    def blocks(self, run: RunResult) -> bool:
        """Whether this run counts against the gate.

        With a ``min_pass_rate`` below 1.0, the gate may pass nevertheless.
        """
        if not self.is_blocking(run):
            return False
        match judged_outcome(run):
            case Outcome.PASSED:
                return self.violation(run) is not None
            case Outcome.SKIPPED:
                return self.on_skipped == "fail"
            case Outcome.CANCELLED:
                return self.on_cancelled == "fail"
        return True

    def violation(self, run: RunResult) -> str | None:
        """The reason why a passed run fails the gate, or None."""
        for issue in run.issues:
            if issue.confirmed and self.max_severity is not None and _above(issue, self.max_severity):
                return f"passed with {describe_issue(issue)}, above the allowed severity {self.max_severity}"
        if self.fail_on_warnings and run.issues:
            return f"passed with {describe_issue(run.issues[0])}, and the gate fails on warnings"
        if self.on_flaky == "fail" and run.flaky:
            return "passed only after it had failed, and the gate fails on flaky tests"
        return None


def _above(issue: Issue, limit: int) -> bool:
    return issue.severity is None or issue.severity > limit


class _Tally:
    """The runs grouped by their meaning for the gate.

    The verdict is ``failed`` if the failures alone break the gate. It is ``errored`` if the gate would hold without
    the errors of the service, and ``cancelled`` if only the cancelled runs are missing.
    """

    def __init__(
        self,
        gate: QualityGate,
        results: Sequence[RunResult],
        set_aside: Collection[RunId],
        notes: Mapping[RunId, str],
    ) -> None:
        self._gate, self._all, self._set_aside, self._notes = gate, results, set_aside, notes
        judged: list[RunResult] = []
        self._reported: list[RunResult] = []
        for run in results:
            kept = gate.is_blocking(run) and run.run_id not in set_aside
            (judged if kept else self._reported).append(run)
        groups: dict[Outcome, list[RunResult]] = {outcome: [] for outcome in Outcome}
        for run in judged:
            groups[judged_outcome(run)].append(run)
        self._passed = groups[Outcome.PASSED]
        self._failed = groups[Outcome.FAILED]
        self._broken = groups[Outcome.ERRORED] + groups[Outcome.UNKNOWN]
        self._cancelled = groups[Outcome.CANCELLED]
        self._skipped = groups[Outcome.SKIPPED]
        self._violations = {run.run_id: why for run in self._passed if (why := gate.violation(run))}

    def counts(self) -> dict[str, int]:
        seen = Counter(judged_outcome(run) for run in self._all)
        return {
            "total": len(self._all),
            **{str(outcome): seen[outcome] for outcome in Outcome if seen[outcome]},
        }

    def kind(self) -> VerdictKind:
        if not self._all:
            return VerdictKind.SKIPPED if self._gate.allow_empty else VerdictKind.FAILED
        if self._violations or not self._holds_without(self._failing()):
            return VerdictKind.FAILED
        if not self._holds_without(self._failing() + len(self._broken)):
            return VerdictKind.ERRORED
        cancelled = len(self._cancelled) if self._gate.on_cancelled == "fail" else 0
        if not self._holds_without(self._failing() + len(self._broken) + cancelled):
            return VerdictKind.CANCELLED
        return VerdictKind.PASSED if self._something_judged() else self._nothing_judged()

    def _failing(self) -> int:
        return len(self._failed) + (len(self._skipped) if self._gate.on_skipped == "fail" else 0)

    def _judged(self) -> int:
        left_out = len(self._cancelled) if self._gate.on_cancelled == "ignore" else 0
        left_out += len(self._skipped) if self._gate.on_skipped == "skip" else 0
        return len(self._all) - len(self._reported) - left_out

    def _holds_without(self, missing: int) -> bool:
        """Whether the gate reaches its pass rate if this many of the judged runs do not pass."""
        judged = self._judged()
        # A tolerance, because binary floats cannot represent rates such as 0.9 exactly.
        return judged - missing >= self._gate.min_pass_rate * judged - 1e-9

    def _something_judged(self) -> bool:
        counted = bool(self._skipped) and self._gate.on_skipped == "pass"
        # With min_pass_rate 0 a gate passes even if every run failed. It must not pass if every run errored.
        return bool(self._passed or self._failed) or counted

    def _nothing_judged(self) -> VerdictKind:
        reported = {self._reported_outcome(run) for run in self._reported}
        if Outcome.FAILED in reported:
            return VerdictKind.NOT_JUDGED
        if Outcome.PASSED in reported:
            return VerdictKind.PASSED
        if self._broken or reported & {Outcome.ERRORED, Outcome.UNKNOWN}:
            return VerdictKind.ERRORED
        everything_skipped = all(judged_outcome(run) is Outcome.SKIPPED for run in self._all)
        return VerdictKind.SKIPPED if everything_skipped else VerdictKind.CANCELLED

    def reasons(self) -> Iterator[str]:
        if not self._all:
            yield "No run was started, so nothing was tested and the gate cannot pass."
            return
        yield self._rate()
        violating = (run for run in self._passed if run.run_id in self._violations)
        for run in (*violating, *self._failed, *self._broken, *self._cancelled, *self._skipped):
            yield self._said(run) + (f" ({note})" if (note := self._notes.get(run.run_id)) else "")
        for run in self._passed:
            if run.attempts and run.run_id not in self._violations:
                yield f"{self._said(run)} (flaky)"
        for run in self._reported:
            if self._reported_outcome(run) is not Outcome.PASSED:
                why = self._notes.get(run.run_id) if run.run_id in self._set_aside else None
                yield f"{self._said(run)} (reported only: {why or 'the test is non-blocking'})"
        yield from self._unmatched()

    def _unmatched(self) -> Iterator[str]:
        """Report ids that match no run: a typo makes a test blocking, and nothing else would show it."""
        unmatched = sorted(self._gate.non_blocking_tests - {fold_id(run.test_id) for run in self._all})
        if unmatched:
            shown = ", ".join(one_line(each, 60) for each in unmatched[:SHOWN_IDS])
            more = f", and {len(unmatched) - SHOWN_IDS} more" if len(unmatched) > SHOWN_IDS else ""
            yield f"Warning: non_blocking_tests has ids that match no run: {shown}{more}. Check them."

    def _rate(self) -> str:
        judged, wanted = self._judged(), self._gate.min_pass_rate
        passed = len(self._passed) + (len(self._skipped) if self._gate.on_skipped == "pass" else 0)
        if not judged:
            counts = ", ".join(
                f"{count} {outcome}" for outcome, count in self.counts().items() if outcome != "total"
            )
            left_out = "known, quarantined or non-blocking" if self._set_aside else "non-blocking"
            kept_out = f"; every failed test is {left_out}" if self.kind() is VerdictKind.NOT_JUDGED else ""
            return f"No runs were judged ({counts}{kept_out})."
        return (
            f"{passed} of {plural(judged, 'judged run')} passed ({passed / judged:.1%}; {wanted:.1%} needed)."
        )

    def _said(self, run: RunResult) -> str:
        violation = self._gate.violation(run) if judged_outcome(run) is Outcome.PASSED else None
        return f"{shown_name(run)}: {violation or explain(run)}{shown_link(run)}"

    def _reported_outcome(self, run: RunResult) -> Outcome:
        """A passed run that the gate objects to has not passed, though it is left out."""
        objected = run.run_id in self._set_aside and judged_outcome(run) is Outcome.PASSED
        return Outcome.FAILED if objected and self._gate.violation(run) else judged_outcome(run)
