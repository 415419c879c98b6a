"""The Docket API, one function per operation; nothing here does I/O.

Source: the service's API reference. It has no list, no cancellation and no idempotency key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from airflow_provider_testerarmy.client.docket.models import (
    CiRunRequest,
    GithubContext,
    GroupRun,
    GroupRunAnswer,
    Id,
    TestRun,
    TestRunAnswer,
    TestRunGlimpse,
    TestRunGlimpseAnswer,
)
from airflow_provider_testerarmy.client.http.errors import RequestInvalid, UnusableSubmission
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import NOTHING, build_request

DEFAULT_BASE_URL: Final = "https://api.docketqa.com"
KEY_HEADER: Final = "X-API-KEY"
#: The reference does not describe errors: one of these fields in a JSON object is taken for Docket's own.
ERROR_FORMAT: Final = (("detail",), ("message",), ("error",), ("errors",), ("msg",))

AnswerT = TypeVar("AnswerT", bound=BaseModel)

_id: Final = TypeAdapter(Id)


def check_id(value: object, name: str) -> int:
    """The id as an integer, from an integer or from text that a template made of one.

    :param name: what it is called in the message, e.g. ``test_blueprint_ids``.
    :raises RequestInvalid: for anything else, booleans included.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in NOTHING:
            raise RequestInvalid(f"{name} is empty; a template may have rendered to nothing.")
        # Longer text is no id, and Python refuses to read thousands of digits.
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text
    try:
        return _id.validate_python(value)
    except ValidationError:
        shown = repr(value)[:80]
        raise RequestInvalid(f"{name} {shown} is not a Docket id (a positive whole number).") from None


def check_ids(value: object, name: str) -> tuple[int, ...]:
    """The ids from a list, one id, or text that a template made of either: ``[181, 182]`` or ``181, 182``.

    :raises RequestInvalid: when there is none, or when one of them is not an id.
    """
    if isinstance(value, str):
        parts = value.strip().strip("[]()").split(",")
        items: list[object] = [part.strip().strip("'\"") for part in parts if part.strip()]
    elif isinstance(value, Iterable) and not isinstance(value, Mapping | bytes):
        items = list(value)
    else:
        items = [value]
    if not items:
        raise RequestInvalid(f"{name} is empty; a template may have rendered to nothing.")
    return tuple(check_id(item, name) for item in items)


def check_choice(test_blueprint_ids: object, test_blueprint_category_id: object) -> None:
    """Refuse both, and neither, of the two ways to say what to run.

    :raises RequestInvalid: saying which it is.
    """
    if test_blueprint_ids is not None and test_blueprint_category_id is not None:
        raise RequestInvalid(
            "Both test_blueprint_ids and test_blueprint_category_id are given: give the tests or their "
            "category, not both."
        )
    if test_blueprint_ids is None and test_blueprint_category_id is None:
        raise RequestInvalid(
            "Neither test_blueprint_ids nor test_blueprint_category_id is given: one of them says what to run; "
            "a template may have rendered to nothing."
        )


def trigger_run(
    *, test_blueprint_ids: object = None, test_blueprint_category_id: object = None
) -> Operation[GroupRun]:
    """``POST /test_group_run/trigger_run``: starts, and bills, a run of each test.

    :param test_blueprint_ids: the tests.
    :param test_blueprint_category_id: a whole suite instead.
    :raises RequestInvalid: for both or neither of them, or for something that is not an id.
    """
    return trigger(_selection(test_blueprint_ids, test_blueprint_category_id))


def trigger_ci_run(
    github_context: GithubContext | Mapping[str, Any],
    *,
    test_blueprint_ids: object = None,
    test_blueprint_category_id: object = None,
) -> Operation[GroupRun]:
    """``POST /test_group_run/trigger_ci_run``: as :func:`trigger_run`, reported to a commit on GitHub.

    :param github_context: the commit, with the fields of :class:`GithubContext`.
    """
    selection = _selection(test_blueprint_ids, test_blueprint_category_id)
    return trigger({**selection, **build_request(CiRunRequest, github_context=github_context).body()})


def trigger(body: Mapping[str, Any]) -> Operation[GroupRun]:
    """The trigger that such a body, checked before, is for."""
    name, path = "trigger run", "/test_group_run/trigger_run"
    if "github_context" in body:
        name, path = "trigger CI run", "/test_group_run/trigger_ci_run"
    # No idempotency key exists: a repeated trigger starts, and bills, a second group run.
    return Operation(name, "POST", path, _group_run, body=body, repeatable=False)


def _group_run(data: Any) -> GroupRun:
    """The group run that a trigger's answer names.

    :raises UnusableSubmission: for another shape, with the ids that can be read nevertheless.
    """
    try:
        return GroupRunAnswer.model_validate(data).test_group_run
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        where = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in found[:3])
        raise UnusableSubmission(f"the answer has another shape: {where}", *_named_ids(data)) from None


def _named_ids(data: Any) -> tuple[tuple[int, ...], str]:
    """The usable run ids and the group run's id in an answer of any shape."""
    group = data.get("test_group_run") if isinstance(data, Mapping) else None
    if not isinstance(group, Mapping):
        return (), ""
    runs = group.get("test_runs")
    given = [run.get("id") for run in runs if isinstance(run, Mapping)] if isinstance(runs, list) else []
    usable = dict.fromkeys(number for number in map(_usable_id, given) if number)
    return tuple(usable), str(_usable_id(group.get("id")) or "")


def _usable_id(value: object) -> int | None:
    try:
        return check_id(value, "id")
    except RequestInvalid:
        return None


def get_test_run(run_id: int | str) -> Operation[TestRun]:
    """``GET /test_run/{id}``."""
    return _test_run(run_id, TestRunAnswer).then(lambda answer: answer.test_run)


def glance_at_test_run(run_id: int | str) -> Operation[TestRunGlimpse]:
    """As :func:`get_test_run`, reading only how far the run is."""
    return _test_run(run_id, TestRunGlimpseAnswer).then(lambda answer: answer.test_run)


def _test_run(run_id: int | str, answer: type[AnswerT]) -> Operation[AnswerT]:
    asked = check_id(run_id, "run_id")

    def parse(data: Any) -> AnswerT:
        parsed = answer.model_validate(data)
        told = getattr(parsed, "test_run", None)
        # A cache or a proxy may answer about another run; its end must not be taken for this one's.
        if getattr(told, "id", None) != asked:
            raise ValueError(f"asked about run {asked}, answered about another run")
        return parsed

    return Operation("get test run", "GET", f"/test_run/{asked}", parse)


def look_for_no_run() -> Operation[None]:
    """``GET /test_run/0``: a run that there is not, so that 404 is the good answer and proves the key."""
    return Operation("look for run 0", "GET", "/test_run/0", lambda _body: None)


def _selection(test_blueprint_ids: object, test_blueprint_category_id: object) -> dict[str, Any]:
    check_choice(test_blueprint_ids, test_blueprint_category_id)
    if test_blueprint_ids is not None:
        return {"test_blueprint_ids": list(check_ids(test_blueprint_ids, "test_blueprint_ids"))}
    category_id = check_id(test_blueprint_category_id, "test_blueprint_category_id")
    return {"test_blueprint_category_id": category_id}
