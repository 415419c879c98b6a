"""What a task remembers: the record of its submissions, kept where the next try finds it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow_provider_testerarmy.lifecycle.stores import open_store
from airflow_provider_testerarmy.runs.service import Submission
from airflow_provider_testerarmy.runs.submission.record import (
    Owner,
    Part,
    Record,
    Stage,
    Start,
    how_to_start,
)

log = logging.getLogger(__name__)


class TaskMemory:
    """The record of one task instance.

    A retry leaves ``max_tries`` as it is and a user's *clear* raises it, so that number is the generation.

    :param owner: goes into the record.
    :param durable: whether to keep the record for the next try. Without it a try remembers only what it did
        itself.
    """

    def __init__(self, context: Mapping[str, Any], owner: Owner, *, durable: bool) -> None:
        self._store = open_store(context) if durable else None
        self._generation = int(context["ti"].max_tries or 0)
        self.earlier = Record.from_json(self._store.get()) if self._store is not None else None
        self.fresh = Record(self._generation, owner=owner)
        self.record = self.fresh

    @property
    def remembered(self) -> bool:
        """Whether the next try will know what this one knows."""
        return self._store is not None

    def start(self) -> Start:
        """How this try begins; where it is a retry, the earlier record becomes this try's."""
        start = how_to_start(self.earlier, self._generation)
        if self.earlier is not None and start in (Start.RECONNECT, Start.AGAIN):
            self.record = self.earlier
        return start

    def keep(self, record: Record) -> None:
        """Write the record down."""
        self.record = record
        if self._store is None:
            return
        if record.stage is Stage.FINISHED and not self._store.keeps_concluded:
            self._store.delete()
        else:
            self._store.set(record.to_json())

    def note(self, stage: Stage) -> None:
        """Write down how far the runs have come."""
        self.keep(replace(self.record, stage=stage))

    def journal(self, name: str) -> PartJournal:
        """The journal of one submission."""
        return PartJournal(self, name)


class PartJournal:
    """The submission's journal, see :class:`airflow_provider_testerarmy.runs.submission.submit.Journal`."""

    def __init__(self, memory: TaskMemory, name: str) -> None:
        self._memory = memory
        self._name = name

    def intent(self, since: datetime) -> None:
        """A submission is about to be sent."""
        self._keep(Part(since=since))

    def submitted(self, submission: Submission) -> None:
        """The service accepted it."""
        part = self._memory.record.parts.get(self._name, Part())
        self._keep(replace(part, submission=submission))

    def nothing_started(self) -> None:
        """There is nothing to look for."""
        self._keep(Part())

    def _keep(self, part: Part) -> None:
        self._memory.keep(self._memory.record.with_part(self._name, part))
