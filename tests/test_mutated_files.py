"""Damaged files of every format are named: no crash, no traceback, no hang.

The damage is random, with fixed seeds. The long test, which `make test-all` runs, damages more than 10,000 files.
"""

import shutil
import warnings

import pytest
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.data.checking.check import check
from retinue.data.decoding.clip_file import Clip, frame_range, read_frames
from retinue.data.decoding.clip_probe import probe_clip
from retinue.data.decoding.decode import decode_image, read_encoded
from retinue.data.decoding.image_file import probe
from retinue.data.readers.read import read, tasks_of
from retinue.tests.helpers.dataset_samples import DATASETS
from retinue.tests.helpers.format_samples import images, videos
from retinue.tests.helpers.mutations import mutate

MAX_PIXELS = 10_000_000
PIXEL_RANGE = (0, 65535)
SEEDS = [pytest.param(range(2), id="short"), pytest.param(range(2, 420), id="long", marks=pytest.mark.slow)]


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def decode(path):
    """Read and decode an image by the operations of training, prediction and the exported SavedModel."""
    return decode_image(read_encoded(path, PIXEL_RANGE), PIXEL_RANGE)


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("name", images())
def test_damaged_images_are_named_by_the_check_or_decoded(tmp_path, name, seeds):
    content = images()[name]
    for seed in seeds:
        path = tmp_path / f"{seed} {name}"
        path.write_bytes(mutate(content, seed))
        with warnings.catch_warnings(action="ignore"):
            info = probe(str(path), MAX_PIXELS)
        if info.problem:
            continue
        pixels = decode(str(path))  # what the check accepts, TensorFlow decodes
        assert pixels.shape[2] == 3, f"seed {seed}"


@pytest.mark.parametrize("seeds", [*SEEDS[:1], pytest.param(range(2, 60), id="long", marks=pytest.mark.slow)])
def test_damaged_videos_are_named_or_read(tmp_path, seeds):
    samples = videos(tmp_path)
    for name, content in samples.items():
        for seed in seeds:
            path = tmp_path / f"{seed} {name}"
            path.write_bytes(mutate(content, seed))
            info = probe_clip(str(path), 0, 0, MAX_PIXELS)
            assert info.problem or info.frame_count, f"{name}, seed {seed}"
            if not info.problem:  # then training and prediction read the frames that were counted
                wanted = {0, info.frame_count // 2, info.frame_count - 1}
                frames, _ = read_frames(path, wanted, size=(12, 20))
                assert frames.keys() == wanted, f"{name}, seed {seed}"
                with Clip(path) as clip:
                    assert 0 <= sum(frame_range(clip, 0.1, 0.3)) <= 100, f"{name}, seed {seed}"


@pytest.mark.parametrize("seeds", [*SEEDS[:1], pytest.param(range(2, 150), id="long", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DATASETS)
def test_damaged_annotations_are_findings_or_one_error(tmp_path, monkeypatch, name, seeds):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    for seed in seeds:
        folder = tmp_path / str(seed)
        for path in DATASETS[name](folder):
            path.write_bytes(mutate(path.read_bytes(), seed))
        source = str(next(folder.glob("*.csv"), folder) if name.endswith(".csv") else folder)
        for task in attempt(tasks_of, source) or ():
            dataset = attempt(read, source, task)
            if dataset:
                attempt(check, dataset, on_invalid="skip")
        shutil.rmtree(folder)


def attempt(function, *arguments, **options):
    """Return what a function returns, or None if it raises an error of one line for the user."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return function(*arguments, **options)
    except RetinueError as error:
        assert str(error)
        return None
