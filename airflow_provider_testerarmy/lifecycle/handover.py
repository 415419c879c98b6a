"""Gives the runs of a started group to one task for each test, and takes them there.

Each run is taken at most once. So a test task that a person clears starts its test alone, unless the group was
started again as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from airflow_provider_testerarmy.exceptions import RequestRefused, ServiceUnavailable
from airflow_provider_testerarmy.lifecycle.record_trust import RecordReader
from airflow_provider_testerarmy.lifecycle.service_session import ServiceSession
from airflow_provider_testerarmy.runs.service import RunRequest, ServiceFault, Submission
from airflow_provider_testerarmy.runs.submission.handover import (
    KEY,
    OFFERED_FOR,
    Handover,
    handover_of,
    read_runs,
    taken,
)
from airflow_provider_testerarmy.runs.submission.record import PartState, Record
from airflow_provider_testerarmy.runs.submission.rounds import WHOLE, first_round
from airflow_provider_testerarmy.runs.submission.stored import identity, is_signed, signature
from airflow_provider_testerarmy.runs.text import name_runs, one_line, plural
from airflow_provider_testerarmy.runs.verdict.titles import titles_of

#: The most tests that a message names.
_NAMED: Final = 5
#: The most tests that a group runs beside those that it lists, whose titles are read.
_UNLISTED: Final = 3


def hand_over(session: ServiceSession, request: RunRequest, submission: Submission, log: Any) -> Handover:
    """Find out which test each started run is of.

    :raises ServiceUnavailable: if the service does not say.
    """
    try:
        runs = session.drive(read_runs(session.service, request, submission.run_ids))
    except ServiceFault as fault:
        raise ServiceUnavailable(
            f"The service did not say which tests it runs: {fault.message}.", submission.run_ids
        ) from fault
    project_id = next((run.project_id for run in runs.values() if run.project_id), "")
    titles: dict[str, str] = {}
    try:
        titles |= session.drive(titles_of(session.service, request, project_id))
        # The service does not list a preparation test among those of its group.
        left = {run.test_id for run in runs.values()} - titles.keys() - {""}
        for single in session.service.some_tests(replace(request, body={}), sorted(left)[:_UNLISTED]) or ():
            titles |= session.drive(titles_of(session.service, single, project_id))
    except ServiceFault as fault:
        log.info("The tests' titles could not be read (%s).", fault)
    return handover_of(submission, runs, titles, session.clock())


def signed(handover: Handover, identity: str, secret: str) -> dict[str, Any]:
    """The hand-over as an XCom, with a signature, because users can edit XComs.

    :param identity: of the task that started the runs.
    :param secret: of its connection.
    """
    data = handover.to_json()
    return {**data, "signature": signature(data, identity, secret)} if secret else data


def compare(handover: Handover, listed: Collection[str], log: Any) -> list[str | int]:
    """Warn of tests without a task and of tasks without a test.

    :param listed: the ids of the tests that have a task.
    :return: the runs of tests without a task.
    """
    others = handover.others(listed)
    if others:
        log.warning(
            "%s of the group %s no task: %s. The task for other tests judges them. Add them to the list of tests.",
            plural(len(others), "test"),
            "has" if len(others) == 1 else "have",
            _named([one.name for one in others]),
        )
    started = {one.test_id for one in handover.tests}
    if missing := [test_id for test_id in listed if test_id not in started]:
        log.warning(
            "The group did not run %s of the list, whose tasks fail: %s.",
            plural(len(missing), "test"),
            _named(missing),
        )
    return [run_id for one in others for run_id in one.run_ids]


def _named(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a test task gets its runs from.

    :param ti: the task instance of the test task.
    :param start_task_id: the task that starts the group.
    :param start_map_index: of that task; None or -1 if it is not mapped.
    :param test_id: the test.
    :param group: returns the request for the whole group.
    :param log: the logger of the test task.
    """

    ti: Any
    start_task_id: str
    start_map_index: int | None
    test_id: str
    group: Callable[[], RunRequest]
    log: Any

    def first_round(
        self,
        fresh: Record,
        request: RunRequest,
        session: ServiceSession,
        reader: RecordReader,
        *,
        sure: bool,
    ) -> Record:
        """The record of a new generation: with the runs that were handed over, or with the test alone planned.

        :param fresh: an empty record, with the runs that the task has taken before.
        :param request: runs the test alone.
        :param sure: whether the task knows which runs it has taken before.
        :raises RequestRefused: if nothing was handed over, or nothing for this test.
        :raises ServiceUnavailable: if the runs have to be checked and the service does not answer.
        """
        stored = self._stored()
        if stored is None and fresh.taken:
            return first_round(fresh, request)
        handover = self._read(stored)
        submission = handover.of(self.test_id)
        if submission is None:
            raise RequestRefused(
                f"The test {self.test_id} is not part of the group's run, which the task {self.start_task_id} "
                f"started with {plural(len(handover.tests), 'test')}. Nothing was started. Add the test to the "
                "group, enable it, or remove it from the list of tests."
            )
        new = not set(submission.run_ids) & set(fresh.taken)
        forgotten = not fresh.taken and session.clock() - handover.at > OFFERED_FOR
        if not new or not sure or forgotten:
            self.log.info("The runs of the group's start have been judged before. Starting the test alone.")
            return first_round(replace(fresh, taken=submission.run_ids), request)
        if not is_signed(stored, self._identity, session.secret) and not reader.can_be_ours(
            submission.run_ids
        ):
            raise RequestRefused(
                f"The XCom {KEY!r} of the task {self.start_task_id} names {name_runs(submission.run_ids)}, which "
                "cannot be of this test. Nothing was started. Clear that task to start the group again."
            )
        self.log.info(
            "Waiting for %s, which the task %s has started.",
            name_runs(submission.run_ids),
            self.start_task_id,
        )
        title = next((one.title for one in handover.tests if one.test_id == self.test_id), "")
        return taken(replace(fresh, title=one_line(title, 200)), submission, request)

    def is_renewed(self, record: Record) -> bool:
        """Whether the group was started again since the task took its runs."""
        try:
            submission = self._read(self._stored()).of(self.test_id)
        except RequestRefused:
            return False
        return (
            bool(record.taken) and submission is not None and not set(submission.run_ids) & set(record.taken)
        )

    def alone(
        self,
        record: Record,
        session: ServiceSession,
        make: Callable[[RunRequest, tuple[str, ...]], RunRequest | None],
    ) -> RunRequest | None:
        """A request for a temporary group with this test, if a run of the test alone would test something else.

        :param record: the round that is to be sent.
        :param make: creates the temporary group; returns None if that is not possible now.
        :return: None if the round has no test to start alone, or if the service accepts all parameters for it.
        :raises RequestRefused: if the temporary group is needed and cannot be created.
        """
        part = record.parts.get(WHOLE)
        if part is None or part.state is not PartState.PLANNED:
            return None
        group = self.group()
        if session.service.some_tests(group, (self.test_id,)) is not None:
            return None
        request = make(group, (self.test_id,))
        if request is None:
            raise RequestRefused(
                f"The test {self.test_id} cannot run alone: {session.service.vendor} does not accept all "
                f"parameters of the {group.label} for one test, and creates no temporary group for it. Nothing was "
                f"started. Clear the task {self.start_task_id} with its downstream tasks to run the group again."
            )
        return request

    @property
    def _identity(self) -> str:
        return identity(self.ti.dag_id, self.ti.run_id, self.start_task_id, self.start_map_index)

    def _stored(self) -> Any:
        return self.ti.xcom_pull(task_ids=self.start_task_id, key=KEY, map_indexes=self.start_map_index)

    def _read(self, stored: Any) -> Handover:
        try:
            return Handover.from_json(stored)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = "has left no list of started tests" if stored is None else "has left an unusable list"
            raise RequestRefused(
                f"The task {self.start_task_id} {why} (XCom {KEY!r}). Nothing was started. Clear that task to "
                "start the group."
            ) from error
