"""Which key the requests of one try use."""

from __future__ import annotations

import json
import os

import pytest

from airflow_provider_testerarmy.client.testerarmy import operations
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.lifecycle.interrupts import Interrupts
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.flow import Flow, ask
from airflow_provider_testerarmy.runs.service import FaultKind, ServiceFault
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY

pytestmark = pytest.mark.usefixtures("connections")


@pytest.fixture
def change_key(service, monkeypatch):
    """Replaces the key at the service and in the connection."""

    def change():
        service.control.keys.add("sk_new")
        service.control.keys.revoke(DEFAULT_API_KEY)
        connection = json.loads(os.environ["AIRFLOW_CONN_TESTERARMY_DEFAULT"]) | {"password": "sk_new"}
        monkeypatch.setenv("AIRFLOW_CONN_TESTERARMY_DEFAULT", json.dumps(connection))

    return change


def listed() -> Flow[object]:
    return (yield from ask(operations.list_projects()))


def fault_of(session: ServiceSession) -> FaultKind | None:
    try:
        session.drive(listed())
    except ServiceFault as fault:
        return fault.kind
    return None


def session_of(**options):
    return ServiceSession(TesterArmyHook("testerarmy_default"), Interrupts(), **options)


def test_the_request_after_a_rejected_key_uses_the_newest_one(change_key):
    """The connection was changed while the task ran."""
    session = session_of()
    change_key()
    assert [fault_of(session) for _ in range(3)] == [FaultKind.DENIED, None, None]


def test_a_session_of_the_listener_keeps_its_connection(change_key):
    """A plain read could find another connection than that of the DAG's team."""
    session = session_of(follows_key=False)
    change_key()
    assert [fault_of(session) for _ in range(3)] == [FaultKind.DENIED] * 3


def test_a_wait_that_a_kill_may_interrupt_does_not_read_the_connection(change_key):
    """Interrupting a message to Airflow would garble the next one."""
    session = session_of()
    change_key()
    with session.interrupts.waiting():
        assert [fault_of(session) for _ in range(2)] == [FaultKind.DENIED] * 2
