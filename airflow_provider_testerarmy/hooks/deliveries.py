"""The runs that a webhook delivery or a queued message names. Both are hints: nothing else in them is used."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.runs.results import RunId

#: The maximum size of a delivery in bytes.
MAX_BODY: Final = 64 * 1024
#: The minimum length of a secret that is a part of the address.
MIN_SECRET: Final = 24
#: The maximum number of runs that are taken from a delivery, and of values that are searched for them.
MOST_RUNS: Final = 200
MOST_VALUES: Final = 5000
MAX_DEPTH: Final = 8
#: The maximum number of texts in a queued message that are read as JSON.
MOST_TEXTS: Final = 20
#: The maximum length of a run id.
MAX_ID: Final = 64

_NAMES: Final = frozenset(
    {"id", "runId", "run_id", "testRunId", "test_run_id", "batchId", "batch_id", "testGroupRunId"}
    | {"test_group_run_id"}
)


def split_secrets(given: Any) -> tuple[str, ...]:
    """The secrets of a connection: several, separated by commas, while one is being replaced."""
    return tuple(part.strip() for part in str(given or "").split(",") if part.strip())[:4]


def is_secret_part(part: str, secrets: Sequence[str]) -> bool:
    """Whether a part of the address is one of the secrets, compared in constant time. Short secrets never match."""
    # Digests have one length, so the comparison reveals none.
    given = hashlib.sha256(part.encode()).digest()
    usable = [secret if len(secret) >= MIN_SECRET else "" for secret in secrets]
    matches = [hmac.compare_digest(given, hashlib.sha256(each.encode()).digest()) for each in usable]
    return bool(part) and any(matches)


def named_runs(body: bytes) -> tuple[RunId, ...]:
    """The ids in a delivery that may be of runs or batches; empty if it is not JSON."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    return tuple(dict.fromkeys(_ids(found)))[:MOST_RUNS]


def queue_settings(given: Any, conn_id: str) -> dict[str, Any] | None:
    """The arguments of the trigger of a queue; None if none are given.

    :raises RequestInvalid: for anything but a JSON object with a text as ``scheme``.
    """
    if given is None:
        return None
    try:
        found: Any = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping) or not isinstance(found.get("scheme"), str) or "queue" in found:
        raise RequestInvalid(
            f"hints_queue in the extra of the connection {conn_id!r} must be a JSON object with the arguments of "
            'Airflow\'s MessageQueueTrigger, such as {"scheme": "redis+pubsub", "channels": "testerarmy"}.'
        )
    return dict(found)


def queued_runs(message: Any) -> tuple[RunId, ...]:
    """The ids in a queued message that may be of runs or batches.

    :param message: what the trigger of a queue yields. The delivery is a text in it; SQS and SNS wrap it in JSON.
    """
    found: dict[RunId, None] = {}
    left = [message]
    for _ in range(MOST_TEXTS):
        if not left:
            break
        document = _document(left.pop(0))
        found.update(dict.fromkeys(_ids(document)))
        left.extend(_texts(document))
    return tuple(found)[:MOST_RUNS]


def _document(value: Any) -> Any:
    """A text as JSON; None if it is too large, or no JSON."""
    if not isinstance(value, str | bytes):
        return value
    if len(value) > MAX_BODY:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _texts(found: Any) -> list[str | bytes]:
    """The texts in a document that may be JSON objects or lists."""
    texts: list[str | bytes] = []
    left: list[tuple[Any, int]] = [(found, 0)]
    for _ in range(MOST_VALUES):
        if not left or len(texts) >= MOST_TEXTS:
            break
        value, depth = left.pop()
        if isinstance(value, str | bytes):
            if value[:1] in ("{", "[", b"{", b"["):
                texts.append(value)
        elif depth < MAX_DEPTH:
            inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
            left.extend((each, depth + 1) for each in inner)
    return texts


def _ids(found: Any) -> Iterator[RunId]:
    left: list[tuple[Any, int]] = [(found, 0)]
    for _ in range(MOST_VALUES):
        if not left:
            return
        value, depth = left.pop()
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        if isinstance(value, Mapping):
            yield from (value[name] for name in _NAMES & value.keys() if _is_id(value[name]))
        if depth < MAX_DEPTH:
            left.extend((each, depth + 1) for each in inner if isinstance(each, Mapping | list))


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= MAX_ID
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18
