"""The files for schedulers in docs/distributed, tried with stand-ins for what SLURM and Kubeflow do: real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from retinue.benchmarks.kill_training import SETTINGS, make_images
from retinue.pipeline.training.launch import _free_ports

DOCS = Path(__file__).parents[3] / "docs" / "distributed"
SRUN = """#!/bin/bash
while [ "${1:0:2}" = -- ]; do shift; done
export SLURM_STEP_NUM_TASKS=2 SLURM_STEP_NODELIST=localhost SLURM_STEP_TASKS_PER_NODE=2
for task in 0 1; do SLURM_PROCID=$task "$@" & done
code=0
for job in $(jobs -p); do wait $job || code=$?; done
exit $code
"""

pytestmark = pytest.mark.slow
settings = [part for setting in SETTINGS for part in ("--set", setting)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """With the commands srun, scontrol (which writes down what it is asked) and retinue."""
    folder = tmp_path_factory.mktemp("bin")
    programs = {
        "srun": SRUN,
        "scontrol": f'#!/bin/sh\necho "$@" >> {folder}/asked\n',
        "retinue": f'#!/bin/sh\nexec {sys.executable} -m retinue.cli "$@"\n',
    }
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "SLURM_JOB_ID": "17"}


def wait_for_checkpoint(out, processes):
    end = time.monotonic() + 120
    while not any(out.glob("last/checkpoint-*.npz")):
        assert time.monotonic() < end and all(process.poll() is None for process in processes)
        time.sleep(0.05)


def test_slurm_script_is_preempted_queued_again_and_goes_on(images, environment, tmp_path):
    out, log = tmp_path / "run", open(tmp_path / "log", "w")  # noqa: SIM115
    command = ["bash", DOCS / "slurm.sh", images, out, *settings]
    job = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    wait_for_checkpoint(out, [job])
    found = subprocess.run(["pgrep", "-g", str(job.pid), "-f", "retinue.cli"], capture_output=True, text=True).stdout
    for pid in found.split():  # SLURM signals the tasks of a step
        os.kill(int(pid), signal.SIGTERM)
    assert job.wait(120) == 138, (tmp_path / "log").read_text()[-2000:]
    asked = Path(environment["PATH"].split(":")[0], "asked").read_text()
    assert asked == "requeue 17\n"
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0 and "resumed after step" in again.stdout, again.stdout[-2000:] + again.stderr[-2000:]
    assert "stage head: 5 epochs" not in again.stdout
    assert json.loads((out / "run.json").read_text())["status"] == "done"


def test_tfjob_pods_are_started_again_and_go_on(images, environment, tmp_path):
    job = yaml.safe_load((DOCS / "tfjob.yaml").read_text())
    replicas = job["spec"]["tfReplicaSpecs"]
    assert set(replicas) == {"Chief", "Worker"}
    assert all(kind["restartPolicy"] == "ExitCode" for kind in replicas.values())
    container = replicas["Worker"]["template"]["spec"]["containers"][0]
    assert container["name"] == "tensorflow" and replicas["Chief"]["template"] == replicas["Worker"]["template"]
    out = tmp_path / "run"
    there = {"/shared/images": str(images), "/shared/runs/images": str(out)}
    command = [there.get(part, part) for part in container["command"]] + settings

    def pods():
        """One chief and one worker, as the operator starts them."""
        chief, worker = (f"127.0.0.1:{port}" for port in _free_ports(2))
        cluster = {"chief": [chief], "worker": [worker]}
        for kind in cluster:
            reported = {"cluster": cluster, "task": {"type": kind, "index": 0}, "environment": "cloud"}
            yield subprocess.Popen(command, env=environment | {"TF_CONFIG": json.dumps(reported)})

    first = list(pods())
    wait_for_checkpoint(out, first)
    first[1].send_signal(signal.SIGTERM)  # one node is drained
    assert [pod.wait(120) for pod in first] == [138, 138]
    second = list(pods())  # both are started before one is waited for
    assert [pod.wait(300) for pod in second] == [0, 0]
    assert json.loads((out / "run.json").read_text())["status"] == "done"
