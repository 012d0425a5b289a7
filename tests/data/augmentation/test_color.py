"""Colour jitter: each step by hand, and as it follows from Pillow's definitions."""

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
def test_each_factor_does_what_pillow_does(name, enhance, factor):
    expected = np.asarray(enhance(Image.fromarray(IMAGE)).enhance(factor)).astype(int)
    changed = to_uint8(change_colors(FLOATS, **{name: tf.constant(factor)})).numpy()
    np.testing.assert_allclose(changed.astype(int), expected, atol=2)  # Pillow rounds its greys first


def test_contrast_by_hand():
    image = tf.constant([[[0.0, 0, 0], [100, 100, 100]]])
    np.testing.assert_allclose(change_colors(image, contrast=1.5)[0, :, 0], [-25, 125], rtol=1e-6)
    # After brightness 2 the mean is 100: 100 + 0.5 * (0 - 100) and 100 + 0.5 * (200 - 100).
    np.testing.assert_allclose(change_colors(image, brightness=2.0, contrast=0.5)[0, :, 0], [50, 150], rtol=1e-6)


def test_steps_together_equal_one_after_the_other():
    changes = {"brightness": 1.3, "contrast": 0.7, "saturation": 1.4, "hue": 0.1}
    one_by_one = FLOATS
    for name, value in changes.items():
        one_by_one = change_colors(one_by_one, **{name: tf.constant(value)})
    np.testing.assert_allclose(change_colors(FLOATS, **changes), one_by_one, atol=0.02)


def test_hue_turns_the_colour_circle_and_keeps_grey_and_luma():
    grey = tf.fill([2, 2, 3], 77.0)
    np.testing.assert_allclose(change_colors(grey, hue=tf.constant(0.3)), grey, atol=0.01)
    luma = np.array([0.299, 0.587, 0.114])
    turned = change_colors(FLOATS, hue=tf.constant(0.2)).numpy()
    np.testing.assert_allclose(turned @ luma, IMAGE @ luma, atol=0.05)
    assert np.abs(turned - IMAGE).mean() > 10
    np.testing.assert_allclose(change_colors(FLOATS, hue=tf.constant(1.0)), IMAGE, atol=0.02)
    back = change_colors(tf.constant(turned), hue=tf.constant(-0.2))
    np.testing.assert_allclose(back, IMAGE, atol=0.05)
    # Half a turn negates the chroma: twice the grey less the colour.
    expected = 2 * (IMAGE @ luma)[:, :, None] - IMAGE
    np.testing.assert_allclose(change_colors(FLOATS, hue=tf.constant(0.5)), expected, atol=0.3)


def test_to_uint8_clips_and_rounds_halves_to_even():
    assert to_uint8(tf.constant([-3.0, 0.5, 1.5, 254.6, 300.0])).numpy().tolist() == [0, 0, 2, 255, 255]


def test_nothing_on_changes_nothing():
    np.testing.assert_array_equal(jitter_colors(IMAGE, amounts(), tf.constant([1, 2])), IMAGE)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_draws_stay_in_range_and_reach_both_sides(name):
    largest = 0.25
    limits = [
        change_colors(FLOATS, **{name: tf.constant((0.0 if name == "hue" else 1.0) + side * largest)}).numpy()
        for side in (-1, 1)
    ]
    distances = [
        np.abs(jitter_colors(IMAGE, amounts(**{name: largest}), example_seed(0, 0, number)).numpy() - limits[0]).mean()
        for number in range(40)
    ]
    whole = np.abs(limits[1] - limits[0]).mean()
    assert max(distances) <= whole * 1.01
    assert min(distances) < 0.2 * whole and max(distances) > 0.8 * whole


def test_off_means_off_whatever_else_is_drawn():
    both = jitter_colors(IMAGE, amounts(brightness=0.2, saturation=0.2), example_seed(0, 0, 1)).numpy()
    only = jitter_colors(IMAGE, amounts(brightness=0.2), example_seed(0, 0, 1)).numpy()
    ratios = only[IMAGE > 0] / IMAGE[IMAGE > 0]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)
    luma = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(both @ luma, only @ luma, rtol=1e-4)  # saturation leaves luma alone
