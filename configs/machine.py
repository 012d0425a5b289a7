"""The resources of the machine that this process may use: CPU cores, memory and the cache folder."""

import os
from pathlib import Path

CGROUP_FOLDER = Path("/sys/fs/cgroup")  # where Linux shows the limits of the process's control group


def usable_cores() -> int:
    """Return how many CPU cores this process may use, at least 1.

    It is the smaller of the process's CPU affinity and the quota of its container. The environment variable
    `RETINUE_CORES` overrides both, for several processes that share a machine.
    """
    if os.environ.get("RETINUE_CORES", "").isdigit():
        return max(1, int(os.environ["RETINUE_CORES"]))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _container_cores()
    return max(1, min(cores, round(quota)) if quota else cores)


def free_memory() -> int:
    """Return the bytes of memory that this process can still allocate, on the machine and within its container.

    The result is 0 if neither is known.
    """
    free = (_available_memory(), _container_free_memory())
    return min((size for size in free if size is not None), default=0)


def cache_folder(kind: str) -> Path:
    """Return the folder for files that are kept between runs.

    Args:
        kind: Name of the subfolder, for example "weights", "packages" or "features".

    Returns:
        The subfolder of `$RETINUE_CACHE`, or of `~/.cache/retinue` if this variable is not set. It may not exist yet.
    """
    return Path(os.environ.get("RETINUE_CACHE", "~/.cache/retinue")).expanduser() / kind


def _container_cores() -> float | None:
    """Return the CPU quota of the Linux control group (version 2, else 1) in cores, or None if it has no limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = map(int, " ".join((CGROUP_FOLDER / name).read_text() for name in files).split()[:2])
            return quota / period if quota > 0 else None
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return None


def _available_memory() -> int | None:
    """Return the bytes that Linux reports as available without swapping, or None on other systems."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _container_free_memory() -> int | None:
    """Return the bytes that the Linux control group (version 2, else 1) has left, or None if it has no limit.

    Cached pages of files count as free, because the kernel can release them.
    """
    for limit_file, usage_file, statistics_file in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        try:
            statistics = (CGROUP_FOLDER / statistics_file).read_text().split()
            cached = int(statistics[statistics.index("inactive_file") + 1])
            limit = int((CGROUP_FOLDER / limit_file).read_text())
            usage = int((CGROUP_FOLDER / usage_file).read_text())
            return max(limit - usage + cached, 0)
        except (OSError, ValueError):  # the text "max" means that there is no limit
            continue
    return None
