"""The resize, checked by hand: averages where it shrinks, linear interpolation where it grows."""

import numpy as np
import pytest
import tensorflow as tf

from retinue.data.decoding.resize import fit_inside, largest_window, resize_geometry, resize_image


def gray(rows):
    return tf.constant(np.array(rows, np.uint8)[:, :, None])


def resized(rows, size, **options):
    return resize_image(gray(rows), size, **options).numpy()[:, :, 0].tolist()


def test_shrinking_by_a_whole_factor_averages_blocks():
    assert resized([[0, 10, 20, 40], [20, 30, 40, 60]], (1, 2)) == [[15, 40]]


def test_shrinking_by_a_fraction_weights_the_pixels_in_between():
    # Each new pixel is 1.5 old ones wide: (0 + 90 / 2) / 1.5 and (90 / 2 + 180) / 1.5.
    assert resized([[0, 90, 180]], (1, 2)) == [[30, 150]]


def test_growing_interpolates_between_pixel_centers():
    # New centers lie at -0.25, 0.25, 0.75 and 1.25 old pixels from the first center; the ends are repeated.
    assert resized([[0, 100]], (1, 4)) == [[0, 25, 75, 100]]


def test_one_axis_grows_while_the_other_shrinks():
    assert resized([[0, 20, 100, 140]], (2, 2)) == [[10, 120], [10, 120]]
    assert resized([[0, 0], [0, 200]], (1, 4)) == [[0, 25, 75, 100]]


def test_halves_are_rounded_to_the_even_level():
    assert resized([[0, 1, 2, 3]], (1, 2)) == [[0, 2]]  # 0.5 and 2.5
    assert resized([[1, 2, 3, 4]], (1, 2)) == [[2, 4]]  # 1.5 and 3.5


@pytest.mark.parametrize("old", [(1, 1), (1, 9), (9, 1), (7, 5), (40, 60), (8, 8)])
@pytest.mark.parametrize("resize_mode", ["stretch", "center_crop"])
def test_a_constant_stays_constant(old, resize_mode):
    image = tf.fill([*old, 3], tf.constant(201, tf.uint8))
    result = resize_image(image, 8, resize_mode)
    assert result.shape == (8, 8, 3) and result.dtype == tf.uint8
    np.testing.assert_array_equal(result, np.full((8, 8, 3), 201))


@pytest.mark.parametrize("width", [6, 10, 24, 96])
def test_a_ramp_stays_a_ramp(width):
    # The value at each new center is the one of the old straight line, except at the ends, which are repeated.
    slope = 240 / width
    line = (np.arange(width) + 0.5) * slope
    expected = (np.arange(24) + 0.5) * slope * width / 24
    result = np.array(resized([np.rint(line)], (1, 24)))[0]
    compared = slice(2, -2) if width < 24 else slice(None)
    np.testing.assert_allclose(result[compared], expected[compared], atol=1.01)


def test_an_image_of_the_right_size_is_not_changed():
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8))
    np.testing.assert_array_equal(resize_image(image, (8, 6)), image)


def test_center_crop_takes_the_center():
    rows = [[0, 1, 2, 3, 4, 5]] * 2
    assert resized(rows, 2, resize_mode="center_crop") == [[2, 3], [2, 3]]
    assert resized(np.transpose(rows), 2, resize_mode="center_crop") == [[2, 2], [3, 3]]


def test_crop_fraction_takes_a_smaller_window():
    image = np.zeros((8, 12), np.uint8)
    image[2:6, 4:8] = 100
    assert resized(image, 4, resize_mode="center_crop", crop_fraction=0.5) == [[100] * 4] * 4


def test_center_crop_to_a_size_that_is_not_square():
    window, size = resize_geometry(tf.constant([40, 40]), (10, 20), "center_crop")
    assert window.numpy().tolist() == [0, 10, 40, 30] and size == (10, 20)


def test_letterbox_fits_the_image_inside_and_pads_below_and_to_the_right():
    assert resized([[8, 8, 8, 8], [8, 8, 8, 8]], 4, resize_mode="letterbox", padding=114) == [
        [8] * 4,
        [8] * 4,
        [114] * 4,
        [114] * 4,
    ]
    assert resized([[8], [8]], 2, resize_mode="letterbox") == [[8, 0], [8, 0]]
    assert resized([[8] * 8] * 4, 4, resize_mode="letterbox", padding=1) == [[8] * 4, [8] * 4, [1] * 4, [1] * 4]


def test_a_very_long_image_keeps_at_least_one_pixel():
    assert fit_inside(tf.constant([1, 1000]), (10, 10)).numpy().tolist() == [1, 10]
    assert largest_window(tf.constant([1, 1000]), 5.0).numpy().tolist() == [1, 1]
    assert resize_image(tf.zeros([1, 1000, 3], tf.uint8), 10, "letterbox").shape == (10, 10, 3)


def test_an_unknown_resize_mode_is_rejected():
    with pytest.raises(ValueError, match="squash.*stretch, center_crop, letterbox"):
        resize_image(tf.zeros([2, 2, 3], tf.uint8), 2, "squash")


def test_shapes_are_known_in_a_graph():
    for resize_mode in ("stretch", "center_crop", "letterbox"):
        graph = tf.function(lambda image, resize_mode=resize_mode: resize_image(image, (8, 6), resize_mode))
        concrete = graph.get_concrete_function(tf.TensorSpec([None, None, 3], tf.uint8))
        assert concrete.output_shapes == (8, 6, 3)
        assert concrete(tf.zeros([5, 30, 3], tf.uint8)).dtype == tf.uint8
