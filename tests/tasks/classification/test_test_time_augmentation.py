"""Test-time augmentation of images whose pixels are their own coordinates."""

import numpy as np
import pytest

from retinue.tasks.classification.test_time_augmentation import (
    NUM_COPIES,
    augmented_copies,
    mean_over_copies,
    source_size,
)


def coordinates(size):
    """Return float32 [1, size, size, 3] with the values row, column and 0."""
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    return np.stack([row, column, 0 * row], axis=-1)[None].astype(np.float32)


def test_without_augmentation_the_only_copy_is_the_image():
    np.testing.assert_array_equal(augmented_copies(coordinates(4), "none", 4), coordinates(4))


def test_dihedral_copies_are_the_eight_flips_and_rotations():
    image = coordinates(5)
    copies = np.asarray(augmented_copies(image, "dihedral", 5))
    expected = [np.rot90(base, quarter_turns) for base in (image[0], image[0][:, ::-1]) for quarter_turns in range(4)]
    assert len(copies) == 8
    assert {copy.tobytes() for copy in copies} == {np.ascontiguousarray(copy).tobytes() for copy in expected}
    np.testing.assert_array_equal(copies[0], image[0])


def test_ten_crops_are_the_corners_the_center_and_their_flips():
    assert source_size(224, "ten_crop") == 256 and source_size(224, "none") == 224
    image = coordinates(8)
    copies = np.asarray(augmented_copies(image, "ten_crop", 7))
    starts = [tuple(copy[0, 0, :2].astype(int)) for copy in copies[:5]]
    assert starts == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0)]
    np.testing.assert_array_equal(copies[5:], copies[:5, :, ::-1])


@pytest.mark.parametrize("tta", NUM_COPIES)
def test_scores_are_averaged_over_the_copies_of_each_image(tta):
    count = NUM_COPIES[tta]
    scores = np.arange(count * 2 * 3, dtype=np.float32).reshape(count * 2, 3)
    expected = np.stack([scores[0::2].mean(axis=0), scores[1::2].mean(axis=0)])
    np.testing.assert_allclose(np.asarray(mean_over_copies(scores, tta)), expected)
