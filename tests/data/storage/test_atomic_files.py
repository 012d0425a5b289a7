"""Atomic writing: the new content or the old one, whatever happens in between."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from retinue.data.storage.atomic_files import atomic_path, atomic_write, remove_leftovers


def test_text_and_bytes_are_written_into_new_folders(tmp_path):
    atomic_write(tmp_path / "new" / "deep" / "text.txt", "Grüße\n")
    atomic_write(tmp_path / "bytes", b"\0\1")
    assert (tmp_path / "new/deep/text.txt").read_bytes() == "Grüße\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\0\1"
    assert sorted(os.listdir(tmp_path)) == ["bytes", "new"]


def test_the_name_of_the_temporary_file_ends_with_the_final_name(tmp_path):
    with atomic_path(tmp_path / "model.weights.h5") as path:
        assert path.parent == tmp_path and path.name.endswith("model.weights.h5") and path.name.startswith(".")
        path.write_text("x")


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    atomic_write(tmp_path / "file.txt", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "file.txt") as path:
        path.write_text("half of the new")
        raise RuntimeError
    assert (tmp_path / "file.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    """A limit on the size of files stands for a full disk: writing beyond it fails at the same point."""
    atomic_write(tmp_path / "weights", b"old")
    code = (
        "import resource, signal, sys\n"
        "from retinue.data.storage.atomic_files import atomic_write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    atomic_write(sys.argv[1], bytes(10_000))\n"
        "except OSError:\n"
        "    sys.exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "weights")]).returncode == 7
    assert (tmp_path / "weights").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["weights"]


def test_permissions_are_those_of_any_new_file(tmp_path):
    atomic_write(tmp_path / "ours", "x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_permissions_are_restored_if_a_library_replaces_the_temporary_file(tmp_path):
    (tmp_path / "plain").write_text("x")
    with atomic_path(tmp_path / "ours") as path:
        path.unlink()
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_threads_that_write_atomically_never_change_the_umask(tmp_path):
    """The umask belongs to the process: a thread that changed it would give the files of others wrong permissions."""
    before = os.umask(0o027)
    try:
        stop, modes = threading.Event(), set()

        def write(number):
            while not stop.is_set():
                atomic_write(tmp_path / f"atomic {number}", "x")

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for number in range(3000):
            path = tmp_path / f"plain {number % 10}"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
            modes.add(stat.S_IMODE(path.stat().st_mode))
            path.unlink()
        stop.set()
        for thread in threads:
            thread.join()
        modes |= {stat.S_IMODE((tmp_path / f"atomic {number}").stat().st_mode) for number in range(8)}
    finally:
        os.umask(before)
    assert modes == {0o640}


def test_writing_never_calls_umask(monkeypatch, tmp_path):
    """The race of the test above is rare, so that even a wrong implementation passes it most of the time."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    atomic_write(tmp_path / "file", "x")
    assert (tmp_path / "file").read_text() == "x"


def test_leftovers_of_killed_processes_are_removed_and_other_files_are_not(tmp_path):
    kept = [".hidden", "file", ".git"]
    for name in kept:
        (tmp_path / name).touch()
    program = (
        "import os, sys\nfrom retinue.data.storage.atomic_files import atomic_path\n"
        "with atomic_path(sys.argv[1]):\n    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path / "new.txt")]).returncode == 9
    assert len(os.listdir(tmp_path)) == len(kept) + 1
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
