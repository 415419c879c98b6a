"""The operators of a group whose tests have a task each: one starts it, the others wait for one test each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.lifecycle.parameters import Text
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunGroupOperator

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_testerarmy.lifecycle.attempt import Lifecycle
    from airflow_provider_testerarmy.runs.service import RunRequest

#: The key of the XCom with the runs of tests that have no task.
OTHER_RUNS: Final = "other_run_ids"


class TesterArmyStartGroupOperator(TesterArmyRunGroupOperator):
    """Starts a group, and hands its runs over to one task for each test.

    It returns a list of dicts with ``test_id`` and ``title``, one for each test that it started, for
    ``expand_kwargs``. Runs that are active when the DAG run ends are cancelled, also if no task took them.

    :param listed: list of str or None; the ids of the tests that have a task. The runs of other tests are in the
        XCom ``other_run_ids``. None means that every test has one.

    All other parameters, and the errors, are those of
    :class:`~airflow_provider_testerarmy.operators.testerarmy.TesterArmyRunGroupOperator`.
    """

    def __init__(self, *, listed: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "wait_for_completion": False, "durable": True})
        self.listed = None if listed is None else list(listed)

    def execute(self, context: Any) -> Any:
        """Start the group, or reconnect to what an earlier try started.

        :return: the tests.
        :raises TestRunError, TestsSkipped: see the class.
        """
        self._tests: list[dict[str, str]] = []
        super().execute(context)
        return self._tests

    def _unjudged(self, context: Any, lifecycle: Lifecycle) -> dict[str, Any]:
        from airflow_provider_testerarmy.lifecycle.handover import compare
        from airflow_provider_testerarmy.runs.submission.handover import KEY

        # Without an active run, the end of the task is its verdict.
        if lifecycle.can_be_active and lifecycle.request is not None:
            handover, signed = lifecycle.starter.hand_over(lifecycle.request)
            context["ti"].xcom_push(key=KEY, value=signed)
            if self.listed is not None:
                others = compare(handover, self.listed, self.log)
                context["ti"].xcom_push(key=OTHER_RUNS, value=others)
            self._tests = [{"test_id": one.test_id, "test_title": one.title} for one in handover.tests]
        return lifecycle.unjudged(concludes=False)


class TesterArmyGroupTestOperator(TesterArmyRunGroupOperator):
    """Waits for the run of one test of a started group, and judges it. After a clear, it runs the test alone.

    It takes each run of the start task once. So if the group was started again as well, it takes the new run. The
    parameters of the group have to be those of the start task.

    :param test_id: UUID or its text; the id of the test.
    :param start_task_id: str; the id of the :class:`TesterArmyStartGroupOperator` task.
    :param test_title: str; the title of the test, for the grid.
    :param mapped: bool. True for a task that is expanded over the output of the start task.
    :raises RequestRefused: when the task runs, if the test is not part of the group's run, or cannot run alone with
        the group's parameters.

    All other parameters, and the errors, are those of
    :class:`~airflow_provider_testerarmy.operators.testerarmy.TesterArmyRunGroupOperator`.
    """

    template_fields = (
        "test_id",
        *(name for name in TesterArmyRunGroupOperator.template_fields if name != "stop_after_failures"),
    )

    def __init__(
        self, *, test_id: Text, start_task_id: str, test_title: str = "", mapped: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**{**kwargs, "wait_for_completion": True, "durable": True})
        self.test_id = test_id
        self.start_task_id = start_task_id
        self.test_title = test_title
        self.mapped = mapped

    def target(self) -> RunRequest:
        """The test, without the other parameters."""
        from airflow_provider_testerarmy.client.testerarmy.operations import check_id
        from airflow_provider_testerarmy.runs.service import RunRequest

        return RunRequest("test", check_id(self.test_id, "test_id"))

    def _group(self) -> RunRequest:
        from airflow_provider_testerarmy.client.testerarmy.operations import check_id

        return replace(self.build_request(), kind="group", target=check_id(self.group_id, "group_id"))

    def _open(self, context: Any, build_request: Callable[[], RunRequest | None]) -> Lifecycle:
        from airflow_provider_testerarmy.lifecycle.handover import Source

        lifecycle = super()._open(context, build_request)
        ti = context["ti"]
        # Inside a mapped task group, the start task has the same index.
        index = -1 if self.mapped or ti.map_index is None else ti.map_index
        lifecycle.starter.source = Source(
            ti, self.start_task_id, index, self.target().target, self._group, self.log
        )
        return lifecycle
