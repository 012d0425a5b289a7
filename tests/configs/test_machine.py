"""The resources of the machine that this process may use."""

import os

from retinue.configs.machine import cache_folder, free_memory, usable_cores


def test_usable_cores_respect_the_cpu_affinity():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_the_cache_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path))
    assert cache_folder("weights") == tmp_path / "weights"


def test_free_memory_is_limited_by_the_machine_and_the_container(monkeypatch, tmp_path):
    monkeypatch.setattr("retinue.configs.machine.CGROUP_FOLDER", tmp_path)
    machine = free_memory()
    assert 1e6 < machine <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name, text in (("max", "5000\n"), ("current", "3000\n"), ("stat", "anon 1000\ninactive_file 700\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert free_memory() == 5000 - 3000 + 700
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() > 1e6
    (tmp_path / "memory").mkdir()  # version 1
    for name, text in (("limit_in_bytes", "9000"), ("usage_in_bytes", "8000"), ("stat", "inactive_file 0\n")):
        (tmp_path / "memory" / f"memory.{name}").write_text(text)
    assert free_memory() == 1000
