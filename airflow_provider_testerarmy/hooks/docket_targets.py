"""What a Docket request tests, as a label. The gate's memory is kept by this label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from airflow_provider_testerarmy.client.docket import operations as docket
from airflow_provider_testerarmy.runs.service import RunRequest

#: The most ids that a label shows. A group run may have hundreds of tests.
SHOWN_IDS: Final = 5


def category_target(category_id: object) -> RunRequest:
    """A category.

    :raises RequestInvalid: if this is no id.
    """
    return RunRequest("category", str(docket.check_id(category_id, "test_blueprint_category_id")))


def tests_target(test_ids: Sequence[object]) -> RunRequest:
    """Some tests.

    :raises RequestInvalid: for an empty list, or an item that is not an id.
    """
    ids = docket.check_ids(test_ids, "test_blueprint_ids")
    shown = ", ".join(map(str, ids[:SHOWN_IDS]))
    more = f", ... ({len(ids)} in all)" if len(ids) > SHOWN_IDS else ""
    return RunRequest("tests" if len(ids) > 1 else "test", f"{shown}{more}")
