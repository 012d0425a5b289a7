"""Temporary folders: deleted at the end, locked in between, and cleaned up after a killed process."""

import os
import signal
import subprocess
import sys

import pytest

from retinue.data.storage.scratch import scratch_beside

HOLD_FOLDER = """
import sys, time
from retinue.data.storage.scratch import scratch_beside
with scratch_beside(sys.argv[1]) as folder:
    (folder / "half").write_text("half")
    print("made", flush=True)
    time.sleep(60)
"""


def test_no_folder_is_left_at_the_end(tmp_path):
    with scratch_beside(tmp_path / "new" / "out") as folder:
        (folder / "file").write_text("whole")
        os.replace(folder, tmp_path / "new" / "out")
    assert os.listdir(tmp_path / "new") == ["out"] and os.listdir(tmp_path / "new" / "out") == ["file"]


def test_the_folder_is_locked_and_what_a_killed_process_left_is_deleted(tmp_path):
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", HOLD_FOLDER, str(out)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "made\n"
        with pytest.raises(BlockingIOError), scratch_beside(out):
            pass
        holder.send_signal(signal.SIGKILL)
    assert len(os.listdir(tmp_path)) == 1
    with scratch_beside(out) as folder:
        assert os.listdir(folder) == []
    assert os.listdir(tmp_path) == []
