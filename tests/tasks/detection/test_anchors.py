"""Anchors: shapes, places, and which belong to a padded image."""

import numpy as np
import tensorflow as tf

from retinue.tasks.detection import anchors


def test_cells_keep_their_area_and_are_whole_pixels():
    cells = anchors.cell_anchors([16, 128], [0.5, 1.0, 2.0])
    # height / width of 0.5: 16 * sqrt(2) = 22.6 wide, 11.3 high, halves rounded to 11 and 6; by ratio, then by size
    np.testing.assert_array_equal(cells[0], [-11, -6, 11, 6])
    np.testing.assert_array_equal(cells[2], [-8, -8, 8, 8])
    np.testing.assert_array_equal(cells[4], [-6, -11, 6, 11])
    areas = (cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1])
    np.testing.assert_allclose(areas[1::2], 128**2, rtol=0.01)


def test_the_nine_anchors_of_the_paper():
    cells = anchors.cell_anchors([128, 256, 512], [0.5, 1.0, 2.0])
    assert cells.shape == (9, 4)
    np.testing.assert_allclose(cells[0], [-91, -45, 91, 45])
    np.testing.assert_allclose(cells[8], [-181, -362, 181, 362])


def grid(extent, rows=2, columns=3, own=((2, 3),)):
    cells = np.array([[-1, -1, 1, 1], [-2, -1, 2, 1]], np.float32)
    own = np.array(own, np.int32)
    return anchors.grid_anchors(
        cells, rows, columns, tf.constant(own[:, 0]), tf.constant(own[:, 1]), tf.constant(extent)
    )


def test_places_are_a_stride_apart_row_by_row():
    boxes, own = grid([[16, 24]])
    assert boxes.shape == (1, 12, 4) and own.numpy().all()
    np.testing.assert_array_equal(boxes[0, 0], [-1, -1, 1, 1])
    np.testing.assert_array_equal(boxes[0, 3], [8 - 2, -1, 8 + 2, 1])  # second place, second anchor
    np.testing.assert_array_equal(boxes[0, 6], [-1, 8 - 1, 1, 8 + 1])  # second row


def test_a_smaller_image_of_the_batch_has_its_own_part():
    boxes, own = grid([[16, 24], [8, 16]], own=((2, 3), (1, 2)))
    np.testing.assert_array_equal(boxes[0], boxes[1])
    np.testing.assert_array_equal(own[1], [True] * 4 + [False] * 8)


def test_the_pooled_level_of_an_odd_map_has_torchvisions_stride():
    """800 pixels are 25 places of 32, pooled to 13: 800 // 13 is 61, not 64."""
    boxes, _ = grid([[800, 800]], rows=13, columns=13, own=((13, 13),))
    centres = (boxes[0, ::2, 0] + boxes[0, ::2, 2]) / 2
    np.testing.assert_array_equal(centres[:13], 61 * np.arange(13))


def test_inside_is_by_each_images_size():
    boxes = tf.constant([[[0.0, 0, 10, 10], [-1, 0, 5, 5], [0, 0, 10, 11]]] * 2)
    kept = anchors.inside(boxes, tf.constant([[10, 10], [11, 10]]))
    np.testing.assert_array_equal(kept, [[True, False, False], [True, False, True]])
