"""The section `[testerarmy]` in Airflow's own page of its configuration."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from airflow_provider_testerarmy.configuration import OPTIONS
from tests.ui.browser.stage import REPOSITORY_URL

pytestmark = pytest.mark.integration


def test_the_section_is_in_airflows_configuration_page(visit, staged):
    """With what the environment sets, and with the defaults. Airflow leaves out keys without a value."""
    page = visit("admin").page
    page.goto(f"{staged.airflow.url}/configs")
    rows = page.get_by_role("row").filter(has=page.get_by_role("cell", name="testerarmy", exact=True))
    expect(rows.first).to_be_visible()
    cells = [[cell.inner_text() for cell in row.get_by_role("cell").all()] for row in rows.all()]
    shown = {key: value for _, key, value, *_ in cells}
    defaults = {name: each.default for name, each in OPTIONS.items() if each.default is not None}
    assert shown == {**defaults, "repository_url": REPOSITORY_URL}
