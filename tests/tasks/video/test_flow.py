"""Optical flow: computing a known shift, warping, storing in 8 bits, flipping, resizing and drawing."""

import numpy as np
import pytest

from retinue.configs.errors import UsageError
from retinue.tasks.video import flow
from retinue.tests.helpers.clips import moving_frames


@pytest.fixture(scope="module")
def pair():
    return [flow.to_gray(frame) for frame in moving_frames(3, 3, count=2, size=(96, 128))]


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_flow_of_a_known_shift_and_its_warp(pair, method):
    field = flow.compute(*pair, method)
    inside = (slice(16, -16), slice(16, -16))
    assert field.dtype == np.float32 and field.shape == (96, 128, 2)
    np.testing.assert_allclose(np.median(field[inside], axis=(0, 1)), [3, 0], atol=0.1)
    before = np.abs(np.int32(pair[1]) - pair[0])[inside].mean()
    after = np.abs(np.int32(flow.warp(pair[1], field)) - pair[0])[inside].mean()
    assert before > 5 and after < 0.1 * before


def test_warping_by_the_true_shift_reproduces_the_first_frame(pair):
    true_field = np.zeros((96, 128, 2), np.float32)
    true_field[..., 0] = 3
    np.testing.assert_array_equal(flow.warp(pair[1], true_field)[:, :-3], pair[0][:, :-3])


def test_the_error_of_eight_bits_is_at_most_half_a_level():
    field = np.linspace(-20, 20, 4001, dtype=np.float32).reshape(-1, 1, 1).repeat(2, axis=2)
    back = flow.dequantize(flow.quantize(field, 20), 20)
    assert np.abs(back - field).max() <= 20 / 255 + 1e-5 < 0.08
    assert flow.quantize(np.float32([[[0, 0]]]), 20).tolist() == [[[128, 128]]]
    assert flow.quantize(np.float32([[[-99, 99]]]), 20).tolist() == [[[0, 255]]]
    levels = np.arange(256, dtype=np.uint8).reshape(-1, 1, 1)
    np.testing.assert_array_equal(flow.quantize(flow.dequantize(levels, 8), 8), levels)


def test_a_flipped_clip_has_the_flipped_flow(pair):
    flipped = flow.compute(*(np.ascontiguousarray(frame[:, ::-1]) for frame in pair))
    inside = (slice(16, -16), slice(16, -16))
    assert np.abs(flipped - flow.flip(flow.compute(*pair)))[inside].mean() < 0.05
    assert flow.flip(np.float32([[[1, 2], [3, 4]]])).tolist() == [[[-3, 4], [-1, 2]]]


def test_resizing_scales_the_values():
    field = np.broadcast_to(np.float32([4, 6]), (10, 20, 2)).copy()
    np.testing.assert_allclose(flow.resize(field, (5, 5)), np.broadcast_to([1, 3], (5, 5, 2)))
    assert flow.resize(field, (10, 20)) is field


def test_tiny_frames_have_flow():
    field = flow.compute(np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8))
    assert field.shape == (4, 5, 2) and np.abs(field).max() < 1e-3


def test_colors_show_directions():
    field = np.float32([[[1, 0], [-1, 0], [0, 0], [0.5, 0]]])
    right, left, still, half = flow.flow_to_image(field, 1.0)[0].tolist()
    assert right == [255, 0, 0] and left == [0, 255, 255] and still == [255, 255, 255]
    assert half[0] == 255 and 120 < half[1] < 135
    wheel = flow.color_wheel(33)
    assert wheel[16, 32].tolist() == [255, 0, 0] and wheel[0, 0].tolist() == [255, 255, 255]


def test_an_unknown_or_missing_method_is_an_error():
    with pytest.raises(UsageError, match="unknown; use one of dis"):
        flow.check_method("brox")
    if not hasattr(flow.cv2, "optflow"):
        with pytest.raises(UsageError, match="opencv-contrib-python-headless"):
            flow.compute(np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.uint8), "tvl1")
