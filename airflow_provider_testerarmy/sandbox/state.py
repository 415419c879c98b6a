"""Everything that the sandbox remembers, in one handle: for the control routes, and for tests in Python."""

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

__all__ = ["DEFAULT_API_KEY", "Sandbox"]


class Sandbox(Service):
    """The sandbox's whole state, with the same powers as the control routes; safe from any thread.

    :param clock: the clock to live by.
    :param api_keys: the keys to accept.
    :param latency: real seconds that every API call takes at least.
    :param catalog: TesterArmy's projects, groups and tests.
    """

    def __init__(
        self,
        clock: SandboxClock | None = None,
        *,
        api_keys: Iterable[str] = (DEFAULT_API_KEY,),
        latency: float = 0.0,
        catalog: Catalog | None = None,
    ) -> None:
        super().__init__(clock, api_keys=api_keys, latency=latency)
        self.store = self.register(RunStore(self.clock, catalog))
        self.docket = self.register(DocketStore(self.clock))

    @property
    def dedupe(self) -> bool:
        """Whether a run that duplicates one in flight is cancelled at once."""
        return self.store.dedupe

    @dedupe.setter
    def dedupe(self, value: bool) -> None:
        self.store.dedupe = value

    def reset(self) -> None:
        """Forget runs, faults, calls, keys and switches; only the clock goes on."""
        super().reset()
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
