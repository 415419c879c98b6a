"""Faults that are planted in the product on purpose: each must be found, or the simulation proves nothing.

A plant changes one line of a module's source as it is imported; the files stay as they are.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import airflow_provider_testerarmy

ROOT = Path(airflow_provider_testerarmy.__file__).parent


@dataclass(frozen=True, slots=True)
class Plant:
    """One planted fault.

    :param what: what the product does wrong then.
    :param module: the module below the package.
    """

    what: str
    module: str
    line: str
    instead: str

    @property
    def path(self) -> Path:
        """The file that is changed."""
        return ROOT / f"{self.module.replace('.', '/')}.py"

    def source(self) -> str:
        """The module's source with the fault in it."""
        source = self.path.read_text()
        if source.count(self.line) != 1:
            raise LookupError(f"{self.line!r} is {source.count(self.line)} times in {self.path}")
        return source.replace(self.line, self.instead)


PLANTS: dict[str, Plant] = {
    "max-tries-alone": Plant(
        "`max_tries` alone is the generation",
        "runs.submission.asked",
        "for pair in zip(self.to_json(), other.to_json(), strict=True)",
        "for pair in zip(self.to_json()[:1], other.to_json()[:1], strict=True)",
    ),
    "date-alone": Plant(
        "a lost run is looked for by the `Date` header alone",
        "runs.submission.lookup",
        "SKEW: Final = timedelta(seconds=60)",
        "SKEW: Final = timedelta(seconds=0)",
    ),
    "kill-without-guard": Plant(
        "`on_kill` does not ask whether the task is still deferred",
        "triggers.runs",
        '            if state == "deferred":',
        "            if False:",
    ),
    "no-intent": Plant(
        "the intent is not stored before the POST",
        "runs.submission.submit",
        "        _journal(setting).intent(_until(setting, intent, began))",
        "        _until(setting, intent, began)",
    ),
    "completed-is-passed": Plant(
        "`completed` is taken as passed",
        "hooks.testerarmy_results",
        '"FAILED": Outcome.FAILED',
        '"FAILED": Outcome.PASSED',
    ),
    "last-try-forgotten": Plant(
        "the listener forgets tasks whose process died on their last try",
        "listener",
        "    left = airflow_compat.stored_by_failed_tasks(dag_id, run_id, KEY)",
        "    left = []",
    ),
    "poisoned-poller": Plant(
        "who waits is not told that the shared poller has ended",
        "runs.awaiting.watcher",
        "            self._poller.add_done_callback(self._settle_all)",
        "            self._poller.add_done_callback(lambda _poller: None)",
    ),
    "no-deadline": Plant(
        "the trigger keeps no deadline",
        "triggers.runs",
        "        self.deadline = deadline",
        "        self.deadline = None",
    ),
    "retry-replaces": Plant(
        "a retry does not reconnect",
        "runs.submission.decision",
        "    return Action.LOOK if record.unknown else Action.KEEP",
        "    return Action.REPLACE",
    ),
    "claims-ignored": Plant(
        "a lost run is adopted although another task has claimed it",
        "runs.submission.lookup",
        "        others = yield from _claimed_by_others(setting, scope, seen, alone=expected is None)",
        "        others = frozenset()",
    ),
}


class _Finder(MetaPathFinder, Loader):
    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._name = f"{airflow_provider_testerarmy.__name__}.{plant.module}"

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._plant.path, loader=self)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._plant.source(), str(self._plant.path), "exec"), module.__dict__)


def plant(name: str) -> None:
    """Plant a fault; before the product's modules are imported."""
    finder = _Finder(PLANTS[name])
    if finder._name in sys.modules:
        raise RuntimeError(f"{finder._name} is imported already")
    finder._plant.source()
    sys.meta_path.insert(0, finder)


planted = ""
