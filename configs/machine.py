"""What the machine gives this process: cores and a folder for what is kept between runs."""

import os
from pathlib import Path


def usable_cores():
    """How many cores this process may keep busy: its affinity, and the quota of its container, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _container_quota()
    return max(1, min(cores, round(quota)) if quota else cores)


def cache_folder(kind):
    """The folder for `kind` ("weights", "packages", "features"...): below `$RETINUE_CACHE`, or `~/.cache/retinue`."""
    return Path(os.environ.get("RETINUE_CACHE", "~/.cache/retinue")).expanduser() / kind


def _container_quota():
    """Cores' worth of time that Linux control groups (version 2, then 1) allow, or None for no limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            numbers = " ".join(Path("/sys/fs/cgroup", name).read_text() for name in files).split()
            return int(numbers[0]) / int(numbers[1]) if int(numbers[0]) > 0 else None
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue
    return None
