"""`train.batch_size=auto`: the search by hand, a trial in a process of its own, and a run that keeps the number."""

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_config
from retinue.pipeline.training.batch_size_search import Memory, refuse_auto, search
from retinue.pipeline.training.batch_size_trial import flatten_batch, unflatten_batch
from retinue.pipeline.training.distribute import Distribution


def memory(base, each, limit=None, tried=None):
    """An attempt where a image takes `each` bytes; None beyond `limit`."""

    def attempt(size):
        if tried is not None:
            tried.append(size)
        return None if limit and base + each * size > limit else Memory(base, base + each * size)

    return attempt


@pytest.mark.parametrize(
    ("attempt", "most", "count", "allowed", "size", "why"),
    [
        (memory(100, 10, limit=500), 1024, 1000, None, 32, "64 needs too much memory"),  # a device that fails by itself
        (memory(100, 10, limit=150), 1024, 1000, None, 4, "8 needs too much memory"),
        (memory(100, 10), 1024, 1000, 500, 32, "64 would need about"),  # 740 of 500
        (memory(100, 10), 1024, 50, None, 32, "there are 50 files"),
        (memory(100, 10), 64, 1000, None, 64, "sizes above 64 are not tried"),
        (memory(100, 10), 64, 3, None, 2, "there are 3 files"),
        (memory(100, 10), 64, 1, None, 1, "there are 1 files"),
    ],
)
def test_search_by_hand(attempt, most, count, allowed, size, why):
    found, reason = search(attempt, most, count, allowed)
    assert found == size and why in reason


def test_what_a_cpu_has_no_memory_for_is_not_tried():
    tried = []
    search(memory(100, 10, tried=tried), 1024, 1000, 500)
    assert tried == [8, 16, 32]


def test_nothing_fits():
    with pytest.raises(RetinueError, match="not even one image"):
        search(memory(100, 10, limit=50), 64, 100)


class Two:
    num_replicas_in_sync = 2


def test_it_is_for_one_device():
    refuse_auto(Distribution())
    with pytest.raises(UsageError, match="on one device only"):
        refuse_auto(Distribution(Two()))


def test_the_key_takes_a_number_or_auto():
    assert load_config(settings=["train.batch_size=auto"]).train.batch_size == "auto"
    for wrong in ("0", "many", "1.5"):
        with pytest.raises(UsageError, match="must be a whole number of at least 1, or auto, not"):
            load_config(settings=[f"train.batch_size={wrong}"])


@pytest.mark.parametrize("batch", [("x", "y"), ({"a": "x", "b": "z"}, ()), ({"a": "x"}, "y")])
def test_packed_and_back(batch):
    assert unflatten_batch(flatten_batch(batch)) == batch


@pytest.mark.slow
def test_a_run_finds_its_batch_size_and_keeps_it(tmp_path, logged):
    from retinue.pipeline.runs.run import open_model
    from retinue.pipeline.training.train import train

    random = np.random.default_rng(0)
    for label in ("dark", "light"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 128, (32, 32, 3)) + 127 * (label == "light")
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / label / f"{number}.png")
    settings = [
        "train.batch_size=auto",
        "train.stages={all: {epochs: 1, learning_rate: 0.001}}",
        "evaluate.bootstrap_samples=0",
    ]
    settings += ["model.backbone=lenet5", "model.weights=none", "model.input_size=32", "augment.crop_scale=[1, 1]"]
    logged.clear()
    run, _ = train(tmp_path / "images", load_config(settings=settings), tmp_path / "run")
    found = open_model(run.folder).config.train.batch_size
    assert found in (8, 16)
    assert any(line.startswith(f"train.batch_size=auto: {found}, since") for line in logged.messages)
