"""Fixtures for the tests of prediction and export: a small real model, and a few real files."""

import json
import os

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from retinue.configs.load import load_config, to_yaml
from retinue.pipeline.runs.run import Model
from retinue.tasks.classification.task import Classification
from retinue.tasks.model import TaskModel

CLASSES = ("apple", "bean", "cherry")
SIZE = 16


class TinyClassification(Classification):
    """The real task, with two layers as the backbone."""

    def build(self, weights=None, class_counts=None):
        image = keras.Input((SIZE, SIZE, 3), name="image")
        x = keras.layers.Rescaling(1 / 255, name="scale")(image)
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        logits = keras.layers.Dense(len(self.classes), name="head_logits")(x)
        return TaskModel(image, logits, lambda targets, outputs: {}, ("loss",), ["scale", "conv"])


class TinyModel(Model):
    """What `open_model` returns, with the tiny model."""

    def __init__(self, folder):
        super().__init__(folder, "run")
        self.task = TinyClassification(self.config, self.classes, self.multi_label)


def make_tiny_model(folder, seed=0):
    """Write a run folder with random weights, and return its `TinyModel`."""
    folder.mkdir(parents=True)
    config = load_config(settings=[f"model.input_size={SIZE}", "evaluate.batch_size=4"])
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    (folder / "classes.json").write_text(json.dumps({"classes": CLASSES, "multi_label": False}), encoding="utf-8")
    keras.utils.set_random_seed(seed)
    model = TinyModel(folder)
    model.task.build().save_weights(folder / "best.weights.h5")
    return model


def coarse_image(seed, height, width, channels=3):
    """Make an image with coarse shapes, so that rounding does not change its label: uint8 `[h, w, channels]`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, channels), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "run")


@pytest.fixture
def own_model(tmp_path):
    """The tiny model in a folder that the test may change."""
    return make_tiny_model(tmp_path / "run")


@pytest.fixture(scope="session")
def other_model(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("other") / "run", seed=1)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    """A folder of eight valid files, one for each kind that all runtimes must predict equally."""
    folder = tmp_path_factory.mktemp("image files") / "ünter"
    folder.mkdir()
    Image.fromarray(coarse_image(0, 30, 40)).save(folder / "1 image.jpg", quality=95)
    Image.fromarray(coarse_image(1, 40, 30)).save(folder / "2.png")
    Image.fromarray(coarse_image(2, 20, 20, 1)[..., 0]).save(folder / "3 gray.jpg")
    Image.fromarray(coarse_image(3, 33, 17, 4), "RGBA").save(folder / "4 alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(coarse_image(4, 24, 48)).save(folder / "5 turned.jpg", exif=exif, quality=95)
    Image.fromarray(coarse_image(5, 16, 16)).save(folder / "6.bmp")
    Image.fromarray(coarse_image(6, 100, 80)).save(folder / "7.webp", lossless=True)
    Image.fromarray(coarse_image(7, 9, 11)).save(folder / "10.tif")
    return folder


@pytest.fixture(scope="session")
def exported(tiny_model, image_folder, tmp_path_factory):
    """The tiny model as a SavedModel."""
    from retinue.pipeline.exporting.export import export
    from retinue.pipeline.exporting.options import ExportOptions

    out = tmp_path_factory.mktemp("exported") / "model"
    files = sorted(os.path.join(image_folder, name) for name in os.listdir(image_folder))
    export(tiny_model, out, ExportOptions(verify_images=files))
    return out
