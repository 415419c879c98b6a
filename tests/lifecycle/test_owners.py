"""The owners of test files: in reasons, summary, reports, tab and quarantines."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.catalogue.lock import Entry, Lock
from airflow_provider_testerarmy.exceptions import TestsFailed
from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.ui.payloads import summary_rows
from tests.lifecycle.test_memory import fail
from tests.lifecycle.test_quarantine_file import LATER, beside, nights
from tests.lifecycle.tries import group

__all__ = ["beside", "nights"]

pytestmark = pytest.mark.usefixtures("connections")

GATE = {"tests_folder": "tests"}


@pytest.fixture
def owned(tmp_path):
    """A folder beside the DAG, whose file names an owner for the test of the cart."""
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "cart.md").write_text("---\ntitle: Cart\nowner: '@shop-team'\n---\n1. Open the cart\n")
    lock = Lock(catalog.PROJECT_SHOP, {"cart.md": Entry(catalog.TEST_CART.upper(), "a", "a")})
    (folder / "tests.lock.json").write_text(lock.dump())
    return folder


@pytest.mark.usefixtures("owned")
def test_the_owner_is_in_reasons_summary_reports_and_tab(nights, service, tmp_path):
    """Of the test that failed; the others have none."""
    fail(service, catalog.TEST_CART)
    paths = [str(tmp_path / name) for name in ("r.json", "r.xml", "r.html", "r.md")]
    assert isinstance(nights.night(group(gate=GATE, report_path=paths)), TestsFailed)
    assert any("owner: @shop-team" in reason for reason in nights.summary["reasons"])
    owners = {test["test_id"]: test.get("owner") for test in nights.summary["tests"]}
    assert owners.pop(catalog.TEST_CART) == "@shop-team"
    assert set(owners.values()) == {None}
    rows = {row["test_id"]: row["owner"] for row in summary_rows(nights.summary)}
    assert (rows[catalog.TEST_CART], rows[catalog.TEST_LOGIN]) == ("@shop-team", "")
    report = json.loads((tmp_path / "r.json").read_text())
    assert {run["test_id"]: run["owner"] for run in report["runs"]}[catalog.TEST_CART] == "@shop-team"
    assert "[[PROPERTY|owner=@shop-team]]" in (tmp_path / "r.xml").read_text()
    assert "owner @shop-team" in (tmp_path / "r.html").read_text()
    assert "shop-team" in (tmp_path / "r.md").read_text()


@pytest.mark.usefixtures("owned")
def test_a_quarantine_without_an_owner_takes_that_of_the_file(nights, service, beside):
    """Without the folder it is not valid."""
    beside(f"- {{test: {catalog.TEST_CART}, reason: the clock, until: '{LATER}'}}\n")
    fail(service, catalog.TEST_CART)
    gate = {"quarantine_file": "quarantine.yaml"}
    summary = nights.night(group(gate=gate | GATE))
    assert summary["verdict"] == "passed"
    assert any("in quarantine by @shop-team: the clock" in reason for reason in summary["reasons"])
    assert "owner is missing" in str(nights.night(group(gate=gate)))


def test_a_folder_that_cannot_be_used_hides_no_verdict(nights, service, owned):
    """The first reason says so. A file that is not valid has no owner."""
    (owned / "cart.md").write_text("nothing")
    assert nights.night(group(gate=GATE))["verdict"] == "passed"
    (owned / "tests.lock.json").write_text("{")
    summary = nights.night(group(gate=GATE))
    assert summary["verdict"] == "passed"
    assert summary["reasons"][0].startswith("The owners of the tests are unknown: The lock cannot be read")
    assert "is no folder" in nights.night(group(gate={"tests_folder": "typo"}))["reasons"][0]
    fail(service, catalog.TEST_CART)
    assert isinstance(nights.night(group(gate=GATE)), TestsFailed)


def test_the_field_of_the_gate(tmp_path):
    """A path beside the DAG. A gate without it has the digest that it always had."""
    assert QualityGate(tests_folder=tmp_path).tests_folder == str(tmp_path)
    assert QualityGate(tests_folder=" Tests ").tests_folder == "Tests"
    assert "tests_folder" not in str(QualityGate())
    assert QualityGate().digest() != QualityGate(tests_folder="tests").digest()
    with pytest.raises(GateInvalid, match="local path"):
        QualityGate.of({"tests_folder": "s3://bucket/tests"})
