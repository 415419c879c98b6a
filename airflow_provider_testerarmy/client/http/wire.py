"""What every vendor's models share: an answer's surprises are borne, a request's mistakes are refused."""

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
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    field_validator,
)
from pydantic.alias_generators import to_camel

from airflow_provider_testerarmy.client.http.errors import RequestInvalid

T = TypeVar("T")
RequestT = TypeVar("RequestT", bound=BaseModel)

#: What a template renders a missing or null value to.
NOTHING: Final = frozenset({"", "none", "null", "undefined"})


def _text(value: Any) -> Any:
    """Whole numbers and ids as text: `render_template_as_native_obj` makes a number of "1234567"."""
    if isinstance(value, float):
        # 1e5 and 100000.0 are the same number, so the text that was meant is lost.
        raise ValueError("is a fraction, not text; in a native template, put quotes around the expression")  # noqa: TRY004
    if isinstance(value, int | UUID | PurePath) and not isinstance(value, bool):
        return str(value)
    return value


def _no_bool(value: Any) -> Any:
    # Python takes True for 1.
    return str(value) if isinstance(value, bool) else value


def _is_word(annotation: Any) -> bool:
    """Whether a field takes one of some words."""
    return get_origin(annotation) is Literal or any(map(_is_word, get_args(annotation)))


Text = Annotated[str, BeforeValidator(_text), StringConstraints(strip_whitespace=True, min_length=1)]

#: For a number: no boolean.
NumberOnly: Final = BeforeValidator(_no_bool)


class WireModel(BaseModel):
    """An object in an answer: camelCase on the wire, unknown fields ignored, immutable once parsed."""

    # Deferred, because DAG files are parsed over and over and rarely send a request.
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


#: A time; one without a zone is UTC, so that any two can be compared.
Moment = Annotated[datetime, AfterValidator(_with_zone)]

#: A field that tells more, but that nothing depends on: null or another type reads as None.
Lenient = Annotated[T | None, WrapValidator(_none_on_mismatch)]

#: A list whose malformed items are left out; null or another type reads as empty.
LenientTuple = Annotated[tuple[T, ...], WrapValidator(_well_formed)]

#: A list that must be there, though null is read as empty.
NullableTuple = Annotated[tuple[T, ...], BeforeValidator(lambda value: () if value is None else value)]


class RequestModel(BaseModel):
    """A request: checked before it is sent, unknown fields refused, what is unset is left out."""

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
        """What rendered to nothing is not given; a field that must be given says so."""
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


def build_request(kind: type[RequestT], **fields: Any) -> RequestT:
    """A checked request body.

    :raises RequestInvalid: naming every field that is wrong and why, never its value (it may be a secret).
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
