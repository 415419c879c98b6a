"""Memory and CPU usage of this process and of the machine."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

_STATUS = Path("/proc/self/status")
_MACHINE = Path("/proc/stat")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def reset_peak_memory() -> None:
    """Reset the peak to the current usage, on systems that support it (Linux)."""
    if _CLEAR_REFS.exists():
        _CLEAR_REFS.write_text("5")


def peak_memory() -> int:
    """The peak memory usage so far, in bytes."""
    if _STATUS.exists():
        # Not ru_maxrss: on Linux it starts at the parent's peak before this process was started.
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def cpu_seconds() -> float:
    """CPU-seconds, user and system, of this process and of the children that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def machine_seconds() -> float | None:
    """CPU-seconds of all processes since boot, including time stolen by the host; None if unknown."""
    if not _MACHINE.exists():
        return None
    fields = [int(field) for field in _MACHINE.read_text().partition("\n")[0].split()[1:9]]
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / os.sysconf("SC_CLK_TCK")
