"""The sandbox's state in one object, for the control API and for tests in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.sandbox.core.service import DEFAULT_API_KEY, Service
from airflow_provider_testerarmy.sandbox.core.times import iso
from airflow_provider_testerarmy.sandbox.docket.store import DocketStore
from airflow_provider_testerarmy.sandbox.testerarmy.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
    from airflow_provider_testerarmy.sandbox.testerarmy.catalog import Catalog
    from airflow_provider_testerarmy.sandbox.testerarmy.workspace import ObjectStore

__all__ = ["DEFAULT_API_KEY", "Sandbox"]


class Sandbox(Service):
    """The sandbox's state; it can do whatever the control API can. Thread-safe.

    :param clock: the clock to use; None for one at real time.
    :param api_keys: the API keys to accept.
    :param latency: the minimum duration of every API call, in real seconds.
    :param catalog: TesterArmy's projects, groups and tests; None for the default catalog.
    :param object_store: receives the bytes of apps; None for the sandbox's own store.
    """

    def __init__(
        self,
        clock: SandboxClock | None = None,
        *,
        api_keys: Iterable[str] = (DEFAULT_API_KEY,),
        latency: float = 0.0,
        catalog: Catalog | None = None,
        object_store: ObjectStore | None = None,
    ) -> None:
        super().__init__(clock, api_keys=api_keys, latency=latency)
        self.store = self.register(RunStore(self.clock, catalog, object_store=object_store))
        self.docket = self.register(DocketStore(self.clock))

    @property
    def dedupe(self) -> bool:
        """Whether the service cancels a run at once if the same test already has a run in flight."""
        return self.store.dedupe

    @dedupe.setter
    def dedupe(self, value: bool) -> None:
        self.store.dedupe = value

    def reset(self) -> None:
        """Reset runs, faults, request log, API keys and switches, but not the clock."""
        super().reset()
        self.dedupe = False

    def state(self) -> dict[str, Any]:
        """Return a summary: the clock, the switches, and the numbers of runs and calls."""
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
            "foreignRunIds": self.store.foreign_run_ids(),
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
