"""The verdict in the asset events of a task: their ``extra``, and the partition of each asset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from airflow.providers.common.compat.sdk import Asset

from airflow_provider_testerarmy import airflow_compat
from airflow_provider_testerarmy.lifecycle.parameters import is_template
from airflow_provider_testerarmy.runs.rendered import is_nothing
from airflow_provider_testerarmy.runs.service import RunRequest
from airflow_provider_testerarmy.runs.text import one_line

VERSION: Final = 1
#: The maximum number of run ids and reports in an event, and the size of its ``extra`` in bytes of JSON.
RUN_IDS: Final = 100
REPORTS: Final = 10
MAX_BYTES: Final = 16 * 1024
#: The maximum length of a partition key in Airflow's database.
KEY: Final = 250


def check_partition_key(key: Any, *, waits: bool, outlets: Any) -> None:
    """Check the parameter ``partition_key`` when the DAG file is parsed.

    :param waits: whether the task waits for its runs.
    :raises ValueError: if the key cannot work.
    """
    if is_nothing(key):
        return
    if not airflow_compat.PARTITIONS.available:
        raise ValueError(
            f"partition_key needs Airflow {airflow_compat.PARTITIONS.version} or later. Remove it."
        )
    if not waits:
        raise ValueError(
            "partition_key needs wait_for_completion=True: an untested commit must not count as passed."
        )
    if not outlets:
        raise ValueError("partition_key needs outlets, the assets that get the partition. Add an asset.")
    if not is_template(key):
        usable_key(key)


def usable_key(key: Any) -> str:
    """The rendered partition key.

    :raises ValueError: if Airflow cannot use it.
    """
    text = "" if is_nothing(key) else str(key).strip()
    if not text or len(text) > KEY or one_line(text, KEY) != text:
        raise ValueError(
            f"partition_key must be a text of 1 to {KEY} characters, such as a commit, not {str(key)[:80]!r}."
        )
    return text


def announce(
    task: Any, context: Mapping[str, Any], summary: Mapping[str, Any], request: RunRequest | None, key: str
) -> None:
    """Add the verdict to the event of each outlet, which Airflow sends if the task succeeds.

    :param request: what the task started; None if that is unknown.
    :param key: the partition key, or an empty string.
    """
    assets = [outlet for outlet in task.outlets or () if isinstance(outlet, Asset)]
    events = context.get("outlet_events")
    if not assets or events is None:
        return
    extra = make_extra(summary, request, task.report_path)
    for asset in assets:
        events[asset].extra.update(extra)
        # A verdict that is not a pass, e.g. of a gate that only warns, must not promote a commit.
        if key and summary.get("verdict") == "passed":
            events[asset].add_partitions(key)


def make_extra(summary: Mapping[str, Any], request: RunRequest | None, reports: Any) -> dict[str, Any]:
    """The ``extra`` of an asset event: JSON values of at most 16 KiB.

    :return: ``version``, ``verdict``, ``counts``, ``run_ids`` (at most 100), ``batch_id``, ``url``, ``commit``,
        ``address``, ``report`` (the paths of the reports) and ``truncated`` (the number of omitted run ids).
    """
    paths = [] if is_nothing(reports) else reports if isinstance(reports, list | tuple) else [reports]
    run_ids = list(summary.get("run_ids") or ())
    extra: dict[str, Any] = {
        "version": VERSION,
        "verdict": summary.get("verdict"),
        "counts": dict(summary.get("counts") or {}),
        "run_ids": run_ids[:RUN_IDS],
        "batch_id": summary.get("batch_id"),
        "url": summary.get("url"),
        "commit": one_line(request.commit, 200) if request else "",
        "address": one_line(request.address, 2000) if request else "",
        "report": [one_line(str(path), 500) for path in paths[:REPORTS]],
    }
    while len(json.dumps(extra)) > MAX_BYTES and extra["run_ids"]:
        extra["run_ids"] = extra["run_ids"][: len(extra["run_ids"]) // 2]
    already = (summary.get("truncated") or {}).get("run_ids", 0)
    return {**extra, "truncated": already + len(run_ids) - len(extra["run_ids"])}
