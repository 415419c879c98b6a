"""Airflow's own page of connections: its *Test* button on saved connections of this provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.rig.sandbox import docket_connection, sandbox_connection
from tests.ui.browser.chromium import Watched
from tests.ui.browser.stage import Stage

pytestmark = pytest.mark.integration

Visit = Callable[..., Watched]


@pytest.fixture(scope="module")
def saved(staged: Stage) -> Iterator[None]:
    """Connections in Airflow's database, without a port, as the form saves them."""
    vendors = {"saved_army": sandbox_connection, "saved_docket": docket_connection}
    for name, fields in vendors.items():
        given = dict(fields(staged.sandbox.url))
        staged.airflow.create_connection(name, str(given.pop("conn_type")), **given)
    staged.airflow.create_connection("saved_http", "http", host="http://127.0.0.1:9", password="secret")
    yield
    for name in (*vendors, "saved_http"):
        staged.airflow.rest.request("DELETE", f"/connections/{name}")


@pytest.mark.parametrize("conn_id", ["saved_army", "saved_docket"])
def test_the_button_tests_a_saved_connection(staged: Stage, saved: None, visit: Visit, conn_id: str) -> None:
    """The page sends port 0 and masked credentials; the stored ones are used."""
    page = visit("admin").page
    page.goto(f"{staged.airflow.url}/connections")
    row = page.get_by_role("row").filter(has_text=conn_id)
    with page.expect_response(lambda answer: answer.url.endswith("/connections/test")) as pressed:
        row.get_by_role("button", name="Test Connection").click()
    sent = pressed.value.request.post_data_json
    assert (sent["port"], sent["connection_id"]) == (0, conn_id)
    assert pressed.value.status == 200, pressed.value.text()
    expect(page.get_by_text("Test Connection Successful")).to_be_visible()


def press(staged: Stage, user: str | None, **changes: object) -> httpx.Response:
    """What the page sends for a saved connection."""
    given = {"connection_id": "saved_army", "conn_type": "testerarmy", "password": "***", "port": 0}
    with staged.client(user) as client:
        url = f"{staged.airflow.url}/api/v2/connections/test"
        return client.post(url, json={**given, "host": staged.sandbox.url, **changes})


@pytest.mark.parametrize(("user", "status"), [(None, 401), ("viewer", 403), ("admin", 200)])
def test_airflow_still_decides_who_may(staged: Stage, saved: None, user: str | None, status: int) -> None:
    assert press(staged, user).status_code == status


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "http://127.0.0.1:9"},
        {"port": 9},
        {"connection_id": "saved_http", "conn_type": "http", "host": "http://127.0.0.1:9"},
    ],
    ids=["another host", "another port", "another type"],
)
def test_a_stored_key_is_sent_nowhere_else(staged: Stage, saved: None, changes: dict[str, object]) -> None:
    """Airflow refuses to send the stored credentials to another place, as before."""
    answer = press(staged, "admin", **changes)
    assert answer.status_code == 400
    assert "differs from the stored connection" in answer.text


def test_another_method_is_refused(staged: Stage) -> None:
    with staged.client("admin") as client:
        assert client.put(f"{staged.airflow.url}/api/v2/connections/test", json={}).status_code == 405
