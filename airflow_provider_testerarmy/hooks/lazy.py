"""Modules that are imported on first use: parsing a DAG file calls no method of a hook."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        self.__dict__[name] = value
        return value


def lazy_module(name: str) -> ModuleType:
    """A stand-in for a module, which imports it when an attribute is read."""
    return _LazyModule(name)
