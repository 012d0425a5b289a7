import numpy as np

from retinue.tasks.segmentation.boundaries import boundary_scores, inner_boundary


def square(left, size=40):
    mask = np.zeros((size, size), np.uint8)
    mask[10:30, left : left + 20] = 1
    return mask


def test_the_boundary_is_the_outermost_pixels_inside():
    edge = inner_boundary(square(10) == 1)
    assert edge.sum() == 4 * 19 and edge[10, 10:30].all() and not edge[11:29, 11:29].any()
    assert not inner_boundary(np.ones((5, 5), bool)).any()  # the border of the image is not a boundary


def test_equal_masks_and_a_shift_within_the_tolerance_score_1():
    assert boundary_scores(square(10), square(10), 2).tolist() == [1.0, 1.0]
    # The tolerance is at least one pixel.
    assert boundary_scores(square(10), square(11), 2)[1] == 1.0


def test_a_shift_by_three_pixels_by_hand():
    scores = boundary_scores(square(10), square(13), 2)
    # Of the 76 pixels of each square's boundary, the upper and lower edge overlap in 17 columns, and one more column
    # at the end is near: 18 of 20 each. The right pixels of the left edge near these edges: rows 10, 11 and 28, 29 of
    # the column 13 (their distance to the edge's row is at most 1).
    near = 2 * 18 + 2  # the two rows, and in the first column the pixel below and the one above the corners
    assert abs(scores[1] - near / 76) < 1e-9


def test_void_pixels_are_ignored_in_both_masks():
    truth, predicted = square(10), square(10)
    predicted[10:30, 5:10] = 1
    truth[10:30, 5:10] = 255
    assert boundary_scores(truth, predicted, 2)[1] == 1.0


def test_absent_classes_are_undefined_and_missed_ones_score_0():
    scores = boundary_scores(square(10), np.zeros((40, 40), np.uint8), 3)
    assert scores[1] == 0.0 and np.isnan(scores[2])
    full = np.ones((8, 8), np.uint8)
    assert boundary_scores(full, full, 2)[1] == 1.0
