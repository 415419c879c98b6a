"""The state that both vendors' APIs share: clock, API keys, faults, request log, and each vendor's store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.core.faults import FaultPlan
from airflow_provider_testerarmy.sandbox.core.requestlog import RequestLog

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_API_KEY = "sk_sandbox_key"
FORBIDDEN_KEY_PREFIX = "sk_forbidden"

Down = Literal["reset", "html"]


class Store(Protocol):
    """The stored state of one vendor."""

    def clear(self) -> None:
        """Delete all of it."""


S = TypeVar("S", bound=Store)


class ApiKeys:
    """The API keys that are currently valid."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._initial = frozenset(keys)
        self._valid = set(self._initial)

    def add(self, key: str) -> None:
        """Make a key valid."""
        with self._lock:
            self._valid.add(key)

    def revoke(self, key: str) -> None:
        """Make a key invalid."""
        with self._lock:
            self._valid.discard(key)

    def restore(self) -> None:
        """Restore the initial keys."""
        with self._lock:
            self._valid = set(self._initial)

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._valid


class Service:
    """The shared state behind every API call; thread-safe.

    :param clock: the clock to use; None for one at real time.
    :param api_keys: the API keys to accept.
    :param latency: the minimum duration of every API call, in real seconds.
    """

    def __init__(
        self,
        clock: SandboxClock | None = None,
        *,
        api_keys: Iterable[str] = (DEFAULT_API_KEY,),
        latency: float = 0.0,
    ) -> None:
        self.clock = clock or SandboxClock()
        self.keys = ApiKeys(api_keys)
        self.faults = FaultPlan()
        self.log = RequestLog()
        self.latency = self._initial_latency = latency
        self.down: Down | None = None
        self._stores: list[Store] = []

    def register(self, store: S) -> S:
        """Register a vendor's store; its routes find it by its class."""
        self._stores.append(store)
        return store

    def store_of(self, kind: type[S]) -> S:
        """Return the store of that class."""
        return next(store for store in self._stores if isinstance(store, kind))

    def reset(self) -> None:
        """Reset runs, faults, request log, API keys and switches, but not the clock."""
        for store in self._stores:
            store.clear()
        self.faults.clear()
        self.log.clear()
        self.keys.restore()
        self.latency = self._initial_latency
        self.down = None
