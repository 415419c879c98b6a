"""What a response says about the requests that the service still allows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

#: A reset above this is a time in seconds since the epoch, as some services send it, and no duration.
_EPOCH: Final = 1_000_000_000
_NUMBER: Final = r"\s*=\s*(\d{1,10})(?!\d)"
#: The field of the IETF's draft: ``"default";r=50;t=30``; before its version 8 ``remaining=50, reset=30``.
_ITEM: Final = re.compile(rf";\s*r{_NUMBER}[^,]*;\s*t{_NUMBER}|remaining{_NUMBER},\s*reset{_NUMBER}")


def requests_per_second(headers: Mapping[str, str], server_time: datetime | None = None) -> float | None:
    """The rate that uses up what is allowed at the moment of the reset; None if the response does not say.

    :param headers: those of rate limits, by name in lower case.
    :param server_time: the service's time, for a reset that is a time.
    """
    found = [
        remaining / seconds
        for remaining, reset in _allowances(headers)
        if (seconds := _seconds(reset, server_time)) is not None
    ]
    return min(found, default=None)


def _allowances(headers: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    for prefix in ("", "x-"):
        for match in _ITEM.finditer(headers.get(f"{prefix}ratelimit", "")):
            remaining, reset = (int(number) for number in match.groups() if number is not None)
            yield remaining, reset
        numbers = [headers.get(f"{prefix}ratelimit-{name}", "").strip() for name in ("remaining", "reset")]
        if all(re.fullmatch(r"\d{1,10}", number, re.ASCII) for number in numbers):
            yield int(numbers[0]), int(numbers[1])


def _seconds(reset: int, server_time: datetime | None) -> float | None:
    if reset < _EPOCH:
        return float(max(1, reset))
    return None if server_time is None else max(1.0, reset - server_time.timestamp())
