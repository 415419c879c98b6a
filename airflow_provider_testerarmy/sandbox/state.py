"""Everything that the sandbox remembers, in one handle: for the routes, and for tests in Python."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_testerarmy.sandbox.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.docket_store import DocketStore
from airflow_provider_testerarmy.sandbox.faults import FaultPlan
from airflow_provider_testerarmy.sandbox.requestlog import RequestLog
from airflow_provider_testerarmy.sandbox.store import RunStore
from airflow_provider_testerarmy.sandbox.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_testerarmy.sandbox.catalog import Catalog

DEFAULT_API_KEY = "sk_sandbox_key"
FORBIDDEN_KEY_PREFIX = "sk_forbidden"

Down = Literal["reset", "html"]


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


class Sandbox:
    """The sandbox's whole state, with the same powers as the control routes; safe from any thread.

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
        catalog: Catalog | None = None,
    ) -> None:
        self.clock = clock or SandboxClock()
        self.keys = ApiKeys(api_keys)
        self.store = RunStore(self.clock, catalog)
        self.docket = DocketStore(self.clock)
        self.faults = FaultPlan()
        self.log = RequestLog()
        self.latency = self._initial_latency = latency
        self.down: Down | None = None

    @property
    def dedupe(self) -> bool:
        """Whether a run that duplicates one in flight is cancelled at once."""
        return self.store.dedupe

    @dedupe.setter
    def dedupe(self, value: bool) -> None:
        self.store.dedupe = value

    def reset(self) -> None:
        """Forget runs, faults, calls, keys and switches; only the clock goes on."""
        self.store.clear()
        self.docket.clear()
        self.faults.clear()
        self.log.clear()
        self.keys.restore()
        self.latency = self._initial_latency
        self.down = None
        self.dedupe = False

    def state(self) -> dict[str, Any]:
        """Return a summary: the clock, the switches, and how many runs and calls there are."""
        return {
            "clock": {
                "now": iso(self.clock.time()),
                "speed": self.clock.speed,
                "manual": self.clock.manual,
                "skew": self.clock.skew,
            },
            "switches": {"dedupe": self.dedupe, "down": self.down},
            "latency": self.latency,
            "runs": self.store.count_by_status(),
            "runCount": len(self.store.runs),
            "batchCount": len(self.store.batches),
            "activeRunIds": self.store.active_run_ids(),
            "docket": {
                "runs": self.docket.count_by_status(),
                "groupRunCount": len(self.docket.group_runs),
                "activeRunIds": self.docket.active_run_ids(),
            },
            "requests": self.log.counts(),
            "submissions": len(self.log.submissions()),
            "cancellations": len(self.log.cancellations()),
            "faults": [fault.as_dict() for fault in self.faults.all()],
        }
