"""The methods that Airflow's OpenLineage provider calls for the events of a task.

The module ``lineage_facets`` builds the facets, and needs the OpenLineage client. Without the OpenLineage provider
nothing calls these methods, and nothing of it is imported.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from airflow_provider_testerarmy.lifecycle.verdict import Judgement

log = logging.getLogger(__name__)


class WithLineage:
    """A mixin for operators and sensors."""

    #: The verdict of this try with its results; None until there is one.
    _judgement: ClassVar[Judgement | None] = None

    def get_openlineage_facets_on_start(self) -> Any:
        """What the task is about to test, as ``OperatorLineage``; None without the OpenLineage provider."""
        return _lineage(self, ended=False)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """What the task has tested, and the verdict; None without the OpenLineage provider."""
        return _lineage(self, ended=True)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """The same for a task that failed; without a verdict, which runs it has started."""
        return _lineage(self, ended=True)


def _lineage(task: Any, *, ended: bool) -> Any:
    try:
        from airflow_provider_testerarmy.lifecycle.lineage_facets import lineage_of
    except ImportError as error:
        log.debug("No OpenLineage facets: %s.", error)
        return None
    # An event without facets is better than none, and neither may fail a task.
    try:
        return lineage_of(task, ended=ended)
    except Exception as error:
        log.warning("The OpenLineage facets could not be built: %s", error)
        return None
