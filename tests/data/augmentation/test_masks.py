"""A picture whose pixels say where they are, under a mask that says the same, must stay in step."""

import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.schema import AugmentConfig
from retinue.data.augmentation.masks import augment_image_and_mask, limit_size, resize_to_max_size

STILL = AugmentConfig(horizontal_flip=False, brightness=0.0, contrast=0.0, saturation=0.0)


def coordinates(height=40, width=60):
    """Red tells the row, green the column, in steps of 4; the mask tells the 10 x 10 field."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([4 * rows, 4 * columns, np.full_like(rows, 200)], axis=-1).astype(np.uint8)
    return image, (rows // 10 * 6 + columns // 10).astype(np.uint8)


def agreement(image, mask):
    """The share of pixels, void and blurred ones aside, whose mask is the field that their colours tell."""
    image, mask = np.asarray(image).astype(int), np.asarray(mask)
    inside = (mask != 255) & (image[:, :, 2] == 200)
    told = image[:, :, 0] // 40 * 6 + image[:, :, 1] // 40
    return (told == mask)[inside].mean(), inside.mean()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "changes",
    [
        STILL,
        STILL.model_copy(update={"horizontal_flip": True, "vertical_flip": True, "random_rot90": True}),
    ],
)
def test_image_and_mask_stay_together(seed, changes):
    image, mask = coordinates()
    made = augment_image_and_mask(tf.constant(image), tf.constant(mask), changes, 32, (seed, 7), scale_range=(0.7, 1.6))
    assert made[0].shape == (32, 32, 3) and made[1].shape == (32, 32)
    right, covered = agreement(*made)
    assert right > 0.85 and covered > 0.5  # at the fields' edges, nearest and bilinear differ by half a pixel


def test_plain_crop_is_exact():
    image, mask = coordinates()
    for seed in range(4):
        cut, ids = augment_image_and_mask(tf.constant(image), tf.constant(mask), STILL, 24, (seed, 1))
        assert agreement(cut, ids) == (1.0, 1.0)


def test_rotation_keeps_them_together_and_fills_with_void():
    image, mask = coordinates(64, 60)
    angles = []
    for seed in range(5):
        cut, ids = augment_image_and_mask(
            tf.constant(image), tf.constant(mask), STILL, 48, (seed, 3), rotation_degrees=30.0
        )
        cut, ids = np.asarray(cut).astype(int), np.asarray(ids)
        assert agreement(cut, ids)[0] > 0.85
        angles.append((ids == 255).mean())
    assert max(angles) > 0.05  # the corners
    assert len(set(angles)) > 1


def test_outside_is_void_and_grey():
    image, mask = coordinates(10, 20)
    cut, ids = augment_image_and_mask(tf.constant(image), tf.constant(mask), STILL, 32, (0, 0))
    assert (np.asarray(ids)[10:] == 255).all() and (np.asarray(ids)[:, 20:] == 255).all()
    assert (np.asarray(cut)[10:] == 127).all()
    np.testing.assert_array_equal(np.asarray(ids)[:10, :20], mask)


def test_ids_are_never_mixed():
    image = tf.zeros((50, 50, 3), tf.uint8)
    mask = tf.constant(np.where(np.add.outer(range(50), range(50)) % 7 < 3, 3, 200).astype(np.uint8))
    for seed in range(4):
        ids = augment_image_and_mask(image, mask, STILL, 40, (seed, 0), scale_range=(0.5, 2.0), rotation_degrees=20.0)[
            1
        ]
        assert set(np.unique(ids)) <= {3, 200, 255}


def test_the_same_seed_gives_the_same():
    image, mask = (tf.constant(part) for part in coordinates())
    changes = AugmentConfig()
    one, two, other = (
        augment_image_and_mask(image, mask, changes, 32, seed, scale_range=(0.5, 2.0), rotation_degrees=5.0)
        for seed in ((1, 2), (1, 2), (1, 3))
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True)) and not np.array_equal(one[0], other[0])


def test_bounded_size():
    assert limit_size(tf.constant([300, 400]), 200).numpy().tolist() == [150, 200]
    assert limit_size(tf.constant([30, 40]), 200).numpy().tolist() == [30, 40]
    assert limit_size(tf.constant([1, 4000]), 200).numpy().tolist() == [1, 200]
    image = tf.constant(coordinates()[0])
    np.testing.assert_array_equal(resize_to_max_size(image, 100), image)
    assert resize_to_max_size(image, 30).shape == (20, 30, 3)
