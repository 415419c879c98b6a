"""The tab in an Airflow whose XComs are in an object store from 1,000 bytes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.browser.stage import stage

pytestmark = pytest.mark.integration


def test_tab_and_history_show_the_verdict(tmp_path: Path) -> None:
    """The database has only a reference to the summary."""
    env = {
        "AIRFLOW__CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"file://{tmp_path}/xcoms",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "1000",
    }
    with stage(tmp_path / "airflow", env=env) as staged:
        run_id = staged.run("widgets")
        stored = staged.airflow.xcom("widgets", run_id, "widgets", "return_value")
        assert str(stored).startswith("file://")
        with staged.client("viewer") as client:
            task = client.get("dags/widgets/task", params={"run_id": run_id, "task_id": "widgets"}).json()
            listed = client.get("dags/widgets/dag-run", params={"run_id": run_id}).json()["tasks"]
            history = client.get("history").json()["runs"]
    verdict = task["summary"]["verdict"]
    assert verdict in ("passed", "failed")
    assert [[entry["verdict"] for entry in entries] for entries in (listed, history)] == [[verdict]] * 2
