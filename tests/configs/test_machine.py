"""What the machine gives this process."""

import os

from retinue.configs.machine import cache_folder, usable_cores


def test_usable_cores_are_what_the_process_may_use():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_the_cache_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path))
    assert cache_folder("weights") == tmp_path / "weights"
