"""The range of values of a dataset, and pixels that are scaled by it."""

import numpy as np
import pytest

from retinue.data.decoding.pixel_range import (
    EIGHT_BITS,
    find_pixel_range,
    fraction_outside,
    range_problem,
    sample_values,
    scale_to_uint8,
)


@pytest.mark.parametrize(
    ("pixels", "pixel_range", "expected"),
    [
        (np.array([0, 255, 128], np.uint8), None, [0, 255, 128]),
        (np.array([0, 255, 128], np.uint8), (100, 110), [0, 255, 128]),  # 8 bits are used as they are
        (np.array([0, 2000, 4000, 65535], np.uint16), (0, 4000), [0, 128, 255, 255]),
        (np.array([-1000, -200, 600, 5000], np.int16), (-1000, 600), [0, 128, 255, 255]),
        (np.array([0.0, 0.25, 1.0, np.nan, np.inf, -np.inf], np.float32), (0, 0.5), [0, 128, 255, 0, 255, 0]),
        (np.array([2**31 - 1, 2**30], np.int64), (0, 2**31 - 1), [255, 128]),
    ],
)
def test_scale_to_uint8(pixels, pixel_range, expected):
    result = scale_to_uint8(pixels, pixel_range)
    assert result.dtype == np.uint8
    assert result.tolist() == expected


def test_pixels_of_more_than_8_bits_need_a_range():
    with pytest.raises(ValueError, match="data.pixel_range"):
        scale_to_uint8(np.zeros((2, 2), np.uint16), None)
    assert range_problem("16-bit", None).kind == "no scale"
    assert range_problem("16-bit", (0, 1)) is None
    assert range_problem(EIGHT_BITS, None) is None


def values(*files):
    return [sample_values(np.asarray(file)) for file in files]


def test_hot_pixels_and_single_files_do_not_decide():
    image = np.full(10_000, 3000, np.uint16)
    image[:5000] = 30
    image[0] = 65535  # a hot pixel: one in ten thousand
    assert find_pixel_range(values(image), is_integer=True) == (0, 3000)
    bright = np.full(10_000, 50_000, np.uint16)
    assert find_pixel_range(values(*[image] * 99, bright), is_integer=True) == (0, 3000)
    assert find_pixel_range(values(*[image] * 9, bright), is_integer=True) == (0, 50_000)


def test_a_high_low_value_is_kept():
    thermal = np.linspace(21_000, 24_000, 3001).astype(np.uint16)
    assert find_pixel_range(values(thermal), is_integer=True) == (21_003, 23_997)
    assert find_pixel_range(values(thermal - 20_800), is_integer=True) == (0, 3197)


def test_floats_are_rounded_to_four_digits():
    assert find_pixel_range(values(np.array([0.123456, 0.987654])), is_integer=False) == (0.1235, 0.9877)


@pytest.mark.parametrize("missing", [np.nan, -9999, -32768, -99999])
def test_missing_values_are_left_out(missing):
    image = np.linspace(0, 1, 1001, dtype=np.float32)
    image[500:] = missing
    (file,) = values(image)
    assert (len(file.values), file.num_missing) == (500, 501)
    low, high = find_pixel_range([file], is_integer=False)
    assert low == 0 and 0.49 < high < 0.5


def test_unsigned_integers_have_no_missing_values():
    assert values(np.array([32768, 9999], np.uint16))[0].num_missing == 0


@pytest.mark.parametrize(("level", "expected"), [(0, (0, 1)), (7, (0, 7)), (-5, (-5, -4))])
def test_constant_images_have_a_range(level, expected):
    low, high = find_pixel_range(values(np.full(9, level, np.int16)), is_integer=True)
    assert low < high and low <= level <= high
    assert (low, high) == pytest.approx(expected)


def test_no_values_have_no_range():
    assert find_pixel_range(values(np.full(9, np.nan)), is_integer=False) is None


def test_fraction_outside():
    assert fraction_outside(values([0, 1, 2, 3], [4, 5, 6, 7]), (1, 5)) == 3 / 8
