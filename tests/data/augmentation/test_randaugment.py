"""RandAugment: operations compared with Pillow or by hand, and the random choice among them."""

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from retinue.data.augmentation import randaugment
from retinue.data.seeds import example_seed

RNG = np.random.default_rng(0)
NOISE = RNG.integers(30, 200, (21, 33, 3), np.uint8)
SKEWED = (np.clip(RNG.normal(90, 20, (64, 48, 3)), 0, 255) * [1.0, 0.7, 0.3]).astype(np.uint8)
FLAT = np.full((8, 8, 3), 90, np.uint8)


@pytest.mark.parametrize("image", [NOISE, SKEWED, FLAT], ids=["noise", "skewed", "flat"])
def test_autocontrast_and_equalize_agree_with_pillow(image):
    contrast = randaugment.autocontrast(tf.constant(image)).numpy().astype(int)
    np.testing.assert_allclose(contrast, np.asarray(ImageOps.autocontrast(Image.fromarray(image))), atol=1)
    expected = np.asarray(ImageOps.equalize(Image.fromarray(image)))
    np.testing.assert_array_equal(randaugment.equalize(tf.constant(image)), expected)


@pytest.mark.parametrize("threshold", [0, 1, 100, 255, 256])
def test_solarize_agrees_with_pillow(threshold):
    expected = np.asarray(ImageOps.solarize(Image.fromarray(NOISE), threshold))
    np.testing.assert_array_equal(randaugment.solarize(tf.constant(NOISE), threshold), expected)


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_posterize_agrees_with_pillow(bits):
    expected = np.asarray(ImageOps.posterize(Image.fromarray(NOISE), bits))
    np.testing.assert_array_equal(randaugment.posterize(tf.constant(NOISE), bits), expected)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.9])
def test_sharpen_agrees_with_pillow_inside_the_border(factor):
    expected = np.asarray(ImageEnhance.Sharpness(Image.fromarray(NOISE)).enhance(factor)).astype(int)
    sharpened = randaugment.sharpen(tf.constant(NOISE), tf.constant(factor)).numpy().astype(int)
    np.testing.assert_allclose(sharpened[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1)
    np.testing.assert_array_equal(randaugment.sharpen(tf.constant(FLAT), tf.constant(factor)), FLAT)


def test_translate_by_hand():
    image = tf.constant(np.arange(1, 5, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2))
    shifted = randaugment.translate(image, tf.constant(0.5), tf.constant(-0.5))[:, :, 0]
    assert shifted.numpy().tolist() == [[128, 128], [2, 128]]
    shifted_out = randaugment.translate(image, tf.constant(1.5), tf.constant(0.0))[:, :, 0]
    assert shifted_out.numpy().tolist() == [[128, 128], [128, 128]]


def test_warp_by_hand():
    image = tf.constant(NOISE)
    np.testing.assert_array_equal(randaugment.warp(image, 1.0, 0.0, 0.0, 1.0), NOISE)
    # A shear of 1 shifts each row by its distance from the middle one.
    rows = np.arange(1, 10, dtype=np.uint8).reshape(3, 3, 1).repeat(3, axis=2)
    sheared = randaugment.warp(tf.constant(rows), 1.0, 1.0, 0.0, 1.0)[:, :, 0]
    assert sheared.numpy().tolist() == [[128, 1, 2], [4, 5, 6], [8, 9, 128]]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotate_by_quarter_turns_is_counterclockwise(turns):
    square = NOISE[:21, :21]
    rotated = randaugment.rotate(tf.constant(square), tf.constant(turns * math.pi / 2))
    np.testing.assert_array_equal(rotated, np.rot90(square, turns))


def test_a_small_rotation_makes_the_corners_gray():
    rotated = randaugment.rotate(tf.fill([32, 48, 3], tf.constant(7, tf.uint8)), tf.constant(0.3)).numpy()
    assert rotated.shape == (32, 48, 3)
    assert all((rotated[row, column] == 128).all() for row in (0, -1) for column in (0, -1))
    assert (rotated[8:24, 12:36] == 7).all()


def test_there_are_the_fourteen_operations_of_the_paper():
    names = "identity autocontrast equalize rotate solarize color posterize contrast brightness sharpness"
    assert list(randaugment.operations(9)) == [
        *names.split(), "shear_x", "shear_y", "translate_x", "translate_y",
    ]  # fmt: skip


@pytest.mark.parametrize("magnitude", [0, 9, 10, 30])
def test_every_operation_keeps_shape_and_dtype(magnitude):
    for operation in randaugment.operations(magnitude).values():
        for sign in (-1.0, 1.0):
            changed = operation(tf.constant(NOISE), tf.constant(sign))
            assert changed.shape == NOISE.shape and changed.dtype == tf.uint8


def test_magnitude_0_changes_nothing_where_the_operation_has_a_strength():
    without_strength = {"autocontrast", "equalize"}
    for name, operation in randaugment.operations(0).items():
        if name not in without_strength:
            np.testing.assert_array_equal(operation(tf.constant(NOISE), tf.constant(1.0)), NOISE, err_msg=name)


def test_a_larger_magnitude_changes_more():
    for name in ("rotate", "solarize", "color", "posterize", "contrast", "brightness", "shear_x", "translate_y"):
        change = [
            np.abs(
                randaugment.operations(magnitude)[name](SKEWED, tf.constant(-1.0)).numpy().astype(int) - SKEWED
            ).mean()
            for magnitude in (2, 9)
        ]
        assert change[0] < change[1], name


def test_all_operations_are_drawn_and_the_seed_alone_decides():
    augment = tf.function(lambda seed: randaugment.rand_augment(tf.constant(NOISE), 1, 9, seed))
    images = [augment(example_seed(0, 0, number)).numpy() for number in range(200)]
    distinct = {image.tobytes() for image in images}
    # Five operations do not depend on the sign: identity, autocontrast, equalize, solarize and posterize.
    assert len(distinct) == 5 + 2 * 9
    np.testing.assert_array_equal(augment(example_seed(0, 0, 7)), images[7])
    assert 2 <= sum(np.array_equal(image, NOISE) for image in images) <= 30


def test_images_of_unknown_size_work_in_a_graph():
    augment = tf.function(
        lambda image: randaugment.rand_augment(image, 2, 9, tf.constant([3, 4])),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
    )
    for size in ((1, 1), (1, 7), (20, 30)):
        assert augment(tf.zeros([*size, 3], tf.uint8)).shape == (*size, 3)
