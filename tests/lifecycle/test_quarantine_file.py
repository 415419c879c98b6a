"""A quarantine file beside the DAG: strictly read, and never the reason for a verdict that nobody sees."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy.exceptions import RequestRefused, TestsFailed
from airflow_provider_testerarmy.lifecycle.dag_documents import LIMIT
from airflow_provider_testerarmy.lifecycle.quarantine_file import read_quarantines
from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.lifecycle.test_memory import Nights, fail
from tests.lifecycle.tries import group, posts, started

pytestmark = pytest.mark.usefixtures("connections")

GATE = {"quarantine_file": "quarantine.yaml"}
YAML = """\
- test: {test}
  owner: ada
  reason: the shop's clock
  until: {until}
"""
#: The nights of the tests are in November 2023.
LATER, PAST = "2024-01-31", "2023-11-01"


@pytest.fixture
def beside(tmp_path):
    """Writes a file into the DAG's folder."""

    def write(text, name="quarantine.yaml"):
        place = tmp_path / name
        place.write_text(text, encoding="utf-8")
        return place

    return write


@pytest.fixture
def nights(service, monkeypatch, tmp_path):
    """Nights of a DAG whose file is in `tmp_path`."""

    class WithDag(Nights):
        def context(self, task):
            return {**super().context(task), "dag": SimpleNamespace(fileloc=str(tmp_path / "dag.py"))}

    return WithDag(service, monkeypatch)


def entry(test=catalog.TEST_CART, until=LATER):
    return YAML.format(test=test, until=until)


def test_a_quarantined_test_is_reported_and_not_judged(nights, service, beside):
    """Without any memory: the gate judges every other failure."""
    beside(entry())
    fail(service, catalog.TEST_CART)
    summary = nights.night(group(gate=GATE))
    assert summary["verdict"] == "passed"
    assert (summary["known"][0]["test_id"], summary["known"][0]["standing"]) == (
        catalog.TEST_CART,
        "quarantined",
    )
    assert any("in quarantine by ada: the shop's clock" in reason for reason in summary["reasons"])
    fail(service, catalog.TEST_LOGIN)
    assert isinstance(nights.night(group(gate=GATE)), TestsFailed)


def test_past_its_end_the_task_fails(nights, beside):
    """Though every test passes."""
    beside(entry(until=PAST))
    assert isinstance(nights.night(group(gate=GATE)), TestsFailed)
    assert "past its end" in nights.summary["reasons"][0]


def test_a_resumed_task_reads_the_file(nights, service, beside):
    """It judges as a task that waits in its worker."""
    beside(entry())
    fail(service, catalog.TEST_CART)
    task = group(gate=GATE, deferrable=True)
    assert isinstance(nights.night(task), TaskDeferred)
    assert nights.through_trigger(task)["verdict"] == "passed"


def test_a_file_beside_a_memory(nights, service, beside, tmp_path):
    """Both count."""
    beside(entry(catalog.TEST_LOGIN))
    gate = GATE | {"fail_on": "new"}
    fail(service, catalog.TEST_CART, catalog.TEST_LOGIN)
    folder = tmp_path / "memory"
    assert isinstance(nights.night(group(gate=gate, memory_path=folder)), TestsFailed)
    summary = nights.night(group(gate=gate, memory_path=folder))
    assert summary["verdict"] == "passed"
    standings = {each["test_id"]: each["standing"] for each in summary["known"]}
    assert standings == {catalog.TEST_CART: "known", catalog.TEST_LOGIN: "quarantined"}


def test_a_sensor_has_a_file_too(nights, service, beside):
    """It judges runs that it did not start, and needs no target for that."""
    beside(entry())
    fail(service, catalog.TEST_CART)
    assert isinstance(nights.night(group()), TestsFailed)
    waits = {"task_id": "tests", "run_ids": started(service), "deferrable": False}
    nights.night(TesterArmyRunSensor(**waits))
    assert nights.summary["verdict"] == "failed"
    judged = nights.night(TesterArmyRunSensor(**waits, gate=GATE))
    assert judged["verdict"] == "passed"


# -- a file that is wrong


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- test: a\n  owner: ada\n  reason: r\n", "Entry 1 (test a): until is missing"),
        (entry() + "  unitl: x\n", "'unitl' is no field"),
        (entry() + "  until: 2024-02-01\n", "An entry has a field twice"),
        (entry(until="2023-02-30"), "is no date"),
        ("{", "It is no YAML"),
        ("", "It must be a list of entries"),
        ("- *a", "It is no YAML"),
        ("&a [*a]", "It is no YAML"),
        ("- !!python/object/apply:os.system ['true']", "It must be"),
        ("[" * 5000, "nested too deeply"),
        ("- " + "x" * LIMIT, "more than 262144 bytes"),
        ("a: &a [x]\n" + "\n".join(f"b{n}: &b{n} [*a, *a]" for n in range(9)), "list of entries"),
    ],
)
def test_a_file_that_is_wrong_fails_the_task_before_it_sends_anything(nights, service, beside, text, why):
    """It must not exclude a test that nobody meant, nor fail the night after the runs were paid for."""
    beside(text)
    ending = nights.night(group(gate=GATE))
    if why == "It must be":
        assert "quarantine.yaml is not valid" in str(ending)
    else:
        assert why in str(ending)
    assert isinstance(ending, RequestRefused)
    assert posts(service) == 0


def test_a_file_that_becomes_wrong_during_the_wait_hides_no_verdict(nights, service, beside):
    """It excludes no test, and the reasons say so."""
    beside(entry())
    task = group(gate=GATE, deferrable=True)
    assert isinstance(nights.night(task), TaskDeferred)
    beside("- test: a")
    summary = nights.through_trigger(task)
    assert summary["verdict"] == "passed"
    assert (
        "quarantine.yaml is not valid. Entry 1 (test a): owner, reason, until are missing."
        in (summary["reasons"][0])
    )
    assert "It excludes no test from this verdict." in summary["reasons"][0]


@pytest.mark.parametrize("what", ["missing", "folder", "pipe"])
def test_a_file_that_cannot_be_read_hides_no_verdict(nights, service, tmp_path, what):
    """Every failure counts, and the reasons say why. Nothing waits for the writer of a pipe."""
    place = tmp_path / "quarantine.yaml"
    if what == "folder":
        place.mkdir()
    elif what == "pipe":
        os.mkfifo(place)
    summary = nights.night(group(gate=GATE))
    assert summary["verdict"] == "passed"
    assert "The quarantine file quarantine.yaml cannot be read" in summary["reasons"][0]
    fail(service, catalog.TEST_CART)
    assert isinstance(nights.night(group(gate=GATE)), TestsFailed)


# -- YAML and JSON


def test_yaml_values_stay_as_they_are_written(tmp_path):
    """010 is not 8, and a date needs no quotes. Quotes, comments and a byte-order mark are no difference."""
    place = tmp_path / "q.yml"
    place.write_text("\ufeff# weekly\n" + YAML.format(test="010", until="'2024-01-31'"), encoding="utf-8")
    declared = read_quarantines("q.yml", str(tmp_path / "dag.py"))
    assert (list(declared.quarantines), declared.fault) == (["010"], "")


def test_json_is_the_same(tmp_path):
    """Also with an absolute path, and in a folder."""
    fields = {"test": "a", "owner": "ada", "reason": "r", "until": "2024-01-31"}
    place = tmp_path / "below" / "q.json"
    place.parent.mkdir()
    place.write_text(json.dumps([fields]))
    for path in ("below/q.json", str(place), "./below/../below/q.json"):
        assert list(read_quarantines(path, str(tmp_path / "dag.py")).quarantines) == ["a"]
    place.write_text('[{"test": "a", "test": "b"}]')
    assert "a field twice" in read_quarantines("below/q.json", str(tmp_path / "dag.py")).fault
    place.write_text("[" * 99999)
    assert read_quarantines("below/q.json", str(tmp_path / "dag.py")).invalid
    place.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in read_quarantines("below/q.json", str(tmp_path / "dag.py")).fault


@pytest.mark.parametrize("path", ["q.txt", "q", "s3://bucket/q.yaml", 5, True, ["q.yaml"]])
def test_a_gate_checks_the_path(path):
    with pytest.raises(GateInvalid, match="quarantine_file"):
        QualityGate.of({"quarantine_file": path})


def test_the_path_keeps_its_case_and_a_gate_without_one_its_digest(tmp_path):
    """Records hold the digest of the gate."""
    assert QualityGate.of({"quarantine_file": " Sub/Q.YAML "}).quarantine_file == "Sub/Q.YAML"
    assert QualityGate.of({"quarantine_file": tmp_path / "q.json"}).quarantine_file == str(
        tmp_path / "q.json"
    )
    assert QualityGate.of({"quarantine_file": "None"}).quarantine_file is None
    assert "quarantine_file" not in str(QualityGate())
    assert QualityGate(quarantine_file="q.yaml").digest() != QualityGate().digest()


def test_a_quarantined_test_is_not_confirmed(nights, service, beside):
    """A failure that does not count is not worth another run; one that counts is."""
    gate = GATE | {"confirm": 2}
    beside(entry())
    fail(service, catalog.TEST_CART)
    assert nights.night(group(gate=gate))["verdict"] == "passed"
    assert posts(service) == 1
    beside("[]")
    assert isinstance(nights.night(group(gate=gate)), TestsFailed)
    assert posts(service) == 3
