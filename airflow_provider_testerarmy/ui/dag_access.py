"""Which DAGs a user can read, as Airflow's auth manager decides."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

from airflow_provider_testerarmy.ui import store


def readable_dags(user: Any, candidates: Collection[str]) -> set[str]:
    """Those of the DAGs whose XComs the user can read: test results need the same permission.

    :param user: the signed-in user, as Airflow's `GetUserDep` returns it.
    """
    manager = get_auth_manager()
    return {
        dag_id
        for dag_id in manager.get_authorized_dag_ids(user=user, method="GET") & set(candidates)
        if manager.is_authorized_dag(
            method="GET", access_entity=DagAccessEntity.XCOM, details=details_of(dag_id), user=user
        )
    }


def details_of(dag_id: str) -> DagDetails:
    """The DAG as the auth manager expects it; Airflow versions with multi-team support also need the team."""
    return DagDetails(id=dag_id, **store.team_of(dag_id))
