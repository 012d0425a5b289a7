"""`retinue flow`: all clips, a kill in the middle, a second run, bad clips."""

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

CHOSEN = {"bound": 4.0, "size": (48, 64)}


def files(folder):
    """What is there under its own name; a kill may leave a temporary file, whose name begins with a dot."""
    paths = [path for path in Path(folder).glob("*.flow.zip") if path.name[0] != "."]
    return {path.name: path.stat().st_mtime_ns for path in paths}


def test_all_clips_and_again(tmp_path):
    clips = make_clips(tmp_path / "clips", clips_per_class=1)
    (clips / "red left" / "bad.mp4").write_text("no video")
    first = extract_flow([clips], tmp_path / "flow", **CHOSEN)
    assert (first.clips, first.fields, first.skipped, first.exit_code) == (4, 28, 0, 3)
    with open(tmp_path / "flow" / "failures.csv", newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert row["file"].endswith("bad.mp4") and "cannot be opened" in row["reason"]
    made = files(tmp_path / "flow")
    assert len(made) == 4
    (clips / "red left" / "bad.mp4").unlink()
    again = extract_flow([clips], tmp_path / "flow", **CHOSEN)
    assert (again.clips, again.skipped, again.exit_code) == (0, 4, 0) and files(tmp_path / "flow") == made
    assert not (tmp_path / "flow" / "failures.csv").exists()
    damaged = tmp_path / "flow" / next(iter(made))
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert extract_flow([clips], tmp_path / "flow", **CHOSEN).clips == 1
    with pytest.raises(UsageError, match="made with dis, bound 4"):
        extract_flow([clips], tmp_path / "flow", bound=8.0, size=(48, 64))


def test_the_stored_fields_are_those_of_the_clip(tmp_path):
    clip = write_video(tmp_path / "clips" / "clip.avi", moving_frames(0, 2, count=4))
    extract_flow([clip], tmp_path / "flow", method="farneback", **CHOSEN)
    stored = stored_flow.open_flow(tmp_path / "flow", clip, "farneback", 4.0, (48, 64))
    middle = flow.dequantize(stored.read(1), 4.0)[8:-8, 8:-8]
    np.testing.assert_allclose(np.median(middle, axis=(0, 1)), [2, 0], atol=0.15)


def test_on_the_command_line(tmp_path):
    clips = make_clips(tmp_path / "clips", clips_per_class=1)
    runner = CliRunner()
    given = ["flow", str(clips), "--out", str(tmp_path / "f")]
    done = runner.invoke(commands, [*given, "--bound", "4", "--size", "48x64"])
    assert done.exit_code == 0 and "4 clips, 28 flow fields" in done.output
    wrong = runner.invoke(commands, [*given, "--size", "48"])
    assert isinstance(wrong.exception, UsageError) and "height x width" in str(wrong.exception)


@pytest.mark.slow
def test_killed_in_the_middle(tmp_path):
    """After a kill -9 what is there is whole, or is done again; the end is that of an unbroken run."""
    clips = tmp_path / "clips"
    for number in range(12):
        write_video(clips / f"{number}.avi", moving_frames(number, 2, count=40, size=(192, 256)))
    out, code = tmp_path / "flow", "from retinue.pipeline.flow import extract_flow; import sys; "
    code += "extract_flow([sys.argv[1]], sys.argv[2], bound=4.0, size=(192, 256))"
    process = subprocess.Popen([sys.executable, "-c", code, str(clips), str(out)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(files(out)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = files(out)
    assert 3 <= len(before) < 12 and all(stored_flow.read_description(out / name) for name in before)
    summary = extract_flow([clips], out, bound=4.0, size=(192, 256))
    assert summary.skipped == len(before) and summary.clips == 12 - len(before)
    after = files(out)
    assert len(after) == 12 and all(after[name] == stamp for name, stamp in before.items())
