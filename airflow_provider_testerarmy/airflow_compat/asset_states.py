"""The store of a gate's memory in Airflow: the asset state store of one asset of the provider's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from airflow_provider_testerarmy.airflow_compat.features import ASSET_STATE_STORE

_NAME: Final = "testerarmy-memory"
_URI: Final = "testerarmy://memory"


def with_memory_inlet(inlets: Any) -> list[Any]:
    """The inlets of a task with the asset of the memory; Airflow before 3.3 gets them unchanged."""
    own = list(inlets) if isinstance(inlets, list | tuple | set) else [] if inlets is None else [inlets]
    if not ASSET_STATE_STORE.available or any(getattr(each, "name", None) == _NAME for each in own):
        return own
    return [*own, _asset()]


def memory_store(context: Mapping[str, Any]) -> Any:
    """Airflow's store of the memory, with ``get``, ``set`` and ``delete``; None if the task has no such inlet."""
    stores = context.get("asset_state_store")
    if stores is None or not ASSET_STATE_STORE.available:
        return None
    try:
        return stores[_asset()]
    except KeyError:
        return None


def memory_asset() -> tuple[str, str]:
    """The name and the URI of the asset as Airflow stores them; it adds a slash to the URI."""
    asset = _asset()
    return asset.name, asset.uri


@cache
def _asset() -> Any:
    from airflow.sdk import Asset

    return Asset(name=_NAME, uri=_URI)
