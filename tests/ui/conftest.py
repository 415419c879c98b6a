"""The tab needs Airflow 3.1; before, there is nothing of it that could be imported."""

from __future__ import annotations

from airflow_provider_testerarmy.airflow_compat import HAS_EXTERNAL_VIEWS

collect_ignore_glob = [] if HAS_EXTERNAL_VIEWS else ["test_*.py", "browser/*"]
