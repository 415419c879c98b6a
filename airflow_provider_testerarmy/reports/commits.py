"""Links from a commit to its repository. A commit may be any text of a DAG run, so only a hash becomes a link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from airflow_provider_testerarmy.reports.text import https, line

#: Stands for the commit in an address; without it, the commit follows the address of the repository.
PLACE: Final = "{commit}"
_HASH: Final = re.compile(r"[0-9a-fA-F]{7,64}")


def short(commit: str) -> str:
    """A commit for reading: the first 12 characters, which are enough of a hash."""
    return line(commit, 64)[:12]


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository of the product under test.

    :param address: its https address, or a commit's address with ``{commit}`` in place of the hash; empty if it
        is unknown. Then nothing becomes a link.
    """

    address: str = ""

    def commit_url(self, commit: str) -> str:
        """The page of a commit; empty if the commit is no hash, or if the address is unusable."""
        return https(self._pattern.replace(PLACE, commit)) if _HASH.fullmatch(commit) else ""

    def changes_url(self, good: str, bad: str) -> str:
        """The page of the changes from one commit to another, as GitHub, GitLab, Gitea and Forgejo have it.

        Empty for a pattern: it says nothing of the address of this page.
        """
        if PLACE in self.address or good == bad or not (_HASH.fullmatch(good) and _HASH.fullmatch(bad)):
            return ""
        return https(f"{self._base}/compare/{good}...{bad}") if self.address else ""

    @property
    def _base(self) -> str:
        return self.address.rstrip("/")

    @property
    def _pattern(self) -> str:
        return self.address if PLACE in self.address else f"{self._base}/commit/{PLACE}"


UNKNOWN: Final = Repository()
