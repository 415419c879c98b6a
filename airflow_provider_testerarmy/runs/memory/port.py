"""The storage port: where memories are kept, in as few words as every storage knows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final, Protocol

#: Fields of a request's body that tell one environment from another.
ENVIRONMENT: Final = ("environment", "projectEnvironmentId", "platform", "deviceModel")


class Storage(Protocol):
    """Texts by key. It lists no keys, compares nothing, and of two writes of one key the last remains.

    Each call takes effect at one moment between its begin and its end. A call that fails raises ``StorageFault``.
    """

    def get(self, key: str) -> str | None:
        """The text, None where there is none."""

    def set(self, key: str, text: str) -> None:
        """Store a text of at most 48 KiB."""

    def delete(self, key: str) -> None:
        """Remove a text; one that is not there is no error."""


class Prefixed(Protocol):
    """What names the keys of a memory: a :class:`Scope`, or an entry of a list."""

    @property
    def prefix(self) -> str:
        """What every key of it begins with."""


class StorageFault(Exception):
    """A storage that did not answer; the memory counts as one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory it is.

    :param target: the group or test, with whatever else tells it from others, e.g. the service's address.
    :param environment: what it is tested in, empty where there is only one.
    """

    target: str
    environment: str = ""

    @property
    def prefix(self) -> str:
        """What every key of it begins with."""
        text = json.dumps([self.target, self.environment])
        return f"memory-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
