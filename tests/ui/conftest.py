"""The tab needs Airflow 3.1; on earlier versions its modules cannot be imported."""

from __future__ import annotations

from airflow_provider_testerarmy.airflow_compat import UI_TAB

collect_ignore_glob = [] if UI_TAB.available else ["test_*.py", "browser/*"]
