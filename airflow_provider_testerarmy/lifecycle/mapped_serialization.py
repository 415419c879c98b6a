"""Makes the parameters of mapped tasks serialize the same in every process, so that a DAG keeps its version."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from airflow_provider_testerarmy.lifecycle.parameters import stable


def stable_fields(fields: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The fields, with a stable value under each of the names."""
    return {name: stable(value) if name in names else value for name, value in fields.items()}


def stable_partial(partial: Any) -> Any:
    """The result of ``partial()``, changed so that ``expand`` and ``expand_kwargs`` accept unordered values too.

    Airflow serializes a set in hash order, which differs from process to process. Each parse then creates another
    DAG version; https://github.com/apache/airflow/issues/56471 shows the effect.
    """
    partial.__class__ = _stable_kind(type(partial))  # type: ignore[arg-type]
    return partial


@cache
def _stable_kind(kind: type) -> Any:
    class StablePartial(kind):  # type: ignore[misc]
        """Airflow's class, with stable values."""

        __slots__ = ()

        def expand(self, **mapped_kwargs: Any) -> Any:
            """Map over lists, as Airflow's method does."""
            return super().expand(**stable_fields(mapped_kwargs, self.operator_class.template_fields))

        def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> Any:
            """Map over parameters. Values that are known only at run time stay as they are."""
            if isinstance(kwargs, list | tuple):
                names = self.operator_class.template_fields
                kwargs = [stable_fields(each, names) if isinstance(each, dict) else each for each in kwargs]
            return super().expand_kwargs(kwargs, strict=strict)

    return StablePartial
