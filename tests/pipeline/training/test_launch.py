"""`retinue launch`: what goes wrong with workers, and what is reported; the training itself in real processes."""

import signal
import sys
import time

import pytest

from retinue.benchmarks.kill_training import Job, difference, make_images, other_faults, state
from retinue.pipeline.training import launch


@pytest.mark.parametrize(
    ("codes", "first", "cause"),
    [
        ([0, 0], None, None),
        ([3, 0], None, None),  # the chief's "some inputs were bad"
        ([138, -9], 1, 1),  # killed, and then missed by the chief
        ([138, 1], 0, 1),  # a worker failed; the chief missed it and was seen to end first
        ([138, -9], 0, 0),  # hung, and killed here once the chief had noticed
        ([1, 138, 138], 0, 0),
    ],
)
def test_the_worker_that_failed_is_distinguished_from_those_that_missed_it(codes, first, cause):
    assert launch._first_cause(codes, first) == cause


def test_gpus_and_cores_are_shared_out(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert [launch._gpus(n, 2) for n in (0, 1)] == [{"CUDA_VISIBLE_DEVICES": "4,5"}, {"CUDA_VISIBLE_DEVICES": "6,7"}]
    monkeypatch.setattr(launch.os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4}, raising=False)
    assert [launch._cores(n, 2) for n in (0, 1)] == [{0, 1}, {2, 3}]
    assert launch._cores(0, 8) is None


def test_all_end_soon_when_one_fails_and_its_words_are_shown(monkeypatch, tmp_path, logged):
    """Worker 1 fails at once; worker 0 would go on for a minute."""
    program = tmp_path / "worker.py"
    program.write_text(
        "import json, os, sys, time\n"
        "index = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"
        "if index: sys.exit(print('error: cat.jpg is broken', file=sys.stderr) or 1)\n"
        "time.sleep(60)\n"
    )
    start = launch.subprocess.Popen
    monkeypatch.setattr(launch.subprocess, "Popen", lambda _, **options: start([sys.executable, program], **options))
    monkeypatch.setattr(launch, "GRACE", 1.0)
    began = time.monotonic()
    logged.clear()
    code = launch.launch(2, "images", ("images",), str(tmp_path / "run"), max_restarts=5)
    assert code == 1 and time.monotonic() - began < 20
    text = "\n".join(logged.messages)
    assert "worker 1 ended with code 1" in text and "cat.jpg is broken" in text and "restart" not in text


def test_a_job_ended_by_a_signal_says_how_to_go_on(monkeypatch, tmp_path, logged):
    monkeypatch.setattr(launch, "_run", lambda *_: ([138, 138], 0))
    monkeypatch.setattr(
        launch._ForwardedSignals, "__enter__", lambda signals: signals._note(signal.SIGTERM, None) or signals
    )
    logged.clear()
    assert launch.launch(2, "my images", ("my images",), str(tmp_path / "run"), max_restarts=5) == 138
    assert logged.messages == [
        f"resume with: retinue launch --workers 2 -- train 'my images' --out {tmp_path}/run --resume"
    ]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images"))


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_end_as_if_it_had_not_been(images, tmp_path):
    unbroken = Job(tmp_path / "unbroken", images, 2)
    assert unbroken.end() == 0
    job = Job(tmp_path / "killed", images, 2, restarts=1)
    job.wait_for_checkpoint()
    launch.os.kill(job.workers[1], signal.SIGKILL)
    assert job.end() == 0
    reported = job.log.read_text()
    assert "worker 1 was ended by SIGKILL" in reported and "restart 1 of 1" in reported
    assert difference(state(job), state(unbroken)) < 1e-5
    assert not job.half_written()


@pytest.mark.slow
def test_other_faults_end_all_within_a_minute(images, tmp_path):
    codes = {"hung": 138, "SIGTERM to one": 138, "SIGTERM to all": 138, "full disk": 1}
    rows = other_faults(tmp_path, images, 2)
    assert {row["fault"]: row["exit_code"] for row in rows} == codes
    assert all(float(row["seconds_until_all_ended"] or 0) < 60 and not row["half_written"] for row in rows)
