"""What is printed: nothing by the library alone, each line once by the command line, and what -v and -q change."""

import io
import json
import logging
import os
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import retinue
from retinue.cli import commands
from retinue.configs import logs
from retinue.pipeline.runs.progress import Progress

logger = logging.getLogger("retinue.tests.logging")


@pytest.fixture
def images(tmp_path):
    """Two classes, and a file that is no image."""
    for number in range(40):
        path = tmp_path / "images" / ("cat" if number % 2 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    (tmp_path / "images" / "cat" / "broken.png").write_bytes(b"")
    return tmp_path / "images"


@pytest.fixture
def as_it_was():
    """The logger of retinue, which is left as it was."""
    root = logging.getLogger("retinue")
    before = root.handlers[:], root.level, root.propagate
    yield root
    root.handlers, level, root.propagate = before
    root.setLevel(level)


def run(*arguments):
    done = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def clips(tmp_path):
    """A clip, and a file that is none."""
    (tmp_path / "clips").mkdir()
    writer = cv2.VideoWriter(str(tmp_path / "clips" / "a.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(3):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"no video")
    return tmp_path / "clips"


def flow_of(clips, *flags):
    """The lines that `retinue flow` prints: a message, and warnings of the file that can't be read."""
    with tempfile.TemporaryDirectory() as out:
        done = run(*flags, "flow", clips, "--out", out, "--size", "48x64")
    assert done.exit_code == 3, done.output
    return done.stdout.splitlines()


def test_the_library_prints_nothing_by_itself(images):
    program = f"import retinue; print(len(retinue.check({str(images)!r}).findings))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")
    program = "import logging, retinue; logging.getLogger('retinue.some').warning('not printed')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_each_line_is_printed_once_and_plain(clips):
    for _ in range(2):  # the second command attaches no second handler
        lines = flow_of(clips)
        assert [line.split()[0] for line in lines] == ["1", f"{clips}/broken.mp4:", "all"]


def test_verbose_names_the_module_and_quiet_leaves_warnings(clips):
    lines = flow_of(clips, "-v")
    assert lines[0].startswith("retinue.pipeline.flow: 1 clips, ") and len(lines) == 3
    warnings = flow_of(clips, "-q")
    assert len(warnings) == 2 and warnings[0].startswith(f"  {clips}/broken.mp4: ")
    assert run("-v", "-q", "recipes").exit_code == 2


def test_quiet_prints_the_results_that_a_command_is_for(images, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run("-q", "recipes").stdout == run("recipes").stdout != ""
    assert json.loads(run("-q", "check", images, "--json").stdout)["files"] == 41
    assert "cat 20" in run("-q", "check", images).stdout


def test_launch_gives_its_workers_the_same_flags(monkeypatch):
    given = []
    monkeypatch.setattr("retinue.pipeline.training.launch.launch", lambda *_, flags, **__: given.append(flags) or 0)
    for flags in ([], ["-q"], ["-v"]):
        run(*flags, "launch", "--workers", "2", "--", "train", "images", "--out", "run")
    assert given == [[], ["-q"], ["-v"]]


def test_messages_beside_json_go_to_the_standard_error(images, monkeypatch):
    monkeypatch.setattr("retinue.pipeline.inputs.prepare.MIN_LOGGED_FILES", 1)
    done = run("check", images, "--json")
    assert done.stderr == "checking 41 files\n" and json.loads(done.stdout)["files"] == 41
    assert run("check", images, "--out", images.parent / "check").stdout.startswith("checking 41 files\n")


def test_a_command_leaves_the_logger_as_it_was(caplog):
    caplog.set_level(logging.WARNING)  # of the root logger, which other libraries raise
    root = logging.getLogger("retinue")
    before = root.handlers[:], root.level, root.propagate
    assert run("recipes").exit_code == 0
    assert (root.handlers, root.level, root.propagate) == before
    logger.warning("reaches the root logger")
    assert caplog.messages == ["reaches the root logger"]


def test_users_can_ask_for_the_messages(as_it_was, capsys):
    logger.info("before")
    retinue.enable_logging()
    retinue.enable_logging()
    logger.info("once")
    logger.debug("too much")
    retinue.enable_logging(logging.WARNING)
    logger.info("no more")
    assert capsys.readouterr().out == "once\n"


def test_a_message_that_does_not_fit_its_arguments_ends_nothing(as_it_was, capsys):
    retinue.enable_logging()
    logger.info("%d files", "no number")
    assert "no number" in capsys.readouterr().err


def test_only_errors_of_workers_that_are_not_the_chief(caplog):
    caplog.set_level(logging.INFO, logger="retinue")
    with logs.errors_only():
        logger.warning("of another worker")
        logger.error("of any worker")
    logger.info("afterwards")
    assert caplog.messages == ["of any worker", "afterwards"]


class Terminal(io.TextIOWrapper):
    """A standard output that says it is a terminal."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self):
        return True


def test_lines_stand_above_a_bar_that_is_on_the_screen(as_it_was, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert Progress()._bar is None  # nothing is printed, so there is no bar
    retinue.enable_logging()
    progress = Progress()
    progress.start("epoch 1/1", 4)
    logger.info("[red] 50% of it")
    progress.step(2, 0.0)
    progress.stop()
    progress.stop()
    logger.info("after the bar")
    shown = screen.buffer.getvalue().decode()
    assert shown.count("[red] 50% of it") == 1 and "epoch 1/1" in shown
    above = shown[: shown.index("[red] 50% of it")]
    assert above.endswith(("\x1b[2K", "\r"))  # the bar's own line was cleared first, and is drawn again below
    assert "epoch 1/1" in shown[shown.index("[red] 50% of it") :]
    assert shown.endswith("after the bar\n")


IMPORTS = """
import os, pkgutil, importlib, json
import cv2, keras, tensorflow  # which change the environment by themselves
before = dict(os.environ)
level = cv2.utils.logging.getLogLevel()
import retinue, retinue.configs, retinue.data
for package in (retinue.configs, retinue.data):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
import retinue.cli, retinue.pipeline.prediction.predict, retinue.pipeline.training.train, retinue.pipeline.flow
changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
print(json.dumps([sorted(changed), level, cv2.utils.logging.getLogLevel()]))
"""


def test_importing_changes_neither_the_environment_nor_opencv():
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    changed, before, after = json.loads(done.stdout.splitlines()[-1])
    assert changed == [] and before == after != 0
