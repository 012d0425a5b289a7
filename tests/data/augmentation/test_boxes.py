"""Augmentation of images with boxes, tested on images whose pixels are their coordinates."""

import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.schema import AugmentConfig
from retinue.data.augmentation.boxes import augment_image_and_boxes, detection_size, resize_image_and_boxes

OFF = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "crop_scale": (1.0, 1.0), "horizontal_flip": False}
BOXES = np.array([[20, 30, 60, 90], [100, 10, 180, 50], [150, 100, 200, 150], [0, 0, 12, 12]], np.float32)
LABELS = np.array([3, 1, 2, -2], np.int32)


def coordinates(height=160, width=240):
    """Return an image whose red is the column and whose green is the row."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y, np.full_like(x, 7)], axis=-1).astype(np.uint8)


def augmenter(min_size=120, max_size=200, **changes):
    config = AugmentConfig(**(OFF | changes))

    @tf.function
    def run(image, boxes, labels, seed):
        return augment_image_and_boxes(image, boxes, labels, config, min_size, max_size, seed)

    return lambda image, boxes, labels, seed: [
        part.numpy() for part in run(tf.constant(image), tf.constant(boxes), tf.constant(labels), tf.constant(seed))
    ]


def test_detection_size_by_hand():
    sizes = [[160, 240], [240, 160], [100, 1000], [7, 5]]
    assert [detection_size(tf.constant(size), 320, 480).numpy().tolist() for size in sizes] == [
        *([320, 480], [480, 320], [48, 480], [448, 320]),
    ]
    assert detection_size(tf.constant([100, 100]), 320, 480, 0.5).numpy().tolist() == [160, 160]
    assert detection_size(tf.constant([1, 1000]), 100, 100).numpy().tolist() == [1, 100]


def test_without_augmentation_the_image_is_resized_as_in_evaluation():
    image, boxes, labels = augmenter()(coordinates(), BOXES, LABELS, (0, 1))
    plain, plain_boxes = resize_image_and_boxes(tf.constant(coordinates()), tf.constant(BOXES), 120, 200)
    assert image.shape == (120, 180, 3) and image.dtype == np.uint8
    np.testing.assert_array_equal(image, plain)
    np.testing.assert_allclose(boxes, BOXES * 0.75)
    np.testing.assert_allclose(plain_boxes, BOXES * 0.75)
    assert labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    "changes",
    [
        {"horizontal_flip": True, "vertical_flip": True},
        {"random_rot90": True},
        {"crop_scale": (0.15, 0.7)},
        {"crop_scale": (0.3, 1.0), "random_rot90": True, "horizontal_flip": True, "vertical_flip": True},
    ],
    ids=["flips", "rotations", "crop", "all"],
)
def test_boxes_stay_on_their_pixels(changes):
    run, original = augmenter(**changes), coordinates()
    shapes = set()
    for seed in range(40):
        image, boxes, labels = run(original, BOXES, LABELS, (7, seed))
        shapes.add(image.shape)
        assert min(image.shape[:2]) <= 120 and max(image.shape[:2]) <= 200
        assert len(boxes) == len(labels) and (labels >= 0).any()
        for box, label in zip(boxes, labels, strict=True):
            x1, y1, x2, y2 = BOXES[LABELS == label][0]
            left, top, right, bottom = box
            assert 0 <= left < right <= image.shape[1] and 0 <= top < bottom <= image.shape[0]
            inside = image[round(top) : round(bottom), round(left) : round(right)].astype(int)
            tolerance = 2.5  # pixels of the original, because a pixel of the result covers up to two
            assert x1 - tolerance <= inside[..., 0].min() and inside[..., 0].max() <= x2 + tolerance
            assert y1 - tolerance <= inside[..., 1].min() and inside[..., 1].max() <= y2 + tolerance
            # No visible part of the object lies outside of the box.
            visible = (image[..., 0] >= x1 + tolerance) & (image[..., 0] <= x2 - tolerance)
            visible &= (image[..., 1] >= y1 + tolerance) & (image[..., 1] <= y2 - tolerance)
            rows, columns = np.nonzero(visible)
            if len(rows):
                assert left - 1 <= columns.min() and columns.max() <= right + 1
                assert top - 1 <= rows.min() and rows.max() <= bottom + 1
    assert len(shapes) > 1 or "horizontal_flip" in changes


def test_objects_outside_the_crop_are_removed_and_one_is_always_kept():
    run, counts = augmenter(crop_scale=(0.1, 0.3)), []
    for seed in range(30):
        image, boxes, labels = run(coordinates(), BOXES, LABELS, (1, seed))
        counts.append(len(labels))
        assert (labels >= 0).any()
        for box, label in zip(boxes, labels, strict=True):
            # The pixels are coordinates in the original, so that the corners of the image show what the crop is.
            zoom_x = image.shape[1] / (int(image[0, -1, 0]) - int(image[0, 0, 0]) + 1)
            zoom_y = image.shape[0] / (int(image[-1, 0, 1]) - int(image[0, 0, 1]) + 1)
            x1, y1, x2, y2 = BOXES[LABELS == label][0]
            fraction = (box[2] - box[0]) * (box[3] - box[1]) / ((x2 - x1) * (y2 - y1) * zoom_x * zoom_y)
            assert fraction > 0.25
    assert min(counts) < 4


def test_ignored_boxes_are_kept_while_any_part_is_visible():
    run = augmenter(crop_scale=(0.1, 0.3))
    boxes, labels = np.array([[0, 0, 240, 160], [100, 60, 120, 80]], np.float32), np.array([-2, 1], np.int32)
    for seed in range(10):
        image, augmented, kept = run(coordinates(), boxes, labels, (2, seed))
        assert kept.tolist() == [-2, 1]
        np.testing.assert_allclose(augmented[0], [0, 0, image.shape[1], image.shape[0]])


def test_an_object_larger_than_any_crop_keeps_the_whole_image():
    whole_image = np.array([[0, 0, 240, 160]], np.float32)
    image, boxes, labels = augmenter(crop_scale=(0.05, 0.1))(coordinates(), whole_image, LABELS[:1], (0, 3))
    np.testing.assert_allclose(boxes[0], [0, 0, image.shape[1], image.shape[0]])
    assert image[0, -1, 0] - image[0, 0, 0] > 230


def test_the_seed_alone_decides():
    run = augmenter(crop_scale=(0.5, 1.0), brightness=0.2)
    first, again, other = (run(coordinates(), BOXES, LABELS, seed) for seed in ((0, 1), (0, 1), (0, 2)))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first[0].shape != other[0].shape
    sides = {min(run(coordinates(), BOXES, LABELS, (5, seed))[0].shape[:2]) for seed in range(20)}
    assert 90 <= min(sides) < 105 < 115 < max(sides) <= 120


def test_an_image_without_objects_can_be_augmented():
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    for changes in ({}, {"crop_scale": (0.2, 0.5), "random_rot90": True}):
        image, boxes, labels = augmenter(**changes)(coordinates(), *none, (0, 0))
        assert boxes.shape == (0, 4) and labels.shape == (0,) and image.ndim == 3
    crowd = augmenter(crop_scale=(0.1, 0.2))(coordinates(), BOXES[3:], LABELS[3:], (0, 5))
    assert len(crowd[1]) <= 1  # no crop is made around a box that is not trained on
