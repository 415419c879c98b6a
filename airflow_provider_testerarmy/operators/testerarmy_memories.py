"""The operators for memories of a TesterArmy project, to use as setup and teardown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_provider_testerarmy.lifecycle.parameters import Text, is_template
from airflow_provider_testerarmy.operators.testerarmy_resource import TesterArmyResourceOperator
from airflow_provider_testerarmy.runs.rendered import is_nothing

if TYPE_CHECKING:
    from airflow_provider_testerarmy.client.testerarmy.memories import MemoryCreated, ProjectMemory

_CATEGORIES: Final = ("site_structure", "test_insights", "user_preferences")
_IMPORTANCES: Final = ("high", "medium", "low")


class TesterArmyCreateMemoryOperator(TesterArmyResourceOperator):
    """Tells a project's agents something, e.g. what a release changes (``POST /projects/{projectId}/memories``).

    It is idempotent: it returns the id of a memory that has the title and the content already. The XCom is the id.

    :param title: str; the title, at most 200 characters.
    :param content: str; what the agents should know. It is not for secrets, because agents may repeat it.
    :param category: ``site_structure``, ``test_insights`` or ``user_preferences``.
    :param importance: ``high``, ``medium`` or ``low``. A full project loses a less important memory for this one.
    :raises RequestRefused: when the task runs, for an invalid parameter, or if the project has no room.
    """

    template_fields = (
        *TesterArmyResourceOperator.common_template_fields,
        "title",
        "content",
        "category",
        "importance",
    )

    def __init__(
        self,
        *,
        title: Text,
        content: Text,
        category: Text = "test_insights",
        importance: Text = "medium",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.title = title
        self.content = content
        self.category = category
        self.importance = importance
        self._required(title=title, content=content)
        for name, value, known in (
            ("category", category, _CATEGORIES),
            ("importance", importance, _IMPORTANCES),
        ):
            if not is_template(value) and value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}.")

    def execute(self, context: Any) -> str:
        """Find or create the memory, and return its id.

        :raises TestRunError: see the class.
        """
        with self._opened(context, f"memory {str(self.title)[:100]!r}") as one_try:
            from airflow_provider_testerarmy.client.http.wire import build_request
            from airflow_provider_testerarmy.client.testerarmy import memories

            request = build_request(
                memories.MemoryRequest,
                title=self.title,
                content=self.content,
                category=self.category,
                importance=self.importance,
            )
            project = str(self.project_id)
            find = memories.list_memories(project).then(
                lambda found: next(
                    (each for each in titled(found.memories, request.title) if _same(each, request.content)),
                    None,
                )
            )
            create = memories.create_memory(project, request).then(self._created)
            ready = one_try.ensure(find, create, lambda made: memories.delete_memory(project, made.id))
            self.log.info("%s memory %r.", "Created" if ready.made else "Found", request.title)
            return ready.value.id

    def _created(self, answer: MemoryCreated) -> ProjectMemory:
        if answer.pruned:
            self.log.warning(
                "The project was full. The service deleted %d less important memories for this one.",
                answer.pruned,
            )
        return answer.memory


class TesterArmyDeleteMemoryOperator(TesterArmyResourceOperator):
    """Deletes memories (``DELETE /projects/{projectId}/memories/{memoryId}``); succeeds if there is none.

    :param title: str or None; deletes all memories with exactly this title.
    :param memory_id: UUID, its text or None; the id of a memory. Give the title or the id.
    :raises RequestRefused: when the task runs, for an invalid parameter.
    """

    template_fields = (*TesterArmyResourceOperator.common_template_fields, "title", "memory_id")

    def __init__(self, *, title: Text | None = None, memory_id: Text | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if (title is None) == (memory_id is None):
            raise ValueError("Give either title or memory_id.")
        self.title = title
        self.memory_id = memory_id

    def execute(self, context: Any) -> None:
        """Delete the memories.

        :raises TestRunError: see the class.
        """
        label = f"memory {str(self.title or self.memory_id)[:100]!r}"
        with self._opened(context, label) as one_try:
            from airflow_provider_testerarmy.client.http.errors import RequestInvalid
            from airflow_provider_testerarmy.client.testerarmy import memories

            project = str(self.project_id)
            if not is_nothing(self.memory_id):
                ids = [str(self.memory_id)]
            elif is_nothing(self.title):
                raise RequestInvalid(
                    "title and memory_id are empty; a template may have rendered to nothing."
                )
            else:
                listed = one_try.ask(memories.list_memories(project)).memories
                ids = [each.id for each in titled(listed, str(self.title))]
            deleted = [one_try.remove(memories.delete_memory(project, each)) for each in ids]
            self.log.info("The %s %s.", label, "was deleted" if any(deleted) else "does not exist")


def titled(found: tuple[ProjectMemory, ...], title: str) -> list[ProjectMemory]:
    """The memories with exactly this title."""
    return [each for each in found if (each.title or "").strip() == title.strip()]


def _same(memory: ProjectMemory, content: str) -> bool:
    return memory.content is None or memory.content.split() == content.split()
