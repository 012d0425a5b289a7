"""The best IoU that anchors can reach, by hand and against all anchors of an image."""

import numpy as np
import pytest

from retinue.data.checking.anchor_iou import AnchorLayout, best_anchor_iou, iou_summary

SQUARE = AnchorLayout(sizes=((32,),), strides=(16,), aspect_ratios=(1.0,))
SIZE = [[200, 300]]


def test_best_iou_by_hand():
    at_anchor = [[16, 16, 48, 48]]  # around 32, 32
    assert best_anchor_iou(at_anchor, SIZE, SQUARE) == pytest.approx([1])
    half_as_wide = [[24, 16, 40, 48]]
    assert best_anchor_iou(half_as_wide, SIZE, SQUARE) == pytest.approx([0.5])
    moved = [[20, 16, 52, 48]]  # 4 to the right: 28 of 36
    assert best_anchor_iou(moved, SIZE, SQUARE) == pytest.approx([28 / 36])
    two_shapes = AnchorLayout(sizes=((32,),), strides=(16,), aspect_ratios=(1.0, 4.0))
    tall = [[24, 0, 40, 64]]  # height to width 4, area 32 squared
    assert best_anchor_iou(tall, SIZE, two_shapes) == pytest.approx([1])


def test_boxes_are_resized_as_the_image_is():
    twice = AnchorLayout(sizes=((32,),), strides=(16,), aspect_ratios=(1.0,), min_size=400)
    assert best_anchor_iou([[8, 8, 24, 24]], SIZE, twice) == pytest.approx([1])
    limited = AnchorLayout(sizes=((32,),), strides=(16,), aspect_ratios=(1.0,), min_size=400, max_size=300)
    assert best_anchor_iou([[16, 16, 48, 48]], SIZE, limited) == pytest.approx([1])


def test_best_iou_equals_that_of_all_anchors_of_an_image():
    random = np.random.default_rng(0)
    first = random.uniform(0, 150, (60, 2))
    boxes = np.concatenate([first, first + np.exp(random.uniform(1, 5, (60, 2)))], axis=1)
    layout = AnchorLayout(sizes=((16, 24), (64,)), strides=(8, 32), aspect_ratios=(0.5, 1.0, 2.0))
    anchors = []
    for stride, sizes in zip(layout.strides, layout.sizes, strict=True):
        for size in sizes:
            for ratio in layout.aspect_ratios:
                half = np.array([size / np.sqrt(ratio), size * np.sqrt(ratio)]) / 2
                positions = np.stack(np.meshgrid(*[np.arange(0, 400, stride)] * 2), -1).reshape(-1, 2)
                anchors.append(np.concatenate([positions - half, positions + half], axis=1))
    anchors = np.concatenate(anchors)
    sides = np.minimum(boxes[:, None, 2:], anchors[None, :, 2:]) - np.maximum(boxes[:, None, :2], anchors[None, :, :2])
    intersection = np.maximum(sides, 0).prod(axis=-1)
    areas = [(side[:, 2:] - side[:, :2]).prod(axis=1) for side in (boxes, anchors)]
    expected = (intersection / (areas[0][:, None] + areas[1][None] - intersection)).max(axis=1)
    np.testing.assert_allclose(best_anchor_iou(boxes, [[400, 400]] * 60, layout), expected, rtol=1e-5)


def test_the_summary_counts_objects():
    summary = iou_summary(np.array([0.05, 0.29, 0.31, 0.69, 0.71, 1.0]))
    assert summary["histogram"] == [1, 0, 1, 1, 0, 0, 1, 1, 0, 1]
    assert summary["below_negative"] == 2 and summary["below_positive"] == 4
    assert iou_summary(np.zeros(0))["below_negative"] == 0
