"""A JPEG that is decoded smaller: every task evaluates and predicts on the same pixels, at the original size."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue import tasks
from retinue.configs.load import load_config
from retinue.data.decoding.mask_file import read_mask

HEIGHT, WIDTH = 603, 805  # of the upright image; the file is stored on its side


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([128 + 100 * np.sin(x / 32), 128 + 100 * np.sin(y / 32), x * 255 / WIDTH], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90).save(folder / "a.jpg", quality=95, exif=exif)
    Image.fromarray(np.uint8(x > WIDTH // 2)).transpose(Image.Transpose.ROTATE_90).save(folder / "a.png")
    return folder


def make_task(name, *settings):
    return tasks.create(load_config(settings=[f"task={name}", *settings]), ("left", "right"))


def read(task, folder):
    function = tf.function(task.read, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    return {name: value.numpy() for name, value in function(tf.constant((folder / "a.jpg").read_bytes())).items()}


SETTINGS = {
    "classification": ["model.input_size=32"],
    "detection": ["model.input_size=64", "detection.max_size=80"],
    "segmentation": ["model.input_size=64", "segmentation.max_size=64"],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_image_is_nearly_that_of_full_decoding_and_has_the_same_sizes(name, large):
    scaled = read(make_task(name, *SETTINGS[name]), large)
    full = read(make_task(name, *SETTINGS[name], "data.jpeg_dct_scaling=false"), large)
    difference = np.abs(scaled["image"].astype(int) - full["image"])
    # Up to one level on average: the blocks of 8 x 8 pixels cross the edges of the new pixels, each of which gets its
    # fraction of a block's mean, and this image changes by up to 25 levels within a block.
    assert 0 < difference.mean() < 1 and difference.max() <= 4
    for size in ("size", "original_size"):
        assert scaled.get(size, np.zeros(1)).tolist() == full.get(size, np.zeros(1)).tolist()
    assert scaled.get("original_size", np.array([HEIGHT, WIDTH])).tolist() == [HEIGHT, WIDTH]


def test_evaluation_has_the_pixels_of_prediction(large):
    seed, file = tf.constant([0, 1]), tf.constant(str(large / "a.jpg"))
    classifier = make_task("classification", *SETTINGS["classification"])
    image, _ = classifier.example(training=False)({"file": file, "label": tf.constant(0, tf.int64)}, seed)
    np.testing.assert_array_equal(image, read(classifier, large)["image"])
    detector = make_task("detection", *SETTINGS["detection"])
    box = tf.constant([[0.0, 0.0, WIDTH, HEIGHT]])
    columns = {"file": file, "boxes": box, "labels": tf.constant([1], tf.int64)}
    columns |= {"crowd": tf.constant([False]), "difficult": tf.constant([False])}
    inputs, _ = detector.example(training=False)(columns, seed)
    inputs_of_prediction = read(detector, large)
    np.testing.assert_array_equal(inputs["image"], inputs_of_prediction["image"])
    np.testing.assert_allclose(inputs["boxes"], [[0, 0, *inputs_of_prediction["size"][::-1]]])


def test_a_mask_stays_aligned_with_its_image(large):
    task = make_task("segmentation", *SETTINGS["segmentation"])
    mask = read_mask(str(large / "a.png"), np.array([0, 1]), 2, (HEIGHT, WIDTH), 6)
    assert mask.shape == (HEIGHT, WIDTH)
    columns = {"file": tf.constant(str(large / "a.jpg")), "mask": tf.constant(str(large / "a.png"))}
    image, ids = task.example(training=False)(columns | {"values": tf.constant([0, 1])}, tf.constant([0, 1]))
    height = round(HEIGHT * 64 / WIDTH)
    np.testing.assert_array_equal(image[:height], read(task, large)["image"])
    # Blue increases from left to right, and passes the middle where the mask changes.
    np.testing.assert_array_equal(ids[:height] == 1, np.broadcast_to(np.arange(64) >= 32, (height, 64)))
    assert abs(int(image[height // 2, 31, 2]) - 126) <= 4 and abs(int(image[height // 2, 32, 2]) - 130) <= 4


def test_tiles_have_every_pixel_of_the_original(large):
    scaled = read(make_task("segmentation", "segmentation.tile_size=64", "model.input_size=64"), large)
    assert scaled["image"].shape == (HEIGHT, WIDTH, 3)
