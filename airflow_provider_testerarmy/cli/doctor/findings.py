"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """``PROBLEM`` makes the command end with exit code 1."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the command's output.

    :param check: what was checked, in one or two words.
    :param found: what is the case.
    :param remedy: what to do about it; empty if nothing is wrong.
    """

    state: State
    check: str
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Nothing is wrong."""
    return Finding(State.OK, check, found)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Something may be wrong."""
    return Finding(State.WARNING, check, found, remedy)


def problem(check: str, found: str, remedy: str) -> Finding:
    """Something is wrong."""
    return Finding(State.PROBLEM, check, found, remedy)
