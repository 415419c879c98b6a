"""TesterArmy's task group: one task starts a group, and each of its tests has a task of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from airflow.providers.common.compat.sdk import TaskGroup

from airflow_provider_testerarmy.lifecycle.listed_tests import ListedTest, listed_tests
from airflow_provider_testerarmy.lifecycle.parameters import Deferred, Text, gate, is_template, needs_memory
from airflow_provider_testerarmy.operators.testerarmy_group_tests import (
    OTHER_RUNS,
    TesterArmyGroupTestOperator,
    TesterArmyStartGroupOperator,
)
from airflow_provider_testerarmy.runs.rendered import is_nothing
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor

#: The names of the tasks beside those of the tests.
START: Final = "start"
OTHERS: Final = "other_tests"
#: The name of the mapped task without a list of tests.
MAPPED: Final = "test"
#: Parameters that the start task does not need.
_JUDGING: Final = frozenset(
    (
        *("gate", "poll_interval", "timeout", "deferrable", "retry_failed_tests", "report_path"),
        *("copy_screenshots", "on_failed", "ask_users", "ask_timeout", "ask_default", "ask_notifiers"),
        "execution_timeout",
    )
)
#: Parameters that a task without runs of its own does not have.
_STARTING: Final = frozenset(
    (
        *("retry_failed_tests", "memory_path", "budget"),
        *("on_failed", "ask_users", "ask_timeout", "ask_default", "ask_notifiers"),
    )
)
#: Parameters that the task group sets.
_FIXED: Final = frozenset(
    (
        *("task_id", "test_id", "start_task_id", "run_ids", "wait_for_completion", "durable", "bisect"),
        *("stop_after_failures", "partition_key", "do_xcom_push", "group_id", "testerarmy_group_id"),
    )
)


class TesterArmyOtherTestsSensor(TesterArmyRunSensor):
    """Judges the runs of a started group whose tests have no task of their own; succeeds if there are none.

    The parameters and errors are those of
    :class:`~airflow_provider_testerarmy.sensors.testerarmy.TesterArmyRunSensor`.
    """

    #: A template of ``report_path`` that names the test of each task names this one as well.
    test_id = OTHERS

    def execute(self, context: Any) -> Any:
        """Wait for the runs, if there are any."""
        if self.run_ids == []:
            self.log.info("Every test that the group runs has a task of its own.")
            return None
        return super().execute(context)


class TesterArmyGroupTaskGroup(TaskGroup):
    """A TesterArmy group as an Airflow task group.

    The task ``start`` starts the group with one request. Each test has a task that waits for its run: a failed test
    is red by its name. Clear one test's task to run that test alone, or ``start`` to run the group again.

    :param group_id: str; the name of the task group in Airflow.
    :param testerarmy_group_id: UUID or its text; the id of the group at TesterArmy.
    :param tests: str, PathLike, list or None; the tests that get a task. A path names a YAML or JSON file beside
        the DAG file, or else beside the module that creates the task group, with a list of entries with ``id``,
        ``title`` and, optionally, ``task_id``. A list has the same entries, or ids. With None, one task is mapped
        over the tests that ``start`` has started. The task ``other_tests`` judges the tests that are not listed.
    :param target_url, environment, commit_sha, pr_number, platform, device_model, project_environment_id, mobile:
        as of :class:`~airflow_provider_testerarmy.operators.testerarmy.TesterArmyRunGroupOperator`.
    :param operator_args: dict or None; further parameters of all tasks, such as ``testerarmy_conn_id``, ``gate`` or
        ``retries``. The tests are ``deferrable`` by default.
    :raises ValueError: when the DAG file is parsed, for an invalid list or parameter.

    All other parameters are those of Airflow's ``TaskGroup``.
    """

    def __init__(
        self,
        group_id: str,
        *,
        testerarmy_group_id: Text,
        tests: str | Path | Sequence[Any] | None = None,
        target_url: Text | None = None,
        environment: Text | None = None,
        commit_sha: Text | None = None,
        pr_number: Text | None = None,
        platform: Text | None = None,
        device_model: Text | None = None,
        project_environment_id: Text | None = None,
        mobile: Mapping[str, Any] | Deferred | str | None = None,
        operator_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        given = {"deferrable": True, **(operator_args or {})}
        if fixed := sorted(given.keys() & _FIXED):
            raise ValueError(f"operator_args must not have {fixed[0]!r}: the task group sets it.")
        super().__init__(group_id, **kwargs)
        request = {
            "group_id": testerarmy_group_id,
            "target_url": target_url,
            "environment": environment,
            "commit_sha": commit_sha,
            "pr_number": pr_number,
            "platform": platform,
            "device_model": device_model,
            "project_environment_id": project_environment_id,
            "mobile": mobile,
        }
        with self:
            if tests is None:
                self._map(request, given)
            else:
                # The DAG file, and the module that makes this task group for it.
                files = [getattr(self.dag, "fileloc", "") or "", sys._getframe(1).f_code.co_filename]
                self._list(listed_tests(tests, files, (START, OTHERS)), request, given)

    def _start(self, request: Mapping[str, Any], given: Mapping[str, Any], listed: list[str] | None) -> Any:
        own = {name: value for name, value in given.items() if name not in _JUDGING}
        return TesterArmyStartGroupOperator(task_id=START, listed=listed, **request, **own)

    def _list(
        self, tests: Sequence[ListedTest], request: Mapping[str, Any], given: Mapping[str, Any]
    ) -> None:
        start = self._start(request, given, [test.test_id for test in tests])
        for test in tests:
            start >> TesterArmyGroupTestOperator(
                task_id=test.task_id,
                test_id=test.test_id,
                test_title=test.title,
                start_task_id=start.task_id,
                **request,
                **{"task_display_name": test.title or test.task_id, **given},
            )
        TesterArmyOtherTestsSensor(task_id=OTHERS, run_ids=start.output[OTHER_RUNS], **_for_others(given))

    def _map(self, request: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        start = self._start(request, given, None)
        TesterArmyGroupTestOperator.partial(
            task_id=MAPPED,
            start_task_id=start.task_id,
            mapped=True,
            **request,
            **{"map_index_template": "{{ task.test_title or task.test_id }}", **given},
        ).expand_kwargs(start.output)


def _for_others(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters for the task of the other tests, which starts no runs and so remembers none."""
    own = {"cancel_on_kill": True, **{name: value for name, value in given.items() if name not in _STARTING}}
    if not is_nothing(own.get("gate")) and (is_template(own["gate"]) or _needs_runs(own["gate"])):
        del own["gate"]
    return own


def _needs_runs(written: Any) -> bool:
    rule = gate(written)
    return needs_memory(rule) or rule.confirm is not None
