"""The memory of one target in one environment: its last nights, and each test's outcomes in them.

A *night* is one DAG run's results for a target, whatever the time of day.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_testerarmy.runs.results import Deployment
from airflow_provider_testerarmy.runs.text import one_line
from airflow_provider_testerarmy.runs.verdict.gate import fold_id

#: Nights whose outcomes are kept.
NIGHTS: Final = 20
#: Tests of one memory. Those beyond are not remembered, so each of their failures counts as new.
TESTS: Final = 1_000
#: Bytes of an id, a night's key, a commit, an address, a quarantine's owner and its reason.
ID, KEY, COMMIT, ADDRESS, OWNER, REASON = 64, 100, 40, 200, 40, 80
#: Bytes of a commit where a night is no longer among the last ones.
SHORT_COMMIT: Final = 12
#: Seconds since the epoch that a date can show.
LATEST: Final = 253_402_300_799

#: Letters of outcomes that the gate judged: passed; passed after a failure; failed; passed with a violation.
PASSED, FLAKY, FAILED, VIOLATED = "P", "K", "F", "V"
#: Letters of what says nothing about the test: the service broke, cancelled, skipped, unknown.
ERRORED, CANCELLED, SKIPPED, UNKNOWN = "E", "C", "S", "U"
#: The test was not among the night's results.
ABSENT: Final = "."
#: Lower case: reported and not judged, e.g. in quarantine.
LETTERS: Final = frozenset("PKFVECSUpkfvecsu.")
PASSING: Final = frozenset("PKpk")
FAILING: Final = frozenset("FVfv")
JUDGED_FAILING: Final = frozenset("FV")
#: Passed or failed, the only letters that tell one night from another.
CONCLUSIVE: Final = PASSING | FAILING
#: Severity of a failure without an issue, and of an issue without a severity: as in the gate, above all others.
NO_ISSUE, UNRATED = 0, 6


@dataclass(frozen=True, slots=True)
class NightRef:
    """Which night it was.

    :param at: seconds since the epoch, for which its DAG run was due. Nights are in this order, so that a backfill
        puts each of its nights where it belongs.
    :param key: names the DAG run; the same for every try of it.
    :param commit: what was tested, empty where not known; the same for the address.
    :param judged: seconds since the epoch, when it was judged; by default as ``at``.
    """

    at: int
    key: str
    commit: str = ""
    address: str = ""
    judged: int = -1

    def __post_init__(self) -> None:
        if self.judged < 0:
            object.__setattr__(self, "judged", self.at)

    def __lt__(self, other: NightRef) -> bool:
        return (self.at, self.judged, self.key) < (other.at, other.judged, other.key)

    @classmethod
    def of(
        cls, key: str, at: float, commit: str = "", address: str = "", due: float | None = None
    ) -> NightRef:
        """The night, every value bounded.

        :param at: when it was judged, in seconds since the epoch.
        :param due: for when its DAG run was due; None if that is unknown. No night is due after it was judged.
        """
        judged = max(0, min(LATEST, int(at)))
        moment = judged if due is None else max(0, int(min(judged, due)))
        return cls(moment, stored(key, KEY), plain(commit, COMMIT), _without_secrets(address), judged)

    @property
    def deployment(self) -> Deployment:
        """What was tested on it."""
        return Deployment(self.at, self.commit, self.address)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one issue of a test from another.

    :param severity: of its gravest confirmed issue; 0 without one, 6 where the service gave none.
    :param step: a digest of the step that failed, empty where not known.
    """

    severity: int
    step: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A test's outcome in one night.

    :param letter: one of ``LETTERS``.
    :param fingerprint: of a failure.
    """

    letter: str
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A test that runs and is not judged.

    :param since, until: seconds since the epoch.
    :param lifted: it has ended; kept so that an older note does not bring it back.
    """

    owner: str
    reason: str
    since: int
    until: int
    lifted: bool = False

    @classmethod
    def of(cls, owner: str, reason: str, since: float, until: float, *, lifted: bool = False) -> Quarantine:
        """The quarantine, every value bounded."""
        begin, end = (max(0, min(LATEST, int(moment))) for moment in (since, until))
        return cls(plain(owner, OWNER), plain(reason, REASON), begin, max(begin, end), lifted)


@dataclass(frozen=True, slots=True)
class Night:
    """What one DAG run adds to the memory.

    :param tests: outcomes by test id; empty for a note that only changes quarantines.
    """

    ref: NightRef
    tests: Mapping[str, Seen] = field(default_factory=dict)
    quarantines: Mapping[str, Quarantine] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """A night that is no longer among the last ones."""

    at: int
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Streak:
    """Judged failures in a row, without a pass between them."""

    nights: int
    first: Mark


@dataclass(frozen=True, slots=True)
class TestMemory:
    """One test.

    :param letters: one for each of the memory's nights.
    :param fingerprint: of its last failure.
    :param passed: its last pass before those nights.
    :param failing: the failures that it was in the middle of when those nights began.
    """

    __test__ = False

    letters: str = ""
    fingerprint: Fingerprint | None = None
    quarantine: Quarantine | None = None
    passed: Mark | None = None
    failing: Streak | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """A target's last nights, oldest first, and its tests by id."""

    nights: tuple[NightRef, ...] = ()
    tests: Mapping[str, TestMemory] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether no night is remembered."""
        return not self.nights

    def test(self, test_id: str) -> TestMemory:
        """A test as remembered; one without outcomes where it is not."""
        return self.tests.get(test_key(test_id)) or TestMemory(ABSENT * len(self.nights))

    def conclusive(self, test: TestMemory) -> Iterator[tuple[NightRef, str]]:
        """The nights in which a test passed or failed, newest first."""
        pairs = zip(reversed(self.nights), reversed(test.letters), strict=True)
        return ((night, letter) for night, letter in pairs if letter in CONCLUSIVE)

    def streak(self, test: TestMemory) -> Streak | None:
        """The judged failures that a test is in the middle of; None where its last outcome is another one."""
        count, first = 0, None
        for night, letter in self.conclusive(test):
            if letter not in JUDGED_FAILING:
                break
            count, first = count + 1, Mark(night.at, night.commit)
        else:
            if test.failing:
                return Streak(count + test.failing.nights, test.failing.first)
        return Streak(count, first) if first else None

    def before(self, night: NightRef) -> Memory:
        """The memory as it would be without a night and all that come after it. Quarantines stay as they are."""
        place = bisect_left(self.nights, night)
        if place == len(self.nights):
            return self
        tests = {key: replace(test, letters=test.letters[:place]) for key, test in self.tests.items()}
        if not place:
            # What came before the nights that are kept may have come after this night too.
            tests = {key: replace(test, passed=None, failing=None) for key, test in tests.items()}
        return Memory(self.nights[:place], tests)

    def last_pass(self, test: TestMemory) -> NightRef | None:
        """The last night in which a test passed, None where none is known."""
        found = next((night for night, letter in self.conclusive(test) if letter in PASSING), None)
        return found or (NightRef(test.passed.at, "", test.passed.commit) if test.passed else None)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A memory that cannot be read or written: judge without it, and say so."""

    reason: str

    def __str__(self) -> str:
        return f"The memory of earlier nights cannot be read ({self.reason})"


def test_key(test_id: str) -> str:
    """The id under which a test is remembered."""
    return stored(fold_id(test_id), ID)


test_key.__test__ = False  # type: ignore[attr-defined]


def stored(text: str, limit: int) -> str:
    """The text itself where a document can hold it in that many bytes, else a digest of it."""
    if text and len(text) <= limit and plain(text, limit) == text:
        return text
    return f"#{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def plain(text: str, limit: int) -> str:
    """The text on one line, without what JSON has to escape, cut to that many bytes of UTF-8."""
    shown = one_line(text, limit).replace('"', "'").replace("\\", "/")
    return shown.encode()[:limit].decode("utf-8", "ignore").strip()


def _without_secrets(address: str) -> str:
    """Scheme, host, port and path; user, password, query and fragment may be secret."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    shown = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path}"
    return shown if plain(shown, ADDRESS) == shown else ""
