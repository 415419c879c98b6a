"""What the provider registry is told exists, and nothing public is missing."""

from __future__ import annotations

from pkgutil import resolve_name

import yaml

from tests.docs.blocks import REPOSITORY
from tests.docs.generate import PACKAGE, PUBLIC

REGISTRY = yaml.safe_load((REPOSITORY / ".airflow-registry.yaml").read_text())
NAMES = {entry["module"] for kind in ("operators", "other") for entry in REGISTRY[kind]}


def test_every_class_can_be_imported():
    for name in NAMES:
        module, _, attribute = name.rpartition(".")
        assert isinstance(resolve_name(f"{module}:{attribute}"), type)


def test_no_public_operator_sensor_or_hook_is_missing():
    """Apart from the bases."""
    public = {f"{PACKAGE}.{name}" for kind in ("Operators", "Sensors", "Hooks") for name in PUBLIC[kind]}
    assert {name for name in public if ".base." not in name} == NAMES
