"""Base classes and types for the vendors' models: responses are parsed leniently, requests validated strictly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    field_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import core_schema

from airflow_provider_testerarmy.client.http.errors import RequestInvalid

T = TypeVar("T")
RequestT = TypeVar("RequestT", bound=BaseModel)

#: What a template renders a missing or null value to.
NOTHING: Final = frozenset({"", "none", "null", "undefined"})


def _text(value: Any) -> Any:
    """Integers and ids as text.

    With ``render_template_as_native_obj``, a commit such as "1234567" arrives as an integer:
    https://github.com/apache/airflow/issues/34641
    """
    if isinstance(value, float):
        # "1e5" and "100000.0" become the same number, so the original text cannot be restored.
        raise ValueError("is a fraction, not text; in a native template, put quotes around the expression")  # noqa: TRY004
    if isinstance(value, int | UUID | PurePath) and not isinstance(value, bool):
        return str(value)
    return value


def _no_bool(value: Any) -> Any:
    # bool is a subclass of int, so True would be accepted as 1.
    return str(value) if isinstance(value, bool) else value


def _is_word(annotation: Any) -> bool:
    """Whether a field is a ``Literal`` or contains one."""
    return get_origin(annotation) is Literal or any(map(_is_word, get_args(annotation)))


Text = Annotated[str, BeforeValidator(_text), StringConstraints(strip_whitespace=True, min_length=1)]

#: Makes a numeric field refuse booleans.
NumberOnly: Final = BeforeValidator(_no_bool)


class WireModel(BaseModel):
    """An object in a response: camelCase in JSON, unknown fields ignored, immutable."""

    # Airflow parses DAG files every few seconds, and parsing sends no request. So pydantic builds the validators
    # only when they are first used.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )


def _none_on_mismatch(value: Any, parse: Callable[[Any], Any]) -> Any:
    try:
        return parse(value)
    except ValidationError:
        return None


def _well_formed(value: Any, parse: Callable[[Any], Any]) -> Any:
    if not isinstance(value, list):
        return ()
    items = (_none_on_mismatch(item, lambda one: parse([one])[0]) for item in value)
    return tuple(item for item in items if item is not None)


def _with_zone(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


#: A time; one without a time zone is taken as UTC, so that any two can be compared.
Moment = Annotated[datetime, AfterValidator(_with_zone)]


class _NoneOnMismatch:
    """Makes None of null and of a value of another type.

    Pydantic does this without a call to Python. A list of 100 runs has hundreds of such fields.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


#: An informative field that nothing depends on; null or a value of another type becomes None.
Lenient = Annotated[T | None, _NoneOnMismatch()]

#: A list that drops malformed items; null or a value of another type becomes an empty tuple.
LenientTuple = Annotated[tuple[T, ...], WrapValidator(_well_formed)]

#: A required list; null becomes an empty tuple.
NullableTuple = Annotated[tuple[T, ...], BeforeValidator(lambda value: () if value is None else value)]


class RequestModel(BaseModel):
    """A request body: validated before it is sent, unknown fields refused, unset fields omitted."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        defer_build=True,
        frozen=True,
        hide_input_in_errors=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _as_rendered(cls, value: Any, info: ValidationInfo) -> Any:
        """Treat a value that rendered to nothing as unset.

        :raises ValueError: if the field is required.
        """
        if isinstance(value, UUID):
            return str(value)
        if not isinstance(value, str):
            return value
        field = cls.model_fields[info.field_name or ""]
        if value.strip().lower() in NOTHING:
            if not field.is_required():
                return field.get_default(call_default_factory=True)
            if not value.strip():
                raise ValueError("is empty; a template may have rendered to nothing")
            raise ValueError(f"is {value.strip()!r}; a template may have rendered to nothing")
        return value.strip().lower() if _is_word(field.annotation) else value

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def build_request(kind: type[RequestT], /, **fields: Any) -> RequestT:
    """A validated request body.

    :raises RequestInvalid: naming each invalid field and why, but not its value, which may be a secret.
    """
    try:
        return kind(**fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
            for item in found
        )
        raise RequestInvalid(f"The request cannot be sent: {wrong}.") from None
