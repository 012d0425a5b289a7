"""Tests of `retinue flow`: all clips, a second run, invalid clips, and a kill in the middle."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from retinue.cli import commands
from retinue.configs.errors import UsageError
from retinue.pipeline.flow import extract_flow
from retinue.tasks.video import flow, stored_flow
from retinue.tests.helpers.clips import make_clips, moving_frames, write_video

SETTINGS = {"bound": 4.0, "size": (48, 64)}


def flow_files(folder):
    """Return the complete files. A kill may leave a temporary file, whose name starts with a dot."""
    paths = [path for path in Path(folder).glob("*.flow.zip") if path.name[0] != "."]
    return {path.name: path.stat().st_mtime_ns for path in paths}


def test_all_clips_and_a_second_run(tmp_path):
    clips = make_clips(tmp_path / "clips", clips_per_class=1)
    (clips / "red left" / "bad.mp4").write_text("no video")
    first = extract_flow([clips], tmp_path / "flow", **SETTINGS)
    assert (first.clips, first.fields, first.skipped, first.exit_code) == (4, 28, 0, 3)
    with open(tmp_path / "flow" / "failures.csv", newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert row["file"].endswith("bad.mp4") and "cannot be opened" in row["reason"]
    stored_files = flow_files(tmp_path / "flow")
    assert len(stored_files) == 4
    (clips / "red left" / "bad.mp4").unlink()
    again = extract_flow([clips], tmp_path / "flow", **SETTINGS)
    assert (again.clips, again.skipped, again.exit_code) == (0, 4, 0) and flow_files(tmp_path / "flow") == stored_files
    assert not (tmp_path / "flow" / "failures.csv").exists()
    damaged = tmp_path / "flow" / next(iter(stored_files))
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert extract_flow([clips], tmp_path / "flow", **SETTINGS).clips == 1
    with pytest.raises(UsageError, match="made with dis, bound 4"):
        extract_flow([clips], tmp_path / "flow", bound=8.0, size=(48, 64))


def test_stored_fields_equal_the_motion_of_the_clip(tmp_path):
    clip = write_video(tmp_path / "clips" / "clip.avi", moving_frames(0, 2, count=4))
    extract_flow([clip], tmp_path / "flow", method="farneback", **SETTINGS)
    stored = stored_flow.open_flow(tmp_path / "flow", clip, "farneback", 4.0, (48, 64))
    middle = flow.dequantize(stored.read(1), 4.0)[8:-8, 8:-8]
    np.testing.assert_allclose(np.median(middle, axis=(0, 1)), [2, 0], atol=0.15)


def test_the_command(tmp_path):
    clips = make_clips(tmp_path / "clips", clips_per_class=1)
    runner = CliRunner()
    arguments = ["flow", str(clips), "--out", str(tmp_path / "f")]
    done = runner.invoke(commands, [*arguments, "--bound", "4", "--size", "48x64"])
    assert done.exit_code == 0 and "4 clips, 28 flow fields" in done.output
    wrong = runner.invoke(commands, [*arguments, "--size", "48"])
    assert isinstance(wrong.exception, UsageError) and "height x width" in str(wrong.exception)


@pytest.mark.slow
def test_a_killed_run_continues(tmp_path):
    """After a kill, every file is complete or computed again, as in a run without interruption."""
    clips = tmp_path / "clips"
    for number in range(12):
        write_video(clips / f"{number}.avi", moving_frames(number, 2, count=40, size=(192, 256)))
    out, code = tmp_path / "flow", "from retinue.pipeline.flow import extract_flow; import sys; "
    code += "extract_flow([sys.argv[1]], sys.argv[2], bound=4.0, size=(192, 256))"
    process = subprocess.Popen([sys.executable, "-c", code, str(clips), str(out)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(flow_files(out)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = flow_files(out)
    assert 3 <= len(before) < 12 and all(stored_flow.read_description(out / name) for name in before)
    summary = extract_flow([clips], out, bound=4.0, size=(192, 256))
    assert summary.skipped == len(before) and summary.clips == 12 - len(before)
    after = flow_files(out)
    assert len(after) == 12 and all(after[name] == stamp for name, stamp in before.items())
