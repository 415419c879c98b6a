"""The base of the decorated operators: a function returns what to test, and the operator does the rest.

The function decides what is sent, and it may return something else each time. So the record of the task keeps what
it returned before anything is sent, and the tries that follow do not call it again.
"""

from __future__ import annotations

import inspect
import json
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_provider_testerarmy.lifecycle.parameters import is_template, stable
from airflow_provider_testerarmy.runs.text import one_line

# Imported inside methods, so that parsing a DAG file stays cheap; see lifecycle/task.py.
if TYPE_CHECKING:
    from airflow_provider_testerarmy.lifecycle.options import Options
    from airflow_provider_testerarmy.operators.base import RunOperator
    from airflow_provider_testerarmy.runs.service import RunRequest
else:
    RunOperator = object

#: Stands for a parameter that the function sets, in the list of rendered fields before the task has run.
RETURNED: Final = "(what the function returns)"
#: The largest value that a record keeps, in bytes of JSON. Airflow warns of records above 64 KiB.
MAX_BYTES: Final = 32 * 1024


class FunctionOperator(RunOperator):
    """A mixin for an operator whose request a function returns. It must come first among the bases.

    :param python_callable: the function.
    :param op_args: its positional arguments (templated).
    :param op_kwargs: its named arguments (templated).
    :param render: bool. True renders templates in what the function returns. False sends it as it is, so that text
        from outside cannot read Airflow's variables and connections.
    :raises ValueError: when the DAG file is parsed, for an async function, or a parameter that the function sets.
    """

    #: The parameters that only the function may set.
    function_only: ClassVar[tuple[str, ...]] = ()
    # Airflow shows the fields as they are at the end of the task.
    overwrite_rtif_after_execution = True
    custom_operator_name: ClassVar[str]
    # Airflow's ``DecoratedOperator`` sets these.
    python_callable: Callable[..., Any]
    op_args: Collection[Any]
    op_kwargs: Mapping[str, Any]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # At the end of a task that does not defer, the ``DecoratedOperator`` of Airflow 3.0 reads this attribute.
        # Its operators no longer have it, so the task fails after its runs have passed (seen on 3.0.6).
        # The operators of Airflow 2 have it, and Airflow 3.1 and later do not read it.
        if not hasattr(cls, "xcom_push"):
            cls.xcom_push = None  # type: ignore[attr-defined]

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        render: bool = False,
        **kwargs: Any,
    ) -> None:
        if inspect.iscoroutinefunction(python_callable):
            raise ValueError(f"{self.custom_operator_name} needs a function that is not async.")
        self.render_returned = render
        #: The JSON of what the function has returned; None until it is known.
        self._chosen: str | None = None
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    @abstractmethod
    def fields_of(self, returned: Any) -> dict[str, Any]:
        """The parameters that a returned value sets.

        :raises RequestInvalid: if it is none that the decorator accepts.
        """

    def target(self) -> RunRequest | None:
        """The target; None until it is known what the function has returned."""
        return None if self._chosen is None else self._known_target()

    @abstractmethod
    def _known_target(self) -> RunRequest:
        """The target, once the parameters are set."""

    def build_request(self) -> RunRequest:
        """The request, once the parameters are set.

        :raises RequestInvalid: with the parameter's name, or before that.
        """
        if self._chosen is None:
            from airflow_provider_testerarmy.client.http.errors import RequestInvalid

            raise RequestInvalid("It is not known what the function has returned.")
        return self._known_request()

    @abstractmethod
    def _known_request(self) -> RunRequest:
        """The request, once the parameters are set."""

    def _whole_request(self) -> RunRequest | None:  # type: ignore[override]
        return None if self._chosen is None else self.build_request()

    def _options(self) -> Options:
        return replace(super()._options(), chosen=self._chosen or "")

    def _open(self, context: Any, build_request: Callable[[], RunRequest | None]) -> Any:
        if self._chosen is None:
            # A try that resumes has the runs. Only a try that starts some may call the function.
            choose = self._recall if build_request == self._outline else self._choose
            choose(context)
        return super()._open(context, build_request)

    def _choose(self, context: Any) -> None:
        """Set the parameters to what the function returned in an earlier try, or else call it.

        :raises RequestRefused: for a value that the decorator does not accept.
        """
        from airflow_provider_testerarmy.exceptions import RequestRefused
        from airflow_provider_testerarmy.lifecycle.chosen import chosen_before

        before = chosen_before(self.hook, context, self.log, resumes=False) if self.durable else None
        if before is not None and before.certain:
            self.log.info("An earlier try has called the function. This try uses what it returned.")
            self._set(before.text)
            return
        text = self._returned(context)
        if before is not None and before.active and before.text != text:
            raise RequestRefused(
                "The record of an earlier try is not signed with the current key of the connection, and the "
                "function now returns something else. The earlier try may have started runs. Nothing was started. "
                "Check the dashboard, then clear the task to start anew."
            )
        self._set(text)

    def _recall(self, context: Any) -> None:
        """Set the parameters to what the function returned before the task was deferred, if the record has it."""
        from airflow_provider_testerarmy.lifecycle.chosen import chosen_before

        before = chosen_before(self.hook, context, self.log, resumes=True) if self.durable else None
        if before is not None and before.certain:
            self._set(before.text)
            return
        self.log.warning(
            "The record does not say for certain what the function returned. The runs are judged, but nothing is "
            "run again, and no memory of earlier nights is used."
        )

    def _returned(self, context: Any) -> str:
        """Call the function; returns the parameters that it sets, as JSON.

        :raises RequestRefused: for a value that the decorator does not accept.
        """
        from airflow_provider_testerarmy.client.http.errors import RequestInvalid
        from airflow_provider_testerarmy.exceptions import RequestRefused

        try:
            returned = self._called(context)
            return _to_json({name: stable(value) for name, value in self.fields_of(returned).items()})
        except RequestInvalid as error:
            raise RequestRefused(f"{error} {self._stop_earlier(context)}") from error
        except Exception:
            # The cleared or edited task may have runs of before, which nobody waits for any more.
            self.log.info("The function has returned nothing. %s", self._stop_earlier(context))
            raise

    def _called(self, context: Any) -> Any:
        from airflow_provider_testerarmy.airflow_compat.arguments import call_function

        returned = call_function(self.python_callable, self.op_args, self.op_kwargs, context)
        if self.render_returned:
            return self.render_template(returned, context)
        if isinstance(returned, str | Mapping) and is_template(returned):
            self.log.warning(
                "The function returned a text with {{ or {%%. It is sent as it is. To render it, set render=True."
            )
        return returned

    def _set(self, text: str) -> None:
        for name in self.function_only:
            setattr(self, name, None)
        for name, value in json.loads(text).items():
            setattr(self, name, value)
        self._chosen = text


def refuse_function_only(kwargs: Mapping[str, Any], names: Collection[str], decorator: str) -> None:
    """Refuse parameters that only the function may set.

    :param kwargs: the parameters of the decorator.
    :raises ValueError: with the parameter's name.
    """
    for name in names:
        if name in kwargs:
            raise ValueError(f"{name} is not a parameter of {decorator}. The function returns it.")


def check_names(returned: Mapping[Any, Any], allowed: Collection[str]) -> dict[str, Any]:
    """The returned dict, without empty parameters.

    :param allowed: the parameters that it may have.
    :raises RequestInvalid: for any other.
    """
    from airflow_provider_testerarmy.client.http.errors import RequestInvalid

    others = sorted(str(name) for name in returned if name not in allowed)
    if others:
        named = ", ".join(one_line(name, 50) for name in others[:5])
        raise RequestInvalid(
            f"The function returned a dict with {named}. It may have: {', '.join(allowed)}. All other "
            "parameters belong to the decorator."
        )
    return {name: value for name, value in returned.items() if value is not None}


def _to_json(fields: Mapping[str, Any]) -> str:
    """The parameters as JSON, which the record keeps.

    :raises RequestInvalid: if they have another type, or are too large.
    """
    from airflow_provider_testerarmy.client.http.errors import RequestInvalid

    for name, value in fields.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise RequestInvalid(
                f"The function returned a value of {name} that is not JSON: {error}."
            ) from None
    text = json.dumps(fields, sort_keys=True)
    if len(text) > MAX_BYTES:
        raise RequestInvalid(
            f"The function returned {len(text):,} bytes. At most {MAX_BYTES:,} are possible, because the task "
            "keeps them between tries."
        )
    return text
