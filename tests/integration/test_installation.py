from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import DEFAULT_API_KEY
from tests.integration.conftest import WRONG_KEY
from tests.rig.airflow import LocalAirflow, free_port

pytestmark = pytest.mark.integration

COMMANDS = {
    "list": ("providers", "list", "--output", "plain"),
    "get": ("providers", "get", "airflow-provider-testerarmy", "--output", "yaml"),
    "hooks": ("providers", "hooks", "--output", "plain"),
    "links": ("providers", "links", "--output", "plain"),
}


@pytest.fixture(scope="module")
def shown(airflow: LocalAirflow) -> dict[str, str]:
    """What `airflow providers ...` prints; each command takes seconds to start, so two run at a time."""
    with ThreadPoolExecutor(2) as pool:
        ended = dict(
            zip(COMMANDS, pool.map(lambda words: airflow.cli(*words), COMMANDS.values()), strict=True)
        )
    assert {name: one.stderr for name, one in ended.items() if one.returncode} == {}
    return {name: one.stdout for name, one in ended.items()}


def test_airflow_lists_the_provider(shown: dict[str, str]) -> None:
    """By its name and version."""
    (line,) = [line for line in shown["list"].splitlines() if "airflow-provider-testerarmy" in line]
    assert "0.1.0" in line
    assert "airflow-provider-testerarmy" in shown["get"]


@pytest.mark.parametrize(("conn_type", "hook"), [("testerarmy", "TesterArmyHook"), ("docket", "DocketHook")])
def test_airflow_knows_the_connection_types(shown: dict[str, str], conn_type: str, hook: str) -> None:
    """And can import their hooks."""
    (line,) = [line for line in shown["hooks"].splitlines() if line.split()[:1] == [conn_type]]
    assert hook in line
    assert "False" not in line


@pytest.mark.parametrize("link", ["TesterArmyRunLink", "DocketRunLink"])
def test_airflow_knows_the_links(shown: dict[str, str], link: str) -> None:
    """Otherwise a button would be missing."""
    assert link in shown["links"]


def test_the_test_button(airflow: LocalAirflow, sandbox: SandboxServer) -> None:
    """A good connection says which projects the key sees."""
    good, message = airflow.press_test(
        "ta_form", "testerarmy", host=sandbox.url, password=DEFAULT_API_KEY, port=0, extra={"workspace": None}
    )
    assert good, message
    assert "Acme Shop" in message


@pytest.mark.parametrize("port", [0, None])
def test_the_test_button_of_a_saved_connection(
    airflow: LocalAirflow, sandbox: SandboxServer, port: int | None
) -> None:
    """The page posts port 0 for no port, whether none or 0 is stored."""
    conn_id = f"ta_saved_{port}"
    airflow.create_connection(conn_id, "testerarmy", host=sandbox.url, password=DEFAULT_API_KEY, port=port)
    shown = airflow.rest.get(f"/connections/{conn_id}")
    # As `TestConnectionButton` of Airflow's page makes it: the password is masked, and null is 0 as a number.
    fields = {name: shown[name] or "" for name in ("host", "login", "password", "schema")}
    good, message = airflow.press_test(conn_id, "testerarmy", port=shown["port"] or 0, extra="{}", **fields)
    assert fields["password"] != DEFAULT_API_KEY
    assert good, message


def test_the_test_button_with_a_bad_key(airflow: LocalAirflow, sandbox: SandboxServer) -> None:
    """It says where keys are made, and does not show this one."""
    good, message = airflow.press_test("ta_form", "testerarmy", host=sandbox.url, password=WRONG_KEY)
    assert not good
    assert "rejected the API key" in message
    assert "https://tester.army/dashboard/profile/api-keys" in message
    assert WRONG_KEY not in message


def test_the_test_button_without_a_service(airflow: LocalAirflow) -> None:
    """It says that there was no connection."""
    host = f"http://127.0.0.1:{free_port()}/api/v1"
    good, message = airflow.press_test("ta_form", "testerarmy", host=host, password="sk_any")
    assert not good
    assert host in message


def test_the_test_button_with_plain_http(airflow: LocalAirflow) -> None:
    """The key is not sent."""
    good, message = airflow.press_test(
        "ta_form", "testerarmy", host="http://tester.army/api/v1", password="sk_any"
    )
    assert not good
    assert "plain http" in message
