"""Damaged images in training, prediction and the exported SavedModel: each is named once, and the others are used."""

import json
import warnings

import numpy as np
import pytest
import tensorflow as tf

from retinue.data.batches import find_failing_records
from retinue.data.decoding.image_file import probe
from retinue.data.decoding.pixel_range import range_problem
from retinue.pipeline.prediction.predict import predict
from retinue.tests.helpers.format_samples import images
from retinue.tests.helpers.mutations import mutate

MAX_PIXELS = 10_000_000
SEEDS = [pytest.param(range(1), id="short"), pytest.param(range(1, 100), id="long", marks=pytest.mark.slow)]


def write_damaged(folder, seeds):
    """Write damaged images of every format. Returns the paths that the check accepts, and the others."""
    folder.mkdir()
    accepted, refused = [], []
    for name, content in images().items():
        for seed in seeds:
            path = folder / f"{seed} {name}"
            path.write_bytes(mutate(content, seed))
            with warnings.catch_warnings(action="ignore"):
                info = probe(path, MAX_PIXELS)
            (refused if info.problem or range_problem(info.depth, None) else accepted).append(str(path))
    return accepted, refused


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("seeds", SEEDS)
def test_damaged_images_are_named_once_by_prediction_and_no_surprise_to_the_saved_model(
    tiny_model, exported, tmp_path, seeds
):
    accepted, refused = write_damaged(tmp_path / "images", seeds)
    with warnings.catch_warnings(action="ignore"):
        predict(tiny_model, [tmp_path / "images"], tmp_path / "out")
    predicted = {line["file"]: line for line in read_lines(tmp_path / "out/predictions.jsonl")}
    failed = read_lines(tmp_path / "out/failures.jsonl")
    names = [*predicted, *(line["file"] for line in failed)]
    assert sorted(names) == sorted([*accepted, *refused])
    assert set(accepted) <= set(predicted)
    assert all(line["reason"] and "\n" not in line["reason"] for line in failed)

    serve = tf.saved_model.load(exported).signatures["serving_default"]
    served = 0
    for file in names:
        with open(file, "rb") as content:
            encoded = tf.constant([content.read()])
        try:
            scores = serve(bytes=encoded)["scores"].numpy()[0]
        except tf.errors.OpError:
            continue
        served += 1
        if file in predicted:
            expected = [label["score"] for label in predicted[file]["labels"]]  # the best comes first
            np.testing.assert_allclose(np.sort(scores)[::-1], expected, atol=1e-4, err_msg=file)
    assert served >= len(accepted) // 2  # all but the formats that are converted in Python


@pytest.mark.parametrize("seeds", SEEDS)
def test_damaged_images_are_named_once_by_training(tiny_model, tmp_path, seeds):
    accepted, refused = write_damaged(tmp_path / "images", seeds)
    files = [*accepted, *refused]
    columns = {"file": np.array(files), "label": np.zeros(len(files), np.int64)}
    failing = list(find_failing_records(columns, tiny_model.task.example(training=True)))
    assert len(dict(failing)) == len(failing) and set(dict(failing)) <= set(refused)
    assert all(reason and "Traceback" not in reason for _, reason in failing)
