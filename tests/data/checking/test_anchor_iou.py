"""The best overlap that anchors can reach, by hand and against all anchors of a picture."""

import numpy as np
import pytest

from retinue.data.checking.anchor_iou import AnchorGrid, best_anchor_overlap, overlap_summary

SQUARE = AnchorGrid(sizes=((32,),), strides=(16,), ratios=(1.0,))
SIZE = [[200, 300]]


def test_by_hand():
    on_a_place = [[16, 16, 48, 48]]  # around 32, 32
    assert best_anchor_overlap(on_a_place, SIZE, SQUARE) == pytest.approx([1])
    half_as_wide = [[24, 16, 40, 48]]
    assert best_anchor_overlap(half_as_wide, SIZE, SQUARE) == pytest.approx([0.5])
    moved = [[20, 16, 52, 48]]  # 4 to the right: 28 of 36
    assert best_anchor_overlap(moved, SIZE, SQUARE) == pytest.approx([28 / 36])
    two_shapes = AnchorGrid(sizes=((32,),), strides=(16,), ratios=(1.0, 4.0))
    tall = [[24, 0, 40, 64]]  # height to width 4, area 32 squared
    assert best_anchor_overlap(tall, SIZE, two_shapes) == pytest.approx([1])


def test_in_the_resized_picture():
    twice = AnchorGrid(sizes=((32,),), strides=(16,), ratios=(1.0,), shorter=400)
    assert best_anchor_overlap([[8, 8, 24, 24]], SIZE, twice) == pytest.approx([1])
    limited = AnchorGrid(sizes=((32,),), strides=(16,), ratios=(1.0,), shorter=400, longest=300)
    assert best_anchor_overlap([[16, 16, 48, 48]], SIZE, limited) == pytest.approx([1])


def test_as_all_anchors_of_a_picture_say():
    random = np.random.default_rng(0)
    first = random.uniform(0, 150, (60, 2))
    boxes = np.concatenate([first, first + np.exp(random.uniform(1, 5, (60, 2)))], axis=1)
    grid = AnchorGrid(sizes=((16, 24), (64,)), strides=(8, 32), ratios=(0.5, 1.0, 2.0))
    anchors = []
    for stride, sizes in zip(grid.strides, grid.sizes, strict=True):
        for size in sizes:
            for ratio in grid.ratios:
                half = np.array([size / np.sqrt(ratio), size * np.sqrt(ratio)]) / 2
                places = np.stack(np.meshgrid(*[np.arange(0, 400, stride)] * 2), -1).reshape(-1, 2)
                anchors.append(np.concatenate([places - half, places + half], axis=1))
    anchors = np.concatenate(anchors)
    sides = np.minimum(boxes[:, None, 2:], anchors[None, :, 2:]) - np.maximum(boxes[:, None, :2], anchors[None, :, :2])
    common = np.maximum(sides, 0).prod(axis=-1)
    areas = [(side[:, 2:] - side[:, :2]).prod(axis=1) for side in (boxes, anchors)]
    expected = (common / (areas[0][:, None] + areas[1][None] - common)).max(axis=1)
    np.testing.assert_allclose(best_anchor_overlap(boxes, [[400, 400]] * 60, grid), expected, rtol=1e-5)


def test_the_summary():
    summary = overlap_summary(np.array([0.05, 0.29, 0.31, 0.69, 0.71, 1.0]))
    assert summary["histogram"] == [1, 0, 1, 1, 0, 0, 1, 1, 0, 1]
    assert summary["below_negative"] == 2 and summary["below_positive"] == 4
    assert overlap_summary(np.zeros(0))["below_negative"] == 0
