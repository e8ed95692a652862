"""The cores of this machine that a process may use."""

from __future__ import annotations

import os


def count_cores() -> int:
    """Count the cores that this process may use; under `taskset`, say, these are not all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
