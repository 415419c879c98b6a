"""What the vendors' APIs share: a clock, keys, faults, the log, and each vendor's own store."""

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
    """What one vendor remembers."""

    def clear(self) -> None:
        """Forget all of it."""


S = TypeVar("S", bound=Store)


class ApiKeys:
    """The keys that are accepted at the moment."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._initial = frozenset(keys)
        self._valid = set(self._initial)

    def add(self, key: str) -> None:
        """Accept a key from now on."""
        with self._lock:
            self._valid.add(key)

    def revoke(self, key: str) -> None:
        """Refuse a key from now on."""
        with self._lock:
            self._valid.discard(key)

    def restore(self) -> None:
        """Accept exactly the keys of the beginning again."""
        with self._lock:
            self._valid = set(self._initial)

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._valid


class Service:
    """What every call to the sandbox is made to, whichever vendor it plays; safe from any thread.

    :param clock: the clock to live by.
    :param api_keys: the keys to accept.
    :param latency: real seconds that every API call takes at least.
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
        """Keep a vendor's store, which its routes find by its class."""
        self._stores.append(store)
        return store

    def store_of(self, kind: type[S]) -> S:
        """Return the store of that class."""
        return next(store for store in self._stores if isinstance(store, kind))

    def reset(self) -> None:
        """Forget runs, faults, calls, keys and switches; only the clock goes on."""
        for store in self._stores:
            store.clear()
        self.faults.clear()
        self.log.clear()
        self.keys.restore()
        self.latency = self._initial_latency
        self.down = None
