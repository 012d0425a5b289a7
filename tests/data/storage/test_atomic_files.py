"""Atomic writing: whole or not at all, whatever happens in between."""

import os
import subprocess
import sys

import pytest

from retinue.data.storage.atomic_files import atomic_path, atomic_write


def test_text_and_bytes(tmp_path):
    atomic_write(tmp_path / "new" / "deep" / "text.txt", "Grüße\n")
    atomic_write(tmp_path / "bytes", b"\0\1")
    assert (tmp_path / "new/deep/text.txt").read_bytes() == "Grüße\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\0\1"
    assert sorted(os.listdir(tmp_path)) == ["bytes", "new"]


def test_the_temporary_file_ends_as_the_final_one(tmp_path):
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
    """The limit on a file's size stands for the disk: writing beyond it fails in the same place."""
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
