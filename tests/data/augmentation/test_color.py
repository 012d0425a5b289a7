"""Color jitter: each step by hand, and compared with Pillow."""

import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from retinue.data.augmentation.color import change_colors, jitter_colors, to_uint8
from retinue.data.seeds import example_seed

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
FLOATS = tf.constant(IMAGE, tf.float32)


def amounts(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0):
    return types.SimpleNamespace(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.5])
@pytest.mark.parametrize(
    ("name", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
def test_each_factor_agrees_with_pillow(name, enhance, factor):
    expected = np.asarray(enhance(Image.fromarray(IMAGE)).enhance(factor)).astype(int)
    changed = to_uint8(change_colors(FLOATS, **{name: tf.constant(factor)})).numpy()
    np.testing.assert_allclose(changed.astype(int), expected, atol=2)  # Pillow rounds gray levels first


def test_contrast_by_hand():
    image = tf.constant([[[0.0, 0, 0], [100, 100, 100]]])
    np.testing.assert_allclose(change_colors(image, contrast=1.5)[0, :, 0], [-25, 125], rtol=1e-6)
    # After brightness 2 the mean is 100: 100 + 0.5 * (0 - 100) and 100 + 0.5 * (200 - 100).
    np.testing.assert_allclose(change_colors(image, brightness=2.0, contrast=0.5)[0, :, 0], [50, 150], rtol=1e-6)


def test_all_changes_at_once_equal_one_after_the_other():
    changes = {"brightness": 1.3, "contrast": 0.7, "saturation": 1.4, "hue": 0.1}
    one_by_one = FLOATS
    for name, value in changes.items():
        one_by_one = change_colors(one_by_one, **{name: tf.constant(value)})
    np.testing.assert_allclose(change_colors(FLOATS, **changes), one_by_one, atol=0.02)


def test_hue_rotates_colors_and_keeps_gray_and_luma():
    gray = tf.fill([2, 2, 3], 77.0)
    np.testing.assert_allclose(change_colors(gray, hue=tf.constant(0.3)), gray, atol=0.01)
    luma = np.array([0.299, 0.587, 0.114])
    rotated = change_colors(FLOATS, hue=tf.constant(0.2)).numpy()
    np.testing.assert_allclose(rotated @ luma, IMAGE @ luma, atol=0.05)
    assert np.abs(rotated - IMAGE).mean() > 10
    np.testing.assert_allclose(change_colors(FLOATS, hue=tf.constant(1.0)), IMAGE, atol=0.02)
    back = change_colors(tf.constant(rotated), hue=tf.constant(-0.2))
    np.testing.assert_allclose(back, IMAGE, atol=0.05)
    # Half a turn negates the chroma: twice the gray level minus the color.
    expected = 2 * (IMAGE @ luma)[:, :, None] - IMAGE
    np.testing.assert_allclose(change_colors(FLOATS, hue=tf.constant(0.5)), expected, atol=0.3)


def test_to_uint8_clips_and_rounds_halves_to_even():
    assert to_uint8(tf.constant([-3.0, 0.5, 1.5, 254.6, 300.0])).numpy().tolist() == [0, 0, 2, 255, 255]


def test_without_amounts_the_image_is_not_changed():
    np.testing.assert_array_equal(jitter_colors(IMAGE, amounts(), tf.constant([1, 2])), IMAGE)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_draws_stay_in_their_range_and_reach_both_ends(name):
    largest = 0.25
    limits = [
        change_colors(FLOATS, **{name: tf.constant((0.0 if name == "hue" else 1.0) + side * largest)}).numpy()
        for side in (-1, 1)
    ]
    distances = [
        np.abs(jitter_colors(IMAGE, amounts(**{name: largest}), example_seed(0, 0, number)).numpy() - limits[0]).mean()
        for number in range(40)
    ]
    full_range = np.abs(limits[1] - limits[0]).mean()
    assert max(distances) <= full_range * 1.01
    assert min(distances) < 0.2 * full_range and max(distances) > 0.8 * full_range


def test_a_change_that_is_off_stays_off_beside_others():
    both = jitter_colors(IMAGE, amounts(brightness=0.2, saturation=0.2), example_seed(0, 0, 1)).numpy()
    only = jitter_colors(IMAGE, amounts(brightness=0.2), example_seed(0, 0, 1)).numpy()
    ratios = only[IMAGE > 0] / IMAGE[IMAGE > 0]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)
    luma = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(both @ luma, only @ luma, rtol=1e-4)  # saturation does not change luma
