"""What a person has decided about failed tests: the choices, the answer, and its words for the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from airflow_provider_testerarmy.runs.text import one_line

#: The most answers that a record keeps. It has a size limit.
MOST: Final = 10
#: The most characters that a record keeps of what a person wrote.
MAX_WORDS: Final = 300


class Choice(StrEnum):
    """What a person can decide.

    ``ACCEPT``: the task succeeds, and its verdict stays *failed*. ``REJECT``: the task fails. ``AGAIN``: the tests
    that count against the gate run again, in the same try.
    """

    ACCEPT = "accept"
    REJECT = "reject"
    AGAIN = "again"


#: The options as a person reads them.
LABELS: Final = {
    Choice.ACCEPT: "Accept",
    Choice.REJECT: "Reject",
    Choice.AGAIN: "Run what failed again",
}
_SAID: Final = {
    Choice.ACCEPT: "Accepted",
    Choice.REJECT: "Rejected",
    Choice.AGAIN: "Another run of what failed was ordered",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    :param rounds: how many rounds the record had closed, so which round the answer is about.
    :param by: the name of the person; empty if nobody answered in time.
    :param user: the id of the person in Airflow.
    :param at: when, in ISO format.
    :param words: what the person wrote.
    """

    choice: Choice
    rounds: int
    by: str = ""
    user: str = ""
    at: str = ""
    words: str = ""

    @classmethod
    def of(
        cls, choice: Choice, rounds: int, *, by: str = "", user: str = "", at: str = "", words: str = ""
    ) -> Answer:
        """An answer with bounded texts on one line each, because people write them."""
        texts = one_line(by, 100), one_line(user, 100), one_line(at, 40), one_line(words, MAX_WORDS)
        return cls(choice, rounds, *texts)

    def to_json(self) -> dict[str, Any]:
        """JSON values without null."""
        return {**asdict(self), "choice": str(self.choice)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        """The answer from JSON.

        :raises KeyError, ValueError: for any other data.
        """
        texts = {name: str(data.get(name, "")) for name in ("by", "user", "at", "words")}
        return cls.of(Choice(data["choice"]), int(data["rounds"]), **texts)

    @property
    def sentence(self) -> str:
        """Who decided what, when and with which words."""
        when = f" at {self.at}" if self.at else ""
        if not self.by and not self.user:
            return f"Nobody answered in time. The default applied{when}: {LABELS[self.choice]}."
        person = self.by or self.user
        if self.user and self.user != person:
            person = f"{person} ({self.user})"
        said = f"{_SAID[self.choice]} by {person}{when}"
        return f'{said}: "{self.words}".' if self.words else f"{said}."

    def entry(self) -> dict[str, Any]:
        """The answer for the summary."""
        return {
            "choice": str(self.choice),
            "by": self.by or None,
            "user": self.user or None,
            "at": self.at or None,
            "words": self.words or None,
            "timed_out": not self.by and not self.user,
        }
