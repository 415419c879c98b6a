"""The installed version of Airflow, and the features that only newer versions support."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from airflow import __version__ as airflow_version

#: The version of the installed Airflow, as text.
VERSION: Final = airflow_version
#: The major and minor version of the installed Airflow; a pre-release counts as its release.
INSTALLED: Final = tuple(map(int, re.findall(r"\d+", airflow_version)[:2]))


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that needs a newer version of Airflow.

    :param title: what the user gets, as shown in the documentation's table.
    :param since: the first version of Airflow (major, minor) with the API that the feature needs.
    :param stands_on: this API.
    :param before: the replacement on older versions.
    """

    title: str
    since: tuple[int, int]
    stands_on: str
    before: str

    @property
    def available(self) -> bool:
        """Whether the installed Airflow supports it."""
        return self.since <= INSTALLED

    @property
    def version(self) -> str:
        """The first version that supports it, as text."""
        return ".".join(map(str, self.since))


TASK_STATE_STORE: Final = Feature(
    "The record of a task's runs is stored with the task",
    (3, 3),
    "the task state store",
    "an Airflow Variable named `testerarmy_runs_…` for each task instance, until the task has concluded",
)
KILL_WHILE_DEFERRED: Final = Feature(
    "The trigger is notified when a user kills a deferred task",
    (3, 3),
    "`on_kill` of triggers",
    "the trigger is cancelled, reads the task's state, and cancels the runs if the task is no longer deferred",
)
LISTENER: Final = Feature(
    "Marking a deferred task cancels its runs even while no triggerer is alive",
    (3, 0),
    "listeners in the API server",
    "the runs continue to the end",
)
FORM_FROM_INFO: Final = Feature(
    "Connection form without loading the hook",
    (3, 2),
    "`conn-fields` of the provider info",
    "the same form, read from the hook",
)
UI_TAB: Final = Feature(
    "Test-run tab in the UI",
    (3, 1),
    "`external_views` of plugins",
    "no tab; use the dashboard button and the reports",
)
ASK: Final = Feature(
    'A person decides what failed tests mean (`on_failed="ask"`)',
    (3, 1),
    "human-in-the-loop",
    '`on_failed="ask"` is refused',
)
ASSET_STATE_STORE: Final = Feature(
    "A gate's memory of earlier nights needs no folder",
    (3, 3),
    "the asset state store",
    "`memory_path`, a folder or a place in an object store",
)
EVENT_TRIGGERS: Final = Feature(
    "DAGs that start when runs end, whoever started the runs",
    (3, 3),
    "shared streams and the asset state store of event triggers",
    "a sensor or an operator; importing `triggers.events` fails",
)
PARTITIONS: Final = Feature(
    "A DAG that runs once for each commit that all gates have passed",
    (3, 3),
    "partitions of asset events",
    "asset events with the verdict; `partition_key` is refused",
)
RETRY_POLICY: Final = Feature(
    "Retries after the time that the service asks for (`TestRetryPolicy`)",
    (3, 3),
    "`retry_policy` of tasks",
    "`retries` and `retry_delay`; importing `TestRetryPolicy` fails",
)
QUEUE_HINTS: Final = Feature(
    "Hints that runs have ended from a message queue",
    (3, 3),
    "connections that any thread of a triggerer can read",
    "hints by webhooks from Airflow 3.1; polls",
)
COMMANDS: Final = Feature(
    "`airflow testerarmy …` on the command line",
    (3, 2),
    "`cli` of the provider info",
    "`python -m airflow_provider_testerarmy …`",
)
ASYNC_CONNECTION: Final = Feature(
    "The triggerer reads connections in its event loop",
    (3, 1),
    "`BaseHook.aget_connection`",
    "it reads them in a thread",
)

#: All features, the newest first. `docs/versions.md` shows them, and code that depends on one checks `available`.
FEATURES: Final = (
    TASK_STATE_STORE,
    ASSET_STATE_STORE,
    EVENT_TRIGGERS,
    PARTITIONS,
    RETRY_POLICY,
    KILL_WHILE_DEFERRED,
    QUEUE_HINTS,
    FORM_FROM_INFO,
    COMMANDS,
    UI_TAB,
    ASK,
    ASYNC_CONNECTION,
    LISTENER,
)

#: From Airflow 3.0, a worker pushes the links of its operator as it exits, also after a deferral.
PUSHES_LINKS: Final = INSTALLED >= (3, 0)
#: Before Airflow 3.0, workers and triggerers access the metadata database directly.
DATABASE_EVERYWHERE: Final = INSTALLED < (3, 0)
