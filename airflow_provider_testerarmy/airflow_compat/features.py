"""Which version of Airflow is installed, and what only newer versions make possible."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from airflow import __version__ as airflow_version

#: Major and minor version of the Airflow that is installed; a pre-release counts as its release.
INSTALLED: Final = tuple(map(int, re.findall(r"\d+", airflow_version)[:2]))


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that only newer versions of Airflow make possible.

    :param title: what a user gets, as the documentation's table names it.
    :param since: the first version of Airflow, major and minor, that has what it stands on.
    :param stands_on: what that is.
    :param before: what there is instead on an older Airflow.
    """

    title: str
    since: tuple[int, int]
    stands_on: str
    before: str

    @property
    def available(self) -> bool:
        """Whether the installed Airflow has it."""
        return self.since <= INSTALLED

    @property
    def version(self) -> str:
        """The first version that has it, as people write it."""
        return ".".join(map(str, self.since))


TASK_STATE_STORE: Final = Feature(
    "What a task remembers of its runs is stored with the task",
    (3, 3),
    "the task state store",
    "an Airflow Variable named `testerarmy_runs_…` for each task instance, until the task has concluded",
)
KILL_WHILE_DEFERRED: Final = Feature(
    "A kill of a deferred task reaches the trigger as such",
    (3, 3),
    "`on_kill` of triggers",
    "the trigger is cancelled, asks Airflow for the task's state, and cancels the runs if it is no longer deferred",
)
LISTENER: Final = Feature(
    "Marking a deferred task cancels its runs also while no triggerer is alive",
    (3, 0),
    "listeners in the API server",
    "the runs end by themselves",
)
FORM_FROM_INFO: Final = Feature(
    "Connection form without loading the hook",
    (3, 2),
    "`conn-fields` of the provider's description",
    "the same form, asked of the hook",
)
UI_TAB: Final = Feature(
    "Test-run tab in the UI",
    (3, 1),
    "`external_views` of plugins",
    "no tab; the dashboard button and the reports are there",
)
ASYNC_CONNECTION: Final = Feature(
    "The triggerer reads connections in its event loop",
    (3, 1),
    "`BaseHook.aget_connection`",
    "it reads them in a thread",
)

#: All of them, the newest first; `docs/versions.md` shows them, and what branches asks one of them.
FEATURES: Final = (
    TASK_STATE_STORE,
    KILL_WHILE_DEFERRED,
    FORM_FROM_INFO,
    UI_TAB,
    ASYNC_CONNECTION,
    LISTENER,
)

#: Before Airflow 3.0 workers and triggerers have the metadata database.
DATABASE_EVERYWHERE: Final = INSTALLED < (3, 0)
