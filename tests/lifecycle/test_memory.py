"""A gate that remembers: new failures fail a night, known ones are listed, and no fault hides a verdict."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.airflow_compat import asset_states
from airflow_provider_testerarmy.exceptions import RequestRefused, TestsFailed
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.lifecycle import tries as tries_module
from tests.lifecycle.tries import Tries, group, posts, started

pytestmark = pytest.mark.usefixtures("connections")

NEW = {"fail_on": "new"}
DAY = 86_400
NEEDS_ASSETS = pytest.mark.skipif(
    not airflow_compat.ASSET_STATE_STORE.available, reason="this Airflow has no asset state store"
)


class AssetStates(dict):
    """Airflow's asset state store of one asset. It counts its calls, and fails them while it is broken."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.broken = False

    def get(self, key, default=None):
        self._called()
        return super().get(key, default)

    def set(self, key, value):
        self._called()
        self[key] = value

    def delete(self, key):
        self._called()
        self.pop(key, None)

    def _called(self):
        self.calls += 1
        if self.broken:
            raise RuntimeError("the API server is away")


class Nights(Tries):
    """DAG runs of one task: each night has its own record, and all share what Airflow keeps for the asset."""

    def __init__(self, service, monkeypatch, states=None):
        super().__init__(service)
        self.states = states
        self._patch = monkeypatch
        self.number = 0
        #: Seconds that have passed in pauses, as the fixture ``no_pauses`` counts them.
        self.paused = [0.0]
        #: Seconds that the next night was due before it is judged.
        self.late = 0.0

    def night(self, task, **numbers):
        """Run the task in another DAG run, a day later."""
        self.number += 1
        self.store = tries_module.Store()
        self._patch.setattr(tries_module.TaskInstance, "run_id", f"night {self.number}")
        at = 1_700_000_000 + self.number * DAY
        self._patch.setattr(ServiceSession, "clock", staticmethod(lambda: at + self.paused[0]))
        return self.execute(task, **numbers)

    def context(self, task):
        context = super().context(task)
        context["dag_run"].run_after = datetime.fromtimestamp(ServiceSession.clock() - self.late, UTC)
        if self.states is not None:
            context["asset_state_store"] = {asset_states._asset(): self.states}
        return context


@pytest.fixture
def folder(service, monkeypatch):
    """Nights whose memory is in a folder."""
    return Nights(service, monkeypatch)


def failing(tmp_path, **parameters):
    return group(**{"memory_path": tmp_path, "gate": NEW} | parameters)


def fail(service, *tests):
    for each in tests:
        service.control.store.override_script(each, "fails")


def test_a_known_failure_is_listed_and_a_new_one_fails(folder, service, tmp_path):
    """Night 1 fails, night 2 has the same failure, night 3 has another one as well."""
    fail(service, catalog.TEST_CART)
    assert isinstance(folder.night(failing(tmp_path, commit_sha="4f2d1c9aa")), TestsFailed)
    assert folder.summary["known"] == []
    summary = folder.night(failing(tmp_path, commit_sha="5e3d1c9aa"))
    assert summary["verdict"] == "passed"
    assert "1 known failure" in summary["reasons"][0]
    assert "since 2 nights, first on commit 4f2d1c9" in summary["reasons"][0]
    (entry,) = summary["known"]
    title = entry.pop("title")
    assert title in summary["reasons"][0]
    assert entry == {
        "test_id": catalog.TEST_CART,
        "standing": "known",
        "nights": 2,
        "since": "2023-11-15",
        "commit": "4f2d1c9aa",
    }
    fail(service, catalog.TEST_LOGIN)
    ending = folder.night(failing(tmp_path))
    assert isinstance(ending, TestsFailed)
    assert [each["test_id"] for each in folder.summary["known"]] == [catalog.TEST_CART]
    assert any("last good 2023-11-16" in reason for reason in folder.summary["reasons"])


def test_a_failure_is_new_again_after_a_pass_and_after_known_for(folder, service, tmp_path):
    """Only a failure without a pass in between is known, and only for `known_for`."""
    short = {"fail_on": "new", "known_for": "36h"}
    fail(service, catalog.TEST_CART)
    folder.night(failing(tmp_path, gate=short))
    assert folder.night(failing(tmp_path, gate=short))["verdict"] == "passed"
    assert isinstance(folder.night(failing(tmp_path, gate=short)), TestsFailed)
    service.control.store.override_script(catalog.TEST_CART, None)
    assert folder.night(failing(tmp_path))["verdict"] == "passed"
    fail(service, catalog.TEST_CART)
    assert isinstance(folder.night(failing(tmp_path)), TestsFailed)


def test_the_first_night_can_be_a_baseline(folder, service, tmp_path):
    """The failures of the first night pass, and are known from then on."""
    gate = {**NEW, "baseline": "accept"}
    fail(service, catalog.TEST_CART)
    summary = folder.night(failing(tmp_path, gate=gate))
    assert (summary["verdict"], summary["known"][0]["standing"]) == ("passed", "baseline")
    assert folder.night(failing(tmp_path, gate=gate))["known"][0]["standing"] == "known"


def test_a_flaky_test_is_quarantined(folder, service, tmp_path):
    """After four changes between passed and failed, its failure is reported and not judged."""
    gate = {"quarantine": {"after_transitions": 4, "of": 10, "for": "14d"}}
    for outcome in ("passes", "fails", "passes", "fails"):
        service.control.store.override_script(catalog.TEST_CART, outcome)
        folder.night(failing(tmp_path, gate=gate))
    assert folder.summary["verdict"] == "failed"
    service.control.store.override_script(catalog.TEST_CART, "passes")
    folder.night(failing(tmp_path, gate=gate))
    fail(service, catalog.TEST_CART)
    summary = folder.night(failing(tmp_path, gate=gate))
    assert (summary["verdict"], summary["known"][0]["standing"]) == ("passed", "quarantined")
    assert "quarantined" in summary["known"][0]["note"].lower()


def test_a_clear_replaces_its_night(folder, service, tmp_path):
    """A failure does not become known by running the same DAG run again."""
    fail(service, catalog.TEST_CART)
    assert isinstance(folder.night(failing(tmp_path)), TestsFailed)
    assert isinstance(folder.execute(failing(tmp_path), try_number=2, max_tries=1), TestsFailed)
    assert folder.night(failing(tmp_path))["known"][0]["nights"] == 2


def test_environments_have_memories_of_their_own(folder, service, tmp_path):
    """A failure that is known on staging is new in production."""
    fail(service, catalog.TEST_CART)
    where = {"target_url": "https://shop.example"}
    folder.night(failing(tmp_path, environment="staging", **where))
    assert folder.night(failing(tmp_path, environment="staging", **where))["verdict"] == "passed"
    assert isinstance(folder.night(failing(tmp_path, environment="production", **where)), TestsFailed)


def test_a_resumed_try_remembers_as_well(folder, service, tmp_path):
    """It has no request of its own, and finds the same memory."""
    fail(service, catalog.TEST_CART)
    where = {"target_url": "https://shop.example", "environment": "staging", "commit_sha": "4f2d1c9aa"}
    folder.night(failing(tmp_path, **where))
    task = failing(tmp_path, deferrable=True, **where)
    assert isinstance(folder.night(task), TaskDeferred)
    assert folder.through_trigger(task)["known"][0]["commit"] == "4f2d1c9aa"


def test_a_memory_that_cannot_be_read_hides_no_verdict(folder, service, tmp_path, capsys):
    """Every failure counts then, and log and reasons say why. What is there stays as it is."""
    fail(service, catalog.TEST_CART)
    folder.night(failing(tmp_path))
    (pointer,) = tmp_path.glob("*-pointer.json")
    pointer.write_text("{")
    assert isinstance(folder.night(failing(tmp_path)), TestsFailed)
    reasons = folder.summary["reasons"]
    assert "This night is not remembered" in reasons[0]
    assert "cannot be read" in reasons[1]
    assert "This night is not remembered" in capsys.readouterr().out
    assert pointer.read_text() == "{"
    service.control.store.override_script(catalog.TEST_CART, None)
    assert folder.night(failing(tmp_path))["verdict"] == "passed"


def test_a_folder_that_cannot_be_written_hides_no_verdict(folder, tmp_path):
    """A file has the name of the folder."""
    path = tmp_path / "file"
    path.write_text("")
    summary = folder.night(failing(path))
    assert summary["verdict"] == "passed"
    assert "not remembered" in summary["reasons"][0]


# -- Airflow's own store


@NEEDS_ASSETS
def test_airflow_keeps_the_memory(service, monkeypatch):
    """The task has the asset as its inlet, and needs no folder."""
    states = AssetStates()
    nights = Nights(service, monkeypatch, states)
    fail(service, catalog.TEST_CART)
    task = group(gate=NEW, inlets=["other"])
    assert [getattr(each, "name", each) for each in task.inlets] == ["other", "testerarmy-memory"]
    assert isinstance(nights.night(task), TestsFailed)
    assert nights.night(group(gate=NEW))["known"][0]["nights"] == 2
    states.broken = True
    assert isinstance(nights.night(group(gate=NEW)), TestsFailed)
    assert "the API server is away" in " ".join(nights.summary["reasons"])


@NEEDS_ASSETS
def test_a_gate_that_does_not_ask_has_no_memory(service, monkeypatch):
    """No inlet, no call, no key in the summary."""
    states = AssetStates()
    nights = Nights(service, monkeypatch, states)
    task = group(gate={"min_pass_rate": 0.5})
    assert task.inlets == []
    assert "known" not in nights.night(task)
    assert states.calls == 0


@NEEDS_ASSETS
def test_a_path_that_renders_to_nothing_is_refused(folder, service):
    """The task has no inlet, because its memory was to be in a folder."""
    task = group(gate=NEW, memory_path="{{ params.path }}")
    assert task.inlets == []
    task.memory_path = ""
    assert isinstance(folder.night(task), RequestRefused)
    assert posts(service) == 0


@NEEDS_ASSETS
def test_a_mapped_task_has_the_inlet():
    """Airflow reads the inlets of a mapped task before it makes the operator."""
    kind = type(group())
    mapped = kind.partial(task_id="tests", gate=NEW).expand(group_id=[catalog.GROUP_NIGHTLY])
    assert [each.name for each in mapped.inlets] == ["testerarmy-memory"]


def test_a_templated_gate_without_a_place_is_refused(folder, service):
    """Nothing is sent."""
    task = group(gate="{{ params.gate }}")
    task.gate = '{"fail_on": "new"}'
    ending = folder.night(task)
    assert isinstance(ending, RequestRefused)
    assert "Set memory_path" in str(ending)
    assert (posts(service), started(service)) == (0, [])


def test_an_old_airflow_needs_a_folder(monkeypatch):
    """The DAG file fails."""
    monkeypatch.setattr(type(airflow_compat.ASSET_STATE_STORE), "available", False)
    with pytest.raises(ValueError, match="Set memory_path"):
        group(gate=NEW)
    assert group(gate=NEW, memory_path="s3://bucket/memory").inlets == []


@pytest.mark.parametrize("path", [5, True, ["a"], {"a": 1}])
def test_a_memory_path_is_a_folder(path):
    with pytest.raises(ValueError, match="memory_path"):
        group(gate=NEW, memory_path=path)


def test_a_sensor_has_no_memory():
    with pytest.raises(ValueError, match="A sensor has no memory"):
        TesterArmyRunSensor(task_id="wait", run_ids=[catalog.TEST_CART], gate=NEW)


def test_nights_are_in_the_order_in_which_they_were_due(folder, service, tmp_path):
    """A backfill plays the night before the first one, and its failure hides none of tonight."""
    assert folder.night(failing(tmp_path))["verdict"] == "passed"
    fail(service, catalog.TEST_CART)
    folder.late = 1.5 * DAY
    assert "No earlier night is remembered" in str(folder.night(failing(tmp_path)))
    folder.late = 0.0
    assert "new: last good 2023-11-15, first bad 2023-11-17" in str(folder.night(failing(tmp_path)))
