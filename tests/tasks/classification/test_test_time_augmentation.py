"""Test-time views on pictures whose pixels are their own coordinates."""

import numpy as np
import pytest

from retinue.tasks.classification.test_time_augmentation import NUM_COPIES, augmented_copies, mean_over_copies,
source_size


def coordinates(size):
    """`[1, size, size, 3]`: row, column and 0."""
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    return np.stack([row, column, 0 * row], axis=-1)[None].astype(np.float32)


def test_one_view_is_the_picture():
    assert augmented_copies(coordinates(4), "none", 4) is not None
    np.testing.assert_array_equal(augmented_copies(coordinates(4), "none", 4), coordinates(4))


def test_dihedral_views_are_the_eight_flips_and_turns():
    picture = coordinates(5)
    views = np.asarray(augmented_copies(picture, "dihedral", 5))
    expected = [np.rot90(base, turns) for base in (picture[0], picture[0][:, ::-1]) for turns in range(4)]
    assert len(views) == 8
    assert {view.tobytes() for view in views} == {np.ascontiguousarray(view).tobytes() for view in expected}
    np.testing.assert_array_equal(views[0], picture[0])


def test_ten_crops_are_corners_centre_and_their_mirrors():
    assert source_size(224, "ten_crop") == 256 and source_size(224, "none") == 224
    picture = coordinates(8)
    views = np.asarray(augmented_copies(picture, "ten_crop", 7))
    starts = [tuple(view[0, 0, :2].astype(int)) for view in views[:5]]
    assert starts == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0)]
    np.testing.assert_array_equal(views[5:], views[:5, :, ::-1])


@pytest.mark.parametrize("kind", NUM_COPIES)
def test_scores_are_averaged_over_the_views_of_each_picture(kind):
    count = NUM_COPIES[kind]
    scores = np.arange(count * 2 * 3, dtype=np.float32).reshape(count * 2, 3)
    expected = np.stack([scores[0::2].mean(axis=0), scores[1::2].mean(axis=0)])
    np.testing.assert_allclose(np.asarray(mean_over_copies(scores, kind)), expected)
