"""An auth manager with rights per DAG, which Airflow's simple one cannot express."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: Users who can access only the DAGs whose id starts with this prefix.
ONLY = {"outsider": "open_"}
#: Users who can access DAGs but not XComs.
WITHOUT_XCOM = frozenset({"blind"})


class PerDagAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, which denies some DAGs to some users."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        allowed = super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
        begin = ONLY.get(user.username, "")
        if begin and details is not None and details.id is not None:
            allowed = allowed and details.id.startswith(begin)
        if user.username in WITHOUT_XCOM and getattr(access_entity, "name", "") == "XCOM":
            return False
        return allowed
