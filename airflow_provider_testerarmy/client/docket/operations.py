"""The Docket API, one function per operation; nothing here does I/O.

Source: the service's API reference. The API has no list, no cancellation and no idempotency key.
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
    TestRunState,
    TestRunStateAnswer,
)
from airflow_provider_testerarmy.client.http.errors import RequestInvalid, UnusableSubmission
from airflow_provider_testerarmy.client.http.operation import Operation
from airflow_provider_testerarmy.client.http.wire import NOTHING, build_request

DEFAULT_BASE_URL: Final = "https://api.docketqa.com"
KEY_HEADER: Final = "X-API-KEY"
#: The reference does not describe errors. A JSON object with one of these fields counts as an error of Docket.
ERROR_FORMAT: Final = (("detail",), ("message",), ("error",), ("errors",), ("msg",))

AnswerT = TypeVar("AnswerT", bound=BaseModel)

_id: Final = TypeAdapter(Id)


def check_id(value: object, name: str) -> int:
    """The id as an integer, from an integer or from rendered text.

    :param name: its name in the message, e.g. ``test_blueprint_ids``.
    :raises RequestInvalid: for anything else, booleans included.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in NOTHING:
            raise RequestInvalid(f"{name} is empty; a template may have rendered to nothing.")
        # An id has at most 19 digits. int() raises an error for more than 4,300 digits:
        # https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text
    try:
        return _id.validate_python(value)
    except ValidationError:
        shown = repr(value)[:80]
        raise RequestInvalid(f"{name} {shown} is not a Docket id (a positive whole number).") from None


def check_ids(value: object, name: str) -> tuple[int, ...]:
    """The ids from a list, a single id, or rendered text such as ``[181, 182]`` or ``181, 182``.

    :raises RequestInvalid: for an empty list, or an item that is not an id.
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
    """Check that exactly one of the two parameters is given.

    :raises RequestInvalid: if both or neither are given.
    """
    if test_blueprint_ids is not None and test_blueprint_category_id is not None:
        raise RequestInvalid(
            "Both test_blueprint_ids and test_blueprint_category_id are given; pass only one of them."
        )
    if test_blueprint_ids is None and test_blueprint_category_id is None:
        raise RequestInvalid(
            "Neither test_blueprint_ids nor test_blueprint_category_id is given; pass one of them. "
            "A template may have rendered to nothing."
        )


def trigger_run(
    *, test_blueprint_ids: object = None, test_blueprint_category_id: object = None
) -> Operation[GroupRun]:
    """``POST /test_group_run/trigger_run``: starts (and bills) one run of each test.

    :param test_blueprint_ids: the tests.
    :param test_blueprint_category_id: the category that contains the tests, instead of their ids.
    :raises RequestInvalid: if both or neither are given, or a value is not an id.
    """
    return trigger(_selection(test_blueprint_ids, test_blueprint_category_id))


def trigger_ci_run(
    github_context: GithubContext | Mapping[str, Any],
    *,
    test_blueprint_ids: object = None,
    test_blueprint_category_id: object = None,
) -> Operation[GroupRun]:
    """``POST /test_group_run/trigger_ci_run``: like :func:`trigger_run`, and reports to a commit on GitHub.

    :param github_context: the commit, with the fields of :class:`GithubContext`.
    """
    selection = _selection(test_blueprint_ids, test_blueprint_category_id)
    return trigger({**selection, **build_request(CiRunRequest, github_context=github_context).body()})


def trigger(body: Mapping[str, Any]) -> Operation[GroupRun]:
    """The trigger for a validated body; ``github_context`` in it makes it a CI run."""
    name, path = "trigger run", "/test_group_run/trigger_run"
    if "github_context" in body:
        name, path = "trigger CI run", "/test_group_run/trigger_ci_run"
    # The API has no idempotency key: a repeated trigger starts (and bills) a second group run.
    return Operation(name, "POST", path, _group_run, body=body, repeatable=False)


def _group_run(data: Any) -> GroupRun:
    """Parse the response to a trigger.

    :raises UnusableSubmission: for an unexpected shape, with the ids that could be read.
    """
    try:
        return GroupRunAnswer.model_validate(data).test_group_run
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        where = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in found[:3])
        raise UnusableSubmission(
            f"the response has an unexpected shape: {where}", *_named_ids(data)
        ) from None


def _named_ids(data: Any) -> tuple[tuple[int, ...], str]:
    """The valid run ids and the group run's id in a response of any shape."""
    # These runs exist and are billed. The error names them, so that a person can find and stop them.
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


def get_test_run_state(run_id: int | str) -> Operation[TestRunState]:
    """Like :func:`get_test_run`, but parses only what a poll needs."""
    return _test_run(run_id, TestRunStateAnswer).then(lambda answer: answer.test_run)


def _test_run(run_id: int | str, answer: type[AnswerT]) -> Operation[AnswerT]:
    asked = check_id(run_id, "run_id")

    def parse(data: Any) -> AnswerT:
        parsed = answer.model_validate(data)
        returned = getattr(parsed, "test_run", None)
        # A broken cache or proxy may return another run, whose outcome must not count for this one.
        if getattr(returned, "id", None) != asked:
            raise ValueError(f"requested run {asked}, received another run")
        return parsed

    return Operation("get test run", "GET", f"/test_run/{asked}", parse)


def check_key() -> Operation[None]:
    """``GET /test_run/0``: tests the key. Ids start at 1, so a 404 means that the service accepted the key."""
    return Operation("test the key", "GET", "/test_run/0", lambda _body: None)


def _selection(test_blueprint_ids: object, test_blueprint_category_id: object) -> dict[str, Any]:
    check_choice(test_blueprint_ids, test_blueprint_category_id)
    if test_blueprint_ids is not None:
        return {"test_blueprint_ids": list(check_ids(test_blueprint_ids, "test_blueprint_ids"))}
    category_id = check_id(test_blueprint_category_id, "test_blueprint_category_id")
    return {"test_blueprint_category_id": category_id}
