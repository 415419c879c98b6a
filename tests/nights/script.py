"""The script: which tests fail on which of the thirty nights, and what each night must come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.nights.tests_of import NAMES

NEW: Final = "new: last good"
KNOWN: Final = "known failure"
OVERDUE: Final = "longer than the gate allows"
EXPIRED: Final = "the quarantine is past its end"
ENDS_SOON: Final = "ends in"
UNREADABLE: Final = "cannot be read"
FORGOTTEN: Final = "This night is not remembered"
#: Every phrase that a night may have in its reasons, and has only on the nights that name it.
PHRASES: Final = (NEW, KNOWN, OVERDUE, EXPIRED, ENDS_SOON, UNREADABLE, FORGOTTEN)


@dataclass(frozen=True)
class Night:
    """One night.

    :param number: 1 to 30.
    :param scripts: what tests do on it, by name; the others pass.
    :param letters: what is remembered of the five tests, in the order of ``NAMES``; empty if nothing is.
    :param state: of each task, at its end.
    :param says: the phrases of ``PHRASES`` in its reasons.
    :param known: the standing of each test that is excluded.
    :param tries: how many tries each task takes.
    :param requests: how many times each task starts runs: two if it confirms failures, or tries again.
    """

    number: int
    letters: str
    state: str = "success"
    scripts: Mapping[str, str] = field(default_factory=dict)
    says: frozenset[str] = frozenset()
    known: Mapping[str, str] = field(default_factory=dict)
    tries: int = 1
    requests: int = 1

    @property
    def run_id(self) -> str:
        """The id of its DAG run."""
        return f"night-{self.number:02d}"

    def script_of(self, name: str) -> str:
        """What a test does on this night."""
        return self.scripts.get(name, "passes")


def _night(
    number: int,
    letters: str,
    *says: str,
    failed: bool = False,
    known: tuple[str, ...] = (),
    quarantined: tuple[str, ...] = (),
    tries: int = 1,
    requests: int = 1,
    **scripts: str,
) -> Night:
    standings = {**dict.fromkeys(known, "known"), **dict.fromkeys(quarantined, "quarantined")}
    said = frozenset({*says, *([KNOWN] if known else [])})
    state = "failed" if failed else "success"
    return Night(number, letters, state, scripts, said, standings, tries, requests)


_LOGIN, _PROFILE = {"quarantined": ("login",)}, {"quarantined": ("profile",)}

#: P passed, K passed after a failure, F failed; lower case: in quarantine. The tests are search, checkout, cart,
#: login and profile.
NIGHTS: Final = (
    _night(1, "PPPPP"),
    _night(2, "PPPKP", requests=2, login="flaky"),
    _night(3, "PPPPP"),
    # The fourth change between passed and failed: the gate quarantines the test for 7 days.
    _night(4, "PPPkP", requests=2, login="flaky", **_LOGIN),
    _night(5, "PPPfP", login="fails", **_LOGIN),
    _night(6, "PPPpP", **_LOGIN),
    _night(7, "PFPpP", NEW, requests=2, failed=True, checkout="fails", **_LOGIN),
    _night(8, "PFPpP", ENDS_SOON, checkout="fails", known=("checkout",), **_LOGIN),
    # A clear of night 8 follows.
    _night(9, "PFPpP", ENDS_SOON, checkout="fails", known=("checkout",), **_LOGIN),
    # The fifth pass in a row ends the quarantine.
    _night(10, "PFPPP", checkout="fails", known=("checkout",)),
    _night(11, "PFPPP", checkout="fails", known=("checkout",)),
    _night(12, "PFPPP", OVERDUE, requests=2, failed=True, checkout="fails"),
    # Two DAG runs at once.
    _night(13, "PPPPP"),
    _night(14, "PPPPP"),
    _night(15, "PPFPP", NEW, requests=2, failed=True, cart="fails"),
    # The service breaks a run, and a retry tests again.
    _night(16, "PPFPP", requests=2, cart="fails", search="broken once", known=("cart",), tries=2),
    # `airflow db clean` has deleted all nights before.
    _night(17, "PPFPP", cart="fails", known=("cart",)),
    _night(18, "PPPPP"),
    # Workers and the triggerer are killed between the rounds.
    _night(19, "PPPPK", requests=2, profile="flaky"),
    # A manual run without a logical date.
    _night(20, "PPPPP"),
    _night(21, "PPPPk", requests=2, profile="flaky", **_PROFILE),
    _night(22, "PFPPp", NEW, requests=2, failed=True, checkout="fails", **_PROFILE),
    # Its logical date is before that of night 22, so it is judged by the nights before that.
    _night(23, "PFPPf", NEW, requests=2, failed=True, checkout="fails", profile="fails", **_PROFILE),
    # The memory is one of a later version, and then one that somebody has edited.
    _night(24, "", UNREADABLE, FORGOTTEN, requests=2, failed=True, checkout="fails"),
    _night(25, "", UNREADABLE, FORGOTTEN),
    _night(26, "PPPPf", ENDS_SOON, profile="fails", **_PROFILE),
    _night(27, "PPPPp", ENDS_SOON, **_PROFILE),
    # The quarantine has ended, and nobody has decided. On night 30 a person lifts it.
    _night(28, "PPPPP", EXPIRED, failed=True),
    _night(29, "PPPPP", EXPIRED, failed=True),
    _night(30, "PPPPP", EXPIRED, failed=True),
)
BY_NUMBER: Final = {night.number: night for night in NIGHTS}
assert all(len(night.letters) in (0, len(NAMES)) for night in NIGHTS)
