"""The messages that `troubleshooting.md` quotes, against those that the package can write."""

from __future__ import annotations

import re

import pytest

from airflow_provider_testerarmy.exceptions import verdict_error
from airflow_provider_testerarmy.runs.verdict.gate import Verdict, VerdictKind
from tests.docs import house
from tests.docs.prose import texts

PAGE = (house.REPOSITORY / "docs" / "troubleshooting.md").read_text()
TABLE = PAGE.partition("## Messages")[2].partition("\n## ")[0]
QUOTED = [
    quoted
    for cell in re.findall(r"^\| (`[^|]+) \|", TABLE, re.MULTILINE)
    for quoted in re.findall(r"`([^`]+)`", cell)
]
#: Messages of others: OpenSSL and Airflow.
FOREIGN = {
    "CERTIFICATE_VERIFY_FAILED",
    "The host or port to test differs from the stored connection",
    "Skipping masking for a secret",
    "state attribute is queued",
}
#: Messages that no string literal has as a whole.
COMPOSED = "\n".join(str(verdict_error(Verdict(kind, ("why",), {}), ["1"])) for kind in VerdictKind)
FILES = sorted((house.REPOSITORY / house.PACKAGE).rglob("*.py"))


@pytest.fixture(scope="module")
def written() -> str:
    """Every string literal of the package, and the names of its classes."""
    classes = re.findall(r"^class (\w+)", "\n".join(path.read_text() for path in FILES), re.MULTILINE)
    return "\n".join([COMPOSED, *classes, *(text for path in FILES for _, text in texts(path))])


@pytest.mark.parametrize("quoted", [each for each in QUOTED if each not in FOREIGN])
def test_a_quoted_message_can_be_written(quoted, written):
    """A user searches the page for what the log says."""
    assert quoted in written


def test_messages_of_others_are_quoted():
    """Those that are listed here, and no fewer."""
    assert set(QUOTED) >= FOREIGN
    assert len(QUOTED) > 15
