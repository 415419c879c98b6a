"""The store of gates' memories as the command line reads it: directly in Airflow's database (3.3+)."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_testerarmy.airflow_compat.asset_states import memory_asset
from airflow_provider_testerarmy.airflow_compat.features import ASSET_STATE_STORE
from airflow_provider_testerarmy.airflow_compat.records import has_own_state_backend


class NoMemoryStore(Exception):
    """Airflow has no store of memories that the command line can use."""


class MemoryDatabase:
    """Airflow's asset state store of the memories; as ``memory_store``, and it can list its keys.

    :raises NoMemoryStore: with the reason and the way out.
    """

    def __init__(self) -> None:
        if not ASSET_STATE_STORE.available:
            raise NoMemoryStore(
                f"Airflow before {ASSET_STATE_STORE.version} has no asset state store. Set --memory-path."
            )
        from airflow._shared.state import AssetScope
        from airflow.state import get_state_backend
        from airflow.state.metastore import MetastoreBackend

        self._backend: Any = get_state_backend()
        if has_own_state_backend() or not isinstance(self._backend, MetastoreBackend):
            raise NoMemoryStore(
                "This deployment has a custom state backend, which the command line does not read. Use a "
                "memory_path for the tasks, and --memory-path here."
            )
        self._asset_id = _asset_id()
        self._scope = AssetScope(asset_id=self._asset_id)

    def get(self, key: str) -> str | None:
        """The text of a key."""
        value = self._backend.get(self._scope, key)
        # The execution API stores JSON.
        return None if value is None else json.loads(value)

    def set(self, key: str, text: str) -> None:
        """Store a text. Airflow shows the writer as "api", its word for whatever is no task."""
        from airflow._shared.state import AssetStateStoreWriterKind

        kind = AssetStateStoreWriterKind.API
        self._backend.set_asset_state_store(self._scope, key, json.dumps(text), kind=kind)

    def delete(self, key: str) -> None:
        """Remove a text."""
        self._backend.delete(self._scope, key)

    def keys(self) -> list[str]:
        """All keys."""
        from airflow.models.asset_state_store import AssetStateStoreModel as Stored
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return list(session.scalars(select(Stored.key).where(Stored.asset_id == self._asset_id)))


def _asset_id() -> int:
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    name, uri = memory_asset()
    query = select(AssetModel.id).where(AssetModel.name == name, AssetModel.uri == uri)
    with create_session() as session:
        found: int | None = session.scalar(query)
    if found is None:
        raise NoMemoryStore(
            "Airflow knows no DAG with a gate that remembers. Wait until Airflow has read the DAG file, or set "
            "--memory-path."
        )
    return found
