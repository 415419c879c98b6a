"""What a TesterArmy account holds: projects, environments, saved tests and groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

PROJECT_SHOP = "10000000-0000-4000-8000-000000000001"
CREATED_AT = "2026-01-05T09:00:00.000Z"
UPDATED_AT = "2026-02-10T16:30:00.000Z"


@dataclass(frozen=True, slots=True)
class Project:
    """A product under test."""

    id: str
    short_id: str
    name: str
    url: str | None
    kind: Literal["web", "mobile"]
    description: str | None = None
    created_at: str = CREATED_AT
    updated_at: str = UPDATED_AT


@dataclass(frozen=True, slots=True)
class Environment:
    """A deployment of a project."""

    id: str
    project_id: str
    name: str
    slug: str
    kind: Literal["production", "pr_preview", "static"]
    url: str | None


@dataclass(frozen=True, slots=True)
class SavedTest:
    """A saved test.

    :param script: the name of the script that its runs follow.
    :param seconds: how long its runs are `running`, in sandbox seconds.
    :param steps: its steps as a client wrote them; None for those that its title suggests.
    """

    id: str
    title: str
    script: str
    seconds: float = 8.0
    project_id: str = PROJECT_SHOP
    path: str = "/"
    enabled: bool = True
    login: bool = False
    description: str | None = None
    steps: tuple[dict[str, Any], ...] | None = None
    platform: Literal["web", "mobile"] | None = None
    created_at: str = CREATED_AT
    updated_at: str = UPDATED_AT


@dataclass(frozen=True, slots=True)
class Group:
    """A test group; the preparation test, if any, runs before the others."""

    id: str
    name: str
    test_ids: tuple[str, ...]
    project_id: str = PROJECT_SHOP
    run_mode: Literal["concurrent", "sequential"] = "concurrent"
    prep_test_id: str | None = None
    is_default: bool = False
    created_at: str = CREATED_AT
    updated_at: str = UPDATED_AT
