"""Anchors: shapes, positions, and which belong to a padded image."""

import numpy as np
import tensorflow as tf

from retinue.tasks.detection import anchors


def test_cell_anchors_keep_their_area_and_are_whole_pixels():
    cells = anchors.cell_anchors([16, 128], [0.5, 1.0, 2.0])
    # height / width of 0.5: 16 * sqrt(2) = 22.6 wide, 11.3 high, halves rounded to 11 and 6; by ratio, then by size
    np.testing.assert_array_equal(cells[0], [-11, -6, 11, 6])
    np.testing.assert_array_equal(cells[2], [-8, -8, 8, 8])
    np.testing.assert_array_equal(cells[4], [-6, -11, 6, 11])
    areas = (cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1])
    np.testing.assert_allclose(areas[1::2], 128**2, rtol=0.01)


def test_the_nine_anchors_are_those_of_the_paper():
    cells = anchors.cell_anchors([128, 256, 512], [0.5, 1.0, 2.0])
    assert cells.shape == (9, 4)
    np.testing.assert_allclose(cells[0], [-91, -45, 91, 45])
    np.testing.assert_allclose(cells[8], [-181, -362, 181, 362])


def grid(valid_size, rows=2, columns=3, valid_cells=((2, 3),)):
    cells = np.array([[-1, -1, 1, 1], [-2, -1, 2, 1]], np.float32)
    valid = np.array(valid_cells, np.int32)
    return anchors.grid_anchors(
        cells, rows, columns, tf.constant(valid[:, 0]), tf.constant(valid[:, 1]), tf.constant(valid_size)
    )


def test_grid_anchors_are_a_stride_apart_row_by_row():
    boxes, valid = grid([[16, 24]])
    assert boxes.shape == (1, 12, 4) and valid.numpy().all()
    np.testing.assert_array_equal(boxes[0, 0], [-1, -1, 1, 1])
    np.testing.assert_array_equal(boxes[0, 3], [8 - 2, -1, 8 + 2, 1])  # second cell, second anchor
    np.testing.assert_array_equal(boxes[0, 6], [-1, 8 - 1, 1, 8 + 1])  # second row


def test_a_smaller_image_of_the_batch_has_fewer_valid_anchors():
    boxes, valid = grid([[16, 24], [8, 16]], valid_cells=((2, 3), (1, 2)))
    np.testing.assert_array_equal(boxes[0], boxes[1])
    np.testing.assert_array_equal(valid[1], [True] * 4 + [False] * 8)


def test_the_pooled_level_of_an_odd_map_has_the_stride_of_torchvision():
    """800 pixels are 25 cells of 32 pixels, pooled to 13 cells: 800 // 13 is 61, not 64."""
    boxes, _ = grid([[800, 800]], rows=13, columns=13, valid_cells=((13, 13),))
    centers = (boxes[0, ::2, 0] + boxes[0, ::2, 2]) / 2
    np.testing.assert_array_equal(centers[:13], 61 * np.arange(13))


def test_inside_image_uses_the_size_of_each_image():
    boxes = tf.constant([[[0.0, 0, 10, 10], [-1, 0, 5, 5], [0, 0, 10, 11]]] * 2)
    kept = anchors.inside_image(boxes, tf.constant([[10, 10], [11, 10]]))
    np.testing.assert_array_equal(kept, [[True, False, False], [True, False, True]])
