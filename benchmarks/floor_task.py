"""The floor: an operator that only defers, and a trigger that waits for a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

#: Seconds between two looks at the file.
INTERVAL = 1.0


class FileTrigger(BaseTrigger):
    """Fires once a file exists."""

    def __init__(self, path: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """As every trigger."""
        return f"{__name__}.FileTrigger", {"path": self.path}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the file."""
        while not Path(self.path).exists():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(INTERVAL)
        yield TriggerEvent(True)


class DeferOnlyOperator(BaseOperator):
    """Defers, and returns what the trigger has sent."""

    template_fields = ("path",)

    def __init__(self, *, path: str, number: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.number = number

    def execute(self, context: Any) -> None:
        """Defer."""
        self.defer(trigger=FileTrigger(self.path), method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> Any:
        """Return the event."""
        return event
