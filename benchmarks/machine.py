"""The environment of a measurement: cores and versions, and nothing that identifies the machine."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from benchmarks.contenders import CONTENDERS


def machine() -> dict[str, str]:
    """Facts for the report."""
    names = ["apache-airflow", *(contender.distribution for contender in CONTENDERS.values())]
    return {
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    } | {name: metadata.version(name) for name in names}
