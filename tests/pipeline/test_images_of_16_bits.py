"""12-bit images through training, evaluation, prediction, explanation and the exported SavedModel, with one scale."""

import json
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

import retinue
from retinue.configs.errors import RetinueError
from retinue.configs.load import load_saved_config
from retinue.pipeline.runs.run import open_model

SMALL = {
    "model__weights": "none",
    "model__backbone": "lenet5",
    "model__input_size": 32,
    "train__batch_size": 4,
    "evaluate__bootstrap_samples": 10,
    "train__stages": {"all": {"epochs": 1, "learning_rate": 1e-3, "backbone_lr_multiplier": 1.0}},
}


def scene(number, label):
    """Return 12 bits of an image with a bright square (label a) or a dark bar (label b)."""
    pixels = np.random.default_rng(number).uniform(1200, 2000, (32, 32))
    if label == "a":
        pixels[8:24, 8:24] = 3600
    else:
        pixels[:, 14:18] = 200
    return pixels.astype(np.uint16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with `data` (12 PNGs of 16 bits), the same images as TIFFs in `tiff`, and a trained `run`."""
    folder = tmp_path_factory.mktemp("deep")
    for label in "ab":
        for kind, suffix in (("data", "png"), ("tiff", "tif")):
            (folder / kind / label).mkdir(parents=True)
            for number in range(6):
                cv2.imwrite(str(folder / kind / label / f"{number}.{suffix}"), scene(number, label))
    retinue.train(str(folder / "data"), folder / "run", **SMALL)
    return folder


def predict(model, sources, out):
    retinue.predict(model, sources, out, runtime="tensorflow")
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text("utf-8").splitlines()]
    return [{item["label"]: item["score"] for item in line["labels"]} for line in lines]


def test_the_run_keeps_the_range_of_the_check(folder):
    report = retinue.check(str(folder / "data"))
    assert load_saved_config(folder / "run" / "config.yaml").data.pixel_range == report.pixel_range == (0, 3600)
    assert retinue.check(str(folder / "tiff")).pixel_range == report.pixel_range


def test_the_model_gets_the_values_in_this_range(folder):
    task = open_model(folder / "run").task
    expected = np.rint(scene(0, "b").astype(float) * 255 / 3600)
    for path in ("data/b/0.png", "tiff/b/0.tif"):
        image = task.read_record({"file": tf.constant(str(folder / path))})["image"].numpy()
        np.testing.assert_array_equal(image, np.repeat(expected[:, :, None], 3, axis=2))


def test_png_and_tiff_have_equal_predictions_which_the_saved_model_repeats(folder, tmp_path):
    png = predict(folder / "run", [folder / "data"], tmp_path / "png")
    assert png == predict(folder / "run", [folder / "tiff"], tmp_path / "tiff")
    assert len(png) == 12
    retinue.export(folder / "run", tmp_path / "export")
    assert predict(tmp_path / "export", [folder / "tiff"], tmp_path / "exported") == png
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    files = [folder / "data" / label / f"{number}.png" for label in "ab" for number in range(6)]
    scores = served(bytes=tf.constant([file.read_bytes() for file in files]))["scores"].numpy()
    np.testing.assert_allclose(scores, [[row["a"], row["b"]] for row in png], atol=1e-5)


def test_evaluation_does_not_depend_on_the_format(folder):
    scores = [retinue.evaluate(folder / "run", folder / kind, split="all") for kind in ("data", "tiff")]
    assert scores[0].metrics == scores[1].metrics


def test_images_of_8_bits_are_used_as_they_are(folder, tmp_path):
    eight = np.rint(scene(0, "a").astype(float) * 255 / 3600).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "8.png"), eight)
    cv2.imwrite(str(tmp_path / "16.png"), scene(0, "a"))
    first, second = predict(folder / "run", [tmp_path / "8.png", tmp_path / "16.png"], tmp_path / "out")
    assert first == second


def test_a_tiff_is_explained_as_the_model_sees_it(folder, tmp_path):
    for number, path in enumerate(("data/a/1.png", "tiff/a/1.tif")):
        retinue.explain_images(folder / "run", [folder / path], tmp_path / str(number), methods=("saliency",))
    maps = [np.load(next((tmp_path / str(number)).rglob("saliency.npy"))) for number in (0, 1)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert maps[0].any()


@pytest.fixture
def run_without_range(folder, tmp_path):
    """Return a run as of training on images of 8 bits: without a range."""
    shutil.copytree(folder / "run", tmp_path / "run")
    path = tmp_path / "run" / "config.yaml"
    text = path.read_text("utf-8")
    start = text.index("pixel_range:")
    end = text.index("fold:", start)
    path.write_text(text[:start] + "pixel_range: null\n  " + text[end:], "utf-8")
    return tmp_path / "run"


def test_a_model_without_a_range_refuses_images_of_more_than_8_bits(folder, run_without_range, tmp_path):
    cv2.imwrite(str(tmp_path / "8.png"), np.zeros((32, 32), np.uint8))
    sources = [folder / "data/a/0.png", folder / "tiff/a/0.tif", tmp_path / "8.png"]
    summary = retinue.predict(run_without_range, sources, tmp_path / "out", runtime="tensorflow")
    assert (summary.images, summary.failures) == (1, 2)
    failures = next((tmp_path / "out").glob("failures*")).read_text("utf-8")
    assert failures.count("no scale: its pixels have more than 8 bits") == 2
    with pytest.raises(RetinueError, match="knows no scale"):
        retinue.evaluate(run_without_range, folder / "data", split="all")
    with pytest.raises(RetinueError, match="knows no scale"):
        retinue.explain_images(run_without_range, [folder / "data/a/0.png"], tmp_path / "explained")


def test_a_range_must_increase():
    with pytest.raises(RetinueError, match="pixel_range.*two increasing numbers"):
        retinue.check("nowhere", task="classification", data__pixel_range=[5, 5])
