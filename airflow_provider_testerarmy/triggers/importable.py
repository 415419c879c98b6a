"""Whether another process, the triggerer, can import a class that this one has."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Final

#: What Airflow puts before the name of a DAG file, when it imports that as a module.
_DAG_FILE: Final = "unusual_prefix_"


def importable_elsewhere(path: str, dag_folders: Iterable[Path | str] = ()) -> bool:
    """Whether a triggerer can import a class by its path, as far as this process can tell.

    :param path: the module and the qualified name of the class, joined by dots.
    :param dag_folders: where the DAGs of this task come from; a triggerer does not have them on its path.
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
    """The longest part of the path that is a module; None for none, and for a class within a function."""
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
