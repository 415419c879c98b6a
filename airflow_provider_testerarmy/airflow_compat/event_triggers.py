"""Airflow's base classes of event triggers with a shared stream, and the store of a watcher's cursor.

:raises ImportError: on import, before Airflow 3.3.
"""

from __future__ import annotations

from typing import Any, Final

from airflow_provider_testerarmy.airflow_compat.features import EVENT_TRIGGERS, INSTALLED

if not EVENT_TRIGGERS.available:
    raise ImportError(
        f"Event triggers need Airflow {EVENT_TRIGGERS.version} or later. This is Airflow "
        f"{'.'.join(map(str, INSTALLED))}. Poll with a sensor or an operator instead."
    )

from airflow.triggers.base import BaseEventTrigger
from airflow.triggers.shared_stream import SharedStreamProducer

__all__ = ["BaseEventTrigger", "CursorStore", "SharedStreamProducer"]

#: The key in the asset state store. A later trigger of another kind may use the same asset.
_KEY: Final = "testerarmy_events"


class CursorStore:
    """The cursor of a trigger, in the state store of each asset that it watches.

    :param stores: what Airflow gives to the trigger; None outside of an asset watcher.
    :param name: distinguishes the triggers that watch for the same asset.
    """

    def __init__(self, stores: Any, name: str) -> None:
        # Two assets with equal triggers share one trigger. Airflow's own `aget` accepts a single asset only.
        self._stores = [] if stores is None else [*stores._by_name.values(), *stores._by_uri.values()]
        self._key = f"{_KEY}_{name}"

    @property
    def durable(self) -> bool:
        """Whether the cursor survives a restart of the triggerer."""
        return bool(self._stores)

    async def read(self) -> Any:
        """The stored cursor; None if there is none.

        :raises Exception: if Airflow cannot read it.
        """
        for store in self._stores:
            if (found := await store.aget(self._key)) is not None:
                return found
        return None

    async def write(self, value: Any) -> None:
        """Store the cursor.

        :raises Exception: if Airflow cannot store it.
        """
        for store in self._stores:
            await store.aset(self._key, value)
