"""What the machine gives this process: cores and a folder for what is kept between runs."""

import os
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")  # where Linux shows the limits of the process's control group


def usable_cores():
    """How many cores this process may keep busy: its affinity, and the quota of its container, at least 1.

    `$RETINUE_CORES` says otherwise, where several share a machine.
    """
    if os.environ.get("RETINUE_CORES", "").isdigit():
        return max(1, int(os.environ["RETINUE_CORES"]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _container_quota()
    return max(1, min(cores, round(quota)) if quota else cores)


def free_memory():
    """Bytes of memory that this process may still take: what the machine has free, and its container's rest."""
    free = [_available(), _container_rest()]
    return min((number for number in free if number is not None), default=0)


def cache_folder(kind):
    """The folder for `kind` ("weights", "packages", "features"...): below `$RETINUE_CACHE`, or `~/.cache/retinue`."""
    return Path(os.environ.get("RETINUE_CACHE", "~/.cache/retinue")).expanduser() / kind


def _container_quota():
    """Cores' worth of time that Linux control groups (version 2, then 1) allow, or None for no limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            numbers = " ".join((GROUPS / name).read_text() for name in files).split()
            return int(numbers[0]) / int(numbers[1]) if int(numbers[0]) > 0 else None
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue
    return None


def _available():
    """What Linux says is available without swapping, None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _container_rest():
    """What Linux control groups (version 2, then 1) leave, None for no limit. Pages of files can be given up."""
    for limit, used, stat in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        try:
            files = (GROUPS / stat).read_text().split()
            cached = int(files[files.index("inactive_file") + 1])
            numbers = (int((GROUPS / name).read_text()) for name in (limit, used))
            return max(next(numbers) - next(numbers) + cached, 0)
        except (OSError, ValueError):  # "max" is no limit
            continue
    return None
