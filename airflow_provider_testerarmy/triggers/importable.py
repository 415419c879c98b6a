"""Checks whether another process, the triggerer, can import a class that this process has."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Final

#: The prefix of the module name under which Airflow imports a DAG file.
_DAG_FILE: Final = "unusual_prefix_"


def importable_elsewhere(path: str, dag_folders: Iterable[Path | str] = ()) -> bool:
    """Whether a triggerer can import a class by its path, as far as this process can tell.

    Checked before a run is started: otherwise the triggerer would fail to import a hook that is defined in a DAG
    file, after the run has started.

    :param path: the module and the qualified name of the class, joined by dots.
    :param dag_folders: the folders of the task's DAG bundle, which are not on the path of a triggerer.
    """
    found = _module_of(path)
    if found is None or found == "__main__" or found.startswith(_DAG_FILE):
        return False
    try:
        spec = find_spec(found)
        resolve_name(path)
    except (ImportError, AttributeError, ValueError):
        return False
    if spec is None or spec.origin is None:
        return spec is not None
    origin = Path(spec.origin).resolve()
    return not any(origin.is_relative_to(Path(folder).resolve()) for folder in dag_folders)


def _module_of(path: str) -> str | None:
    """The longest prefix of the path that is a module; None without one, and for a class inside a function."""
    parts = path.split(".")
    if "<locals>" in parts:
        return None
    for count in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:count])
        try:
            if find_spec(name) is not None:
                return name
        except (ImportError, ValueError):
            continue
    return None
