"""Augmentation of images with masks, tested on images and masks whose values are their coordinates."""

import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.schema import AugmentConfig
from retinue.data.augmentation.masks import augment_image_and_mask, limit_size, resize_to_max_size

OFF = AugmentConfig(horizontal_flip=False, brightness=0.0, contrast=0.0, saturation=0.0)


def coordinates(height=40, width=60):
    """Return an image whose red is 4 * row and green 4 * column, and a mask with an id for each field of 10 x 10."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([4 * rows, 4 * columns, np.full_like(rows, 200)], axis=-1).astype(np.uint8)
    return image, (rows // 10 * 6 + columns // 10).astype(np.uint8)


def agreement(image, mask):
    """Return the fraction of pixels, without void and blurred ones, whose id is that of the field in their color."""
    image, mask = np.asarray(image).astype(int), np.asarray(mask)
    inside = (mask != 255) & (image[:, :, 2] == 200)
    field = image[:, :, 0] // 40 * 6 + image[:, :, 1] // 40
    return (field == mask)[inside].mean(), inside.mean()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "changes",
    [
        OFF,
        OFF.model_copy(update={"horizontal_flip": True, "vertical_flip": True, "random_rot90": True}),
    ],
)
def test_image_and_mask_stay_aligned(seed, changes):
    image, mask = coordinates()
    augmented = augment_image_and_mask(
        tf.constant(image), tf.constant(mask), changes, 32, (seed, 7), scale_range=(0.7, 1.6)
    )
    assert augmented[0].shape == (32, 32, 3) and augmented[1].shape == (32, 32)
    right, covered = agreement(*augmented)
    assert right > 0.85 and covered > 0.5  # at the fields' edges, nearest and bilinear differ by half a pixel


def test_a_crop_without_scaling_is_exact():
    image, mask = coordinates()
    for seed in range(4):
        cropped, ids = augment_image_and_mask(tf.constant(image), tf.constant(mask), OFF, 24, (seed, 1))
        assert agreement(cropped, ids) == (1.0, 1.0)


def test_rotation_keeps_them_aligned_and_fills_with_void():
    image, mask = coordinates(64, 60)
    void_fractions = []
    for seed in range(5):
        cropped, ids = augment_image_and_mask(
            tf.constant(image), tf.constant(mask), OFF, 48, (seed, 3), rotation_degrees=30.0
        )
        cropped, ids = np.asarray(cropped).astype(int), np.asarray(ids)
        assert agreement(cropped, ids)[0] > 0.85
        void_fractions.append((ids == 255).mean())
    assert max(void_fractions) > 0.05  # the corners
    assert len(set(void_fractions)) > 1


def test_padding_is_void_in_the_mask_and_gray_in_the_image():
    image, mask = coordinates(10, 20)
    cropped, ids = augment_image_and_mask(tf.constant(image), tf.constant(mask), OFF, 32, (0, 0))
    assert (np.asarray(ids)[10:] == 255).all() and (np.asarray(ids)[:, 20:] == 255).all()
    assert (np.asarray(cropped)[10:] == 127).all()
    np.testing.assert_array_equal(np.asarray(ids)[:10, :20], mask)


def test_ids_are_never_interpolated():
    image = tf.zeros((50, 50, 3), tf.uint8)
    mask = tf.constant(np.where(np.add.outer(range(50), range(50)) % 7 < 3, 3, 200).astype(np.uint8))
    for seed in range(4):
        ids = augment_image_and_mask(image, mask, OFF, 40, (seed, 0), scale_range=(0.5, 2.0), rotation_degrees=20.0)[1]
        assert set(np.unique(ids)) <= {3, 200, 255}


def test_the_seed_alone_decides():
    image, mask = (tf.constant(part) for part in coordinates())
    changes = AugmentConfig()
    one, two, other = (
        augment_image_and_mask(image, mask, changes, 32, seed, scale_range=(0.5, 2.0), rotation_degrees=5.0)
        for seed in ((1, 2), (1, 2), (1, 3))
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True)) and not np.array_equal(one[0], other[0])


def test_limit_size_by_hand():
    assert limit_size(tf.constant([300, 400]), 200).numpy().tolist() == [150, 200]
    assert limit_size(tf.constant([30, 40]), 200).numpy().tolist() == [30, 40]
    assert limit_size(tf.constant([1, 4000]), 200).numpy().tolist() == [1, 200]
    image = tf.constant(coordinates()[0])
    np.testing.assert_array_equal(resize_to_max_size(image, 100), image)
    assert resize_to_max_size(image, 30).shape == (20, 30, 3)
