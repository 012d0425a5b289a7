"""A training process killed with -9 at any moment, started again, ends with the weights of an unbroken one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from retinue.tests.helpers import tiny_training

PROGRAM = Path(tiny_training.__file__)


def start(folder, images, settings=()):
    """The features of a run, if it has any, lie in a cache beside it."""
    environment = os.environ | {"RETINUE_CACHE": str(folder) + "-cache"}
    command = [sys.executable, PROGRAM, folder, images, *settings]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny_training.make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def unbroken(images, tmp_path_factory):
    return run_unbroken(images, tmp_path_factory.mktemp("unbroken") / "run")


def run_unbroken(images, folder, settings=()):
    """The final arrays of an unbroken run, and (seconds until its first checkpoint, seconds in all)."""
    began = time.monotonic()
    process = start(folder, images, settings)
    while not any(folder.glob("last/checkpoint-*.npz")):
        time.sleep(0.02)
        assert process.poll() is None
    first = time.monotonic() - began
    assert process.wait() == 0
    return np.load(folder / "final.npz"), (first, time.monotonic() - began)


def kill_and_go_on(folder, images, unbroken, kills, seed, settings=()):
    """Kill `kills` times at moments drawn by `seed`, then let it end, and compare."""
    expected, (first, whole) = unbroken
    moments = random.Random(seed)
    killed = 0
    while killed < kills:
        process = start(folder, images, settings)
        try:
            process.wait(first + moments.random() * (whole - first))
            break  # it ended before its moment came
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
    assert start(folder, images, settings).wait() == 0
    found = np.load(folder / "final.npz")
    assert found.files == expected.files
    for name in expected.files:
        np.testing.assert_array_equal(found[name], expected[name])
    # nothing half-written is left, and the two newest checkpoints
    assert not [path for path in (*folder.iterdir(), *(folder / "last").iterdir()) if path.name.startswith(".")]
    assert [path.suffix for path in (folder / "last").iterdir()] == [".npz"] * 2


@pytest.mark.slow
def test_killed_twice(images, unbroken, tmp_path):
    kill_and_go_on(tmp_path / "run", images, unbroken, kills=2, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 7))
def test_killed_at_random_moments(images, unbroken, tmp_path, seed):
    kill_and_go_on(tmp_path / "run", images, unbroken, kills=3, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_killed_at_random_moments_of_a_stage_from_features(images, tmp_path, seed):
    """Also before the first checkpoint, while features are computed: the moments begin before it."""
    settings = ["train.cached_feature_views=2", "train.stages.head.epochs=20"]
    arrays, (first, whole) = run_unbroken(images, tmp_path / "unbroken" / "run", settings)
    unbroken = arrays, (first - 1.0, whole)
    kill_and_go_on(tmp_path / "run", images, unbroken, kills=3, seed=seed, settings=settings)
