"""A test as a file describes it, and as the service has it. Free of I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: A step in the words of the service's API.
Step = Mapping[str, Any]

#: The fields of a step that the digest covers; all others belong to the service.
STEP_FIELDS: Final = ("type", "title", "credentialId", "temporaryEmail", "fileIds", "code")


class CatalogueInvalid(ValueError):
    """Files, a lock or a selection that cannot be used; the text says why, and what to do."""


class CatalogueBusy(CatalogueInvalid):
    """Something else has changed lock or service during a sync. A new plan takes it into account."""


@dataclass(frozen=True, slots=True)
class TestFile:
    """A test in a file.

    :param key: the path of the file below the folder, with slashes.
    :param platform: ``web``, ``mobile``, or empty for that of the project.
    :param groups: names or ids of groups that the test is in.
    :param mode: ``fast``, ``deep`` or empty. The service stores none; a run takes it from here.
    :param owner, tags: for people and selections; the service stores neither.
    """

    __test__ = False

    key: str
    title: str
    steps: tuple[Step, ...]
    description: str = ""
    platform: str = ""
    enabled: bool = True
    groups: tuple[str, ...] = ()
    mode: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What the service should have."""
        return digest(self.title, self.description, self.steps, enabled=self.enabled)


@dataclass(frozen=True, slots=True)
class RemoteTest:
    """A test at the service."""

    __test__ = False

    id: str
    title: str
    steps: tuple[Step, ...]
    description: str = ""
    platform: str = ""
    enabled: bool = True

    @property
    def digest(self) -> str:
        """What the service has."""
        return digest(self.title, self.description, self.steps, enabled=self.enabled)

    def disabled_digest(self) -> str:
        """The digest after the test is disabled."""
        return digest(self.title, self.description, self.steps, enabled=False)


@dataclass(frozen=True, slots=True)
class RemoteGroup:
    """A group at the service."""

    id: str
    name: str


def digest(title: str, description: str, steps: tuple[Step, ...], *, enabled: bool) -> str:
    """The digest of what a sync writes. White space at the ends, and fields without a value, make no difference."""
    content = [
        title.strip(),
        description.strip(),
        [{name: _plain(step.get(name)) for name in STEP_FIELDS if _plain(step.get(name))} for step in steps],
        enabled,
    ]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip()
    return list(value) if isinstance(value, tuple) else value
