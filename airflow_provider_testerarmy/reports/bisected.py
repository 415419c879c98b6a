"""The bisected failures of a summary, as documents show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_testerarmy.reports.commits import UNKNOWN, Repository, short
from airflow_provider_testerarmy.reports.text import https, line


@dataclass(frozen=True, slots=True)
class TriedNight:
    """A run at a night's address.

    :param commit_url: the page of the commit, else an empty text.
    :param link: the address if it is safe to link to, else an empty text.
    """

    date: str
    commit: str
    commit_url: str
    address: str
    link: str
    outcome: str
    shows: str


@dataclass(frozen=True, slots=True)
class Bisected:
    """A failure that was bisected.

    :param text: what was found, in words.
    """

    text: str
    tried: tuple[TriedNight, ...]


def bisected(summary: Mapping[str, Any], repository: Repository = UNKNOWN) -> list[Bisected]:
    """The bisected failures of a summary, in its order."""
    return [
        Bisected(line(entry["text"], 800), tuple(_tried(entry, repository)))
        for entry in summary.get("bisected") or ()
    ]


def _tried(entry: Mapping[str, Any], repository: Repository) -> Iterator[TriedNight]:
    for one in entry["tried"]:
        address = line(one["address"] or "", 300)
        yield TriedNight(
            line(one["date"], 10),
            short(one["commit"] or ""),
            repository.commit_url(line(one["commit"] or "", 64)),
            address,
            https(address),
            line(one["outcome"], 20),
            line(one["shows"], 20),
        )
