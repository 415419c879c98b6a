"""The operators for tests as code: one syncs a folder of test files, one selects tests to map over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_testerarmy.lifecycle.parameters import Paths, Text, flag, stable
from airflow_provider_testerarmy.operators.testerarmy_resource import TesterArmyCallOperator
from airflow_provider_testerarmy.runs.rendered import is_nothing
from airflow_provider_testerarmy.runs.text import plural

if TYPE_CHECKING:
    from airflow_provider_testerarmy.catalogue.plan import Action, Plan
    from airflow_provider_testerarmy.lifecycle.resources import ResourceTry


class TesterArmySyncTestsOperator(TesterArmyCallOperator):
    """Brings the tests of a project to the state of a folder of test files.

    The log has the plan. A plan with a conflict changes nothing and fails the task. A task that ends in the middle
    goes on in its next try, and creates nothing twice. The XCom is a dict with the number of ``tests``, the number
    of ``applied`` actions, and the number of planned ``actions`` of each kind.

    :param folder: str or PathLike; the folder, relative to the DAG file.
    :param project_id: UUID, its text or None; the id of the project. None takes that of the lock.
    :param lock_path: str, PathLike, object-store URL or None; where the lock is. None means ``tests.lock.json`` in
        the folder. Workers whose DAG folder is read-only or temporary need another place.
    :param delete: bool. True deletes the tests whose files are gone; False disables them.
    :param overwrite: bool. True writes over what somebody changed on the dashboard since the last sync.
    :param plan_only: bool. True only plans.
    :raises RequestRefused: when the task runs, for an invalid file, lock or parameter, and for a conflict. Then
        nothing is changed.
    :raises ServiceUnavailable: when the task runs, also if another sync is running. Airflow retries it.
    """

    template_fields = ("testerarmy_conn_id", "max_outage", "folder", "project_id", "lock_path")

    def __init__(
        self,
        *,
        folder: Paths,
        project_id: Text | None = None,
        lock_path: Paths | None = None,
        delete: bool = False,
        overwrite: bool = False,
        plan_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.folder: Any = stable(folder)
        self.project_id = project_id
        self.lock_path: Any = stable(lock_path)
        self._required(folder=folder)
        self.delete = flag(delete, "delete")
        self.overwrite = flag(overwrite, "overwrite")
        self.plan_only = flag(plan_only, "plan_only")

    def execute(self, context: Any) -> dict[str, Any]:
        """Plan, and apply the plan.

        :raises TestRunError: see the class.
        """
        with self._opened(context, f"sync of {str(self.folder)[:100]!r}") as one_try, refused():
            from airflow_provider_testerarmy.lifecycle.catalogue import CatalogueSync

            sync = CatalogueSync(
                one_try,
                beside_dag(self.folder, context),
                _text(self.project_id) or None,
                lock_path=_text(self.lock_path) or None,
                pause=one_try.pause,
            )
            state = sync.read()
            plan = sync.plan(state, delete=self.delete, overwrite=self.overwrite)
            self._show(plan)
            done: list[Action] = []
            if plan.conflicts or not self.plan_only:
                sync.apply(state, plan, lambda action: self._goes_on(one_try, done, action))
            kinds = Counter(str(action.kind) for action in plan.actions)
            return {"tests": len(state.files), "applied": len(done), "actions": dict(kinds)}

    def _show(self, plan: Plan) -> None:
        self.log.info("The plan has %s.", plural(len(plan.actions), "action"))
        for action in plan.actions:
            self.log.info("%s", action.sentence)
        for conflict in plan.conflicts:
            self.log.error("Conflict: %s: %s", conflict.key, conflict.reason)

    def _goes_on(self, one_try: ResourceTry, done: list[Action], action: Action) -> None:
        done.append(action)
        one_try.check()


class TesterArmyListTestsOperator(TesterArmyCallOperator):
    """Lists the ids of a project's enabled tests, for a task that maps over them.

    ``TesterArmyRunTestOperator.partial(…).expand(test_id=list_tests.output)`` runs each of them in a task of its
    own. Airflow skips that task if the list is empty.

    :param project_id: UUID or its text; the id of the project.
    :param group_id: UUID, its text or None; the tests of this group. None means all tests of the project.
    :param folder: str, PathLike or None; the tests of this folder of test files, relative to the DAG file.
    :param lock_path: str, PathLike, object-store URL or None; the lock of the folder. None means
        ``tests.lock.json`` in the folder.
    :param tag: str or None; the tests whose files have this tag. It needs ``folder``.
    :param owner_of_tests: str or None; the tests whose files name this owner. It needs ``folder``.
    :param last_failed: bool. True lists the tests that failed when they last ran, by the gates' memory in
        ``memory_path``.
    :param memory_path: str, PathLike, object-store URL or None; the folder where gates remember earlier nights.
    :raises RequestRefused: when the task runs, for an invalid file, lock or parameter.
    """

    template_fields = (
        "testerarmy_conn_id",
        "max_outage",
        "project_id",
        "group_id",
        "folder",
        "lock_path",
        "tag",
        "owner_of_tests",
        "memory_path",
    )

    def __init__(
        self,
        *,
        project_id: Text,
        group_id: Text | None = None,
        folder: Paths | None = None,
        lock_path: Paths | None = None,
        tag: Text | None = None,
        owner_of_tests: Text | None = None,
        last_failed: bool = False,
        memory_path: Paths | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id, self.group_id = project_id, group_id
        self.folder: Any = stable(folder)
        self.lock_path: Any = stable(lock_path)
        self.tag, self.owner_of_tests = tag, owner_of_tests
        self.last_failed = flag(last_failed, "last_failed")
        self.memory_path: Any = stable(memory_path)
        self._required(project_id=project_id)
        if folder is None and not (tag is None and owner_of_tests is None):
            raise ValueError("tag and owner_of_tests need a folder, because only test files have them.")
        if self.last_failed and memory_path is None:
            raise ValueError("last_failed needs memory_path, the folder where gates remember earlier nights.")

    def execute(self, context: Any) -> list[str]:
        """List the tests.

        :raises TestRunError: see the class.
        """
        with self._opened(context, "list of tests") as one_try, refused():
            from airflow_provider_testerarmy.client.http.operation import Answer
            from airflow_provider_testerarmy.client.http.sender import by_cursor, iterate
            from airflow_provider_testerarmy.client.testerarmy.saved_tests import list_saved_tests

            chosen = self._chosen(context, one_try)
            group = _text(self.group_id) or None
            first = list_saved_tests(str(self.project_id), group_id=group)
            pages = iterate(lambda question: Answer(one_try.ask(question)), first, by_cursor(first))
            found = [test.id for page in pages for test in page.tests if test.enabled is not False]
            ids = [test_id for test_id in found if chosen is None or test_id in chosen]
            self.log.info("Selected %d of %s.", len(ids), plural(len(found), "enabled test"))
            return ids

    def _chosen(self, context: Any, one_try: ResourceTry) -> set[str] | None:
        """The ids that files and memory select; None for all."""
        chosen: set[str] | None = None
        if not is_nothing(self.folder):
            from airflow_provider_testerarmy.hooks.catalogue_folder import select_tests

            tag, owner = _text(self.tag) or None, _text(self.owner_of_tests) or None
            place = _text(self.lock_path) or None
            tests = select_tests(beside_dag(self.folder, context), tag=tag, owner=owner, lock_path=place)
            chosen = {entry.id for _, entry in tests}
        if self.last_failed:
            from airflow_provider_testerarmy.lifecycle.last_failed import last_failed

            failed = last_failed(str(self.memory_path), self.hook.conn_id, now=one_try.now())
            chosen = failed if chosen is None else chosen & failed
        return chosen


def beside_dag(folder: object, context: Any) -> str:
    """A path relative to the folder of the DAG file."""
    dag_file = getattr(context.get("dag"), "fileloc", None) or ""
    return str(Path(dag_file).parent / Path(str(folder)).expanduser())


@contextmanager
def refused() -> Iterator[None]:
    """A block whose faults of files and locks become the task's exceptions.

    :raises RequestRefused: for what a person has to mend.
    :raises ServiceUnavailable: for what the next try can do.
    """
    from airflow_provider_testerarmy.catalogue.model import CatalogueBusy, CatalogueInvalid
    from airflow_provider_testerarmy.exceptions import RequestRefused, ServiceUnavailable

    try:
        yield
    except CatalogueBusy as error:
        raise ServiceUnavailable(str(error)) from error
    except CatalogueInvalid as error:
        raise RequestRefused(str(error)) from error


def _text(value: object) -> str:
    return "" if is_nothing(value) else str(value).strip()
