"""A decoder that kills its process: the file becomes a failure, and the rest is predicted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

import retinue
from retinue.pipeline.prediction.in_flight import NAME, InFlight, files_of_dead_process
from retinue.pipeline.prediction.predict import predict
from retinue.pipeline.prediction.results import read_lines
from retinue.tests.pipeline.conftest import coarse_image

# Python runs this at the start of every process whose PYTHONPATH has its folder: opening such a file is deadly.
DIES = """
import os, signal, sys
def die(event, arguments):
    if event == "open" and "deadly" in os.path.basename(str(arguments[0])):
        os.kill(os.getpid(), signal.{signal})
sys.addaudithook(die)
"""


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(30):
        name = f"{number:02}{' deadly' if number in (7, 21) else ''}.png"
        Image.fromarray(coarse_image(number, 20, 24)).save(folder / name)
    return folder


def environment(tmp_path, number="SIGSEGV"):
    hooks = tmp_path / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "sitecustomize.py").write_text(DIES.format(signal=number))
    here = Path(retinue.__file__).parent.parent
    path = os.pathsep.join([str(hooks), str(here), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}


def command(model, images, out):
    return [sys.executable, "-m", "retinue.cli", "predict", str(model), str(images), "--out", str(out)]


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGSEGV", "SIGABRT"])
def test_files_that_kill_the_process_are_failures_and_the_rest_is_predicted(exported, images, tmp_path, number):
    out = tmp_path / "out"
    done = subprocess.run(
        command(exported, images, out), env=environment(tmp_path, number), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 3, done.stderr
    assert f"the process crashed ({number})" in done.stdout and "Traceback" not in done.stdout + done.stderr
    predicted = [Path(line["file"]).name for line in read_lines(out / "predictions.jsonl")]
    assert sorted(predicted) == [f"{number:02}.png" for number in range(30) if number not in (7, 21)]
    failures = {Path(line["file"]).name: line["reason"] for line in read_lines(out / "failures.jsonl")}
    assert sorted(failures) == ["07 deadly.png", "21 deadly.png"]
    assert all(f"the decoder dies of it ({number})" in reason for reason in failures.values())
    assert json.loads((out / "predict.json").read_text())["status"] == "finished"
    assert not (out / NAME).exists()
    # The files that are known to be deadly do not crash the process again.
    again = subprocess.run(
        command(exported, images, out), env=environment(tmp_path, number), capture_output=True, text=True, timeout=300
    )
    assert again.returncode == 3 and "crashed" not in again.stdout, again.stdout
    # Once they are repaired, they are predicted.
    for name in failures:
        os.replace(images / name, images / name.replace(" deadly", " good"))
    assert predict(exported, [images], out).images == 2


@pytest.mark.slow
def test_a_signal_that_a_person_sends_reaches_the_prediction_and_is_no_crash(exported, images, tmp_path):
    out = tmp_path / "out"
    os.mkfifo(images.parent / "list")
    run = subprocess.Popen(
        command(exported, f"@{images.parent / 'list'}", out),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    with open(images.parent / "list", "w") as files:  # the command waits for more lines of its list
        files.write(f"{images / '00.png'}\n")
        files.flush()
        time.sleep(5)
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == -signal.SIGTERM
    assert "crashed" not in run.stdout.read()


def test_the_files_of_a_dead_process_are_on_disk(tmp_path):
    assert files_of_dead_process(tmp_path) == []
    in_flight = InFlight(tmp_path)
    with in_flight.reading("a b.png"), in_flight.reading("ü\n\udcff.png"):
        assert sorted(files_of_dead_process(tmp_path)) == ["a b.png", "ü\n\udcff.png"]
    for number in range(100):
        with in_flight.reading(f"{number}.png"):
            pass
    assert sorted(files_of_dead_process(tmp_path)) == sorted(f"{number}.png" for number in range(68, 100))
    in_flight.close()
    assert files_of_dead_process(tmp_path) == [] and not os.listdir(tmp_path)
