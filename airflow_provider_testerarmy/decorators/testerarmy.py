"""``@task.testerarmy`` and ``@task.testerarmy_group``: a function returns what TesterArmy tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, ParamSpec, TypeAlias, TypedDict, TypeVar, overload
from uuid import UUID

from airflow.providers.common.compat.sdk import DecoratedOperator, task_decorator_factory

from airflow_provider_testerarmy.decorators.base import (
    RETURNED,
    FunctionOperator,
    check_names,
    refuse_function_only,
)
from airflow_provider_testerarmy.operators.testerarmy import (
    GROUP_FIELDS,
    TesterArmyRunGroupOperator,
    TesterArmyRunPromptOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.runs.rendered import is_nothing

if TYPE_CHECKING:
    from typing import NotRequired

    from airflow.sdk.bases.decorator import Task

    from airflow_provider_testerarmy.runs.service import RunRequest

Arguments = ParamSpec("Arguments")

_UUID: Final = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

_PROMPT: Final = ("prompt", "credentials_conn_id", "webhook_url")
_TEST: Final = ("test_id", "mode", "platform", "device_model", "app_id", "project_environment_id")


class PromptRequest(TypedDict):
    """What a function of ``@task.testerarmy`` returns to run a prompt; see ``TesterArmyRunPromptOperator``."""

    prompt: str
    credentials_conn_id: NotRequired[str | list[str] | None]
    webhook_url: NotRequired[str | None]


class SavedTestRequest(TypedDict):
    """What a function of ``@task.testerarmy`` returns to run a saved test; see ``TesterArmyRunTestOperator``."""

    test_id: str | UUID
    mode: NotRequired[str | None]
    platform: NotRequired[str | None]
    device_model: NotRequired[str | None]
    app_id: NotRequired[str | UUID | None]
    project_environment_id: NotRequired[str | UUID | None]


class GroupRequest(TypedDict, total=False):
    """What a function of ``@task.testerarmy_group`` returns; see ``TesterArmyRunGroupOperator``."""

    group_id: str | UUID
    target_url: str | None
    environment: str | None
    commit_sha: str | None
    pr_number: int | str | None
    platform: str | None
    device_model: str | None
    project_environment_id: str | UUID | None
    mobile: Mapping[str, Any] | None


#: What the functions may return.
Returned: TypeAlias = "str | UUID | Mapping[str, object]"
R = TypeVar("R", bound="str | UUID | Mapping[str, object]")


class TesterArmyTaskOperator(  # type: ignore[misc]
    FunctionOperator, DecoratedOperator, TesterArmyRunTestOperator, TesterArmyRunPromptOperator
):
    """Runs the prompt or the saved test that a function returns. Use it as ``@task.testerarmy``.

    The function returns one of these:

    * a text: the prompt
    * a UUID, or its text: the id of a saved test
    * a dict with ``prompt``, and optionally ``credentials_conn_id`` and ``webhook_url``
    * a dict with ``test_id``, and optionally ``mode``, ``platform``, ``device_model``, ``app_id`` and
      ``project_environment_id``

    The decorator accepts these parameters too, except ``prompt`` and ``test_id``. What the function returns comes
    first.
    """

    custom_operator_name = "@task.testerarmy"
    function_only: ClassVar[tuple[str, ...]] = ("prompt", "test_id")
    template_fields = (
        *DecoratedOperator.template_fields,
        *dict.fromkeys(
            (*TesterArmyRunPromptOperator.template_fields, *TesterArmyRunTestOperator.template_fields)
        ),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **TesterArmyRunPromptOperator.template_fields_renderers,
    }

    def __init__(self, **kwargs: Any) -> None:
        refuse_function_only(kwargs, self.function_only, self.custom_operator_name)
        super().__init__(prompt=RETURNED, test_id=None, **kwargs)

    def fields_of(self, returned: Any) -> dict[str, Any]:
        """The parameters of a prompt or of a saved test.

        :raises RequestInvalid: if the value is neither.
        """
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid

        if isinstance(returned, UUID) or (isinstance(returned, str) and _UUID.fullmatch(returned.strip())):
            fields = {"test_id": str(returned).strip()}
        elif isinstance(returned, str) and not is_nothing(returned):
            fields = {"prompt": returned}
        elif isinstance(returned, Mapping):
            fields = self._fields_of_dict(returned)
        else:
            raise RequestInvalid(
                _refusal(returned, "a prompt, the id of one test, or a dict with prompt or test_id")
            )
        self._check_others(fields)
        return fields

    def _fields_of_dict(self, returned: Mapping[Any, Any]) -> dict[str, Any]:
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid

        named = [name for name in self.function_only if not is_nothing(returned.get(name))]
        if len(named) != 1:
            raise RequestInvalid("The function must return a dict with either prompt or test_id.")
        return check_names(returned, _PROMPT if named == ["prompt"] else _TEST)

    def _check_others(self, fields: Mapping[str, Any]) -> None:
        """Refuse parameters of the decorator that have no effect on what the function returned."""
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid

        what, others = ("a prompt", _TEST[1:]) if "prompt" in fields else ("a test", _PROMPT[1:])
        for name in others:
            if not is_nothing(getattr(self, name)):
                raise RequestInvalid(f"{name} is not for {what}, which the function returned.")

    def _known_target(self) -> RunRequest:
        return self._kind.target(self)

    def _known_request(self) -> RunRequest:
        return self._kind.build_request(self)

    @property
    def _kind(self) -> type[TesterArmyRunPromptOperator | TesterArmyRunTestOperator]:
        return TesterArmyRunTestOperator if self.prompt is None else TesterArmyRunPromptOperator


class TesterArmyGroupTaskOperator(  # type: ignore[misc]
    FunctionOperator, DecoratedOperator, TesterArmyRunGroupOperator
):
    """Runs the group that a function returns. Use it as ``@task.testerarmy_group``.

    The function returns one of these:

    * a text or a UUID: the id of the group
    * a dict with any of ``group_id``, ``target_url``, ``environment``, ``commit_sha``, ``pr_number``, ``platform``,
      ``device_model``, ``project_environment_id`` and ``mobile``

    The decorator accepts these parameters too. What the function returns comes first.

    :param group_id: UUID or its text; the id of the group, if the function does not return it.
    """

    custom_operator_name = "@task.testerarmy_group"
    template_fields = (*DecoratedOperator.template_fields, *TesterArmyRunGroupOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **TesterArmyRunGroupOperator.template_fields_renderers,
    }

    def __init__(self, *, group_id: Any = RETURNED, **kwargs: Any) -> None:
        super().__init__(group_id=group_id, **kwargs)

    def fields_of(self, returned: Any) -> dict[str, Any]:
        """The parameters of a group.

        :raises RequestInvalid: if the value names none.
        """
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid

        if isinstance(returned, str | UUID) and not is_nothing(returned):
            return {"group_id": str(returned)}
        if not isinstance(returned, Mapping):
            raise RequestInvalid(_refusal(returned, "the id of a group, or a dict with its parameters"))
        fields = check_names(returned, GROUP_FIELDS)
        if "group_id" not in fields and self.group_id == RETURNED:
            raise RequestInvalid("group_id is missing. Return it, or pass it to the decorator.")
        return fields

    def _known_target(self) -> RunRequest:
        return TesterArmyRunGroupOperator.target(self)

    def _known_request(self) -> RunRequest:
        return TesterArmyRunGroupOperator.build_request(self)


def _refusal(returned: Any, instead: str) -> str:
    what = "nothing" if is_nothing(returned) else f"a value of type {type(returned).__name__}"
    more = ""
    if isinstance(returned, list | tuple | set | frozenset):
        more = " For several, call the task with .expand(), or run a group."
    return f"The function returned {what}. It must return {instead}.{more}"


@overload
def task_testerarmy(python_callable: Callable[Arguments, R]) -> Task[Arguments, R]: ...


@overload
def task_testerarmy(**kwargs: Any) -> Callable[[Callable[Arguments, R]], Task[Arguments, R]]: ...


def task_testerarmy(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
    """Make a task of a function that returns a prompt or a saved test. It is ``@task.testerarmy``.

    :param python_callable: the function.
    :param kwargs: the parameters of :class:`TesterArmyTaskOperator`.
    """
    return _decorator(TesterArmyTaskOperator, python_callable, kwargs)


@overload
def task_testerarmy_group(python_callable: Callable[Arguments, R]) -> Task[Arguments, R]: ...


@overload
def task_testerarmy_group(**kwargs: Any) -> Callable[[Callable[Arguments, R]], Task[Arguments, R]]: ...


def task_testerarmy_group(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
    """Make a task of a function that returns a group. It is ``@task.testerarmy_group``.

    :param python_callable: the function.
    :param kwargs: the parameters of :class:`TesterArmyGroupTaskOperator`.
    """
    return _decorator(TesterArmyGroupTaskOperator, python_callable, kwargs)


def _decorator(kind: Any, function: Callable[..., Any] | None, kwargs: dict[str, Any]) -> Any:
    # Airflow infers this from the type that the function returns. The task returns its summary instead.
    multiple_outputs = kwargs.pop("multiple_outputs", False)
    return task_decorator_factory(
        python_callable=function,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=kind,
        **kind.mapped_fields(kwargs),
    )
