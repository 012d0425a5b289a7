"""RoIAlign on ramps, at edges and over levels, and its gradient."""

import numpy as np
import tensorflow as tf

from retinue.tasks.detection.roi_align import assign_levels, roi_align


def ramp(height, width, images=1):
    """A map `[n, h, w, 2]` whose values are the column and the row."""
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.repeat(np.stack([x, y], -1)[None].astype(np.float32), images, 0)


def align(maps, boxes, size, strides=(1,), output_size=7, size_divisor=1):
    maps = [tf.constant(values) for values in maps]
    boxes = tf.constant(boxes, tf.float32)
    return roi_align(maps, boxes, tf.constant(size), strides, output_size, size_divisor)[0].numpy()


def test_a_ramp_gives_the_centers_of_the_bins():
    pooled = align([ramp(20, 30)], [[[2.0, 3.0, 16.0, 10.0]]], [[20, 30]])
    assert pooled.shape == (1, 1, 7, 7, 2)
    np.testing.assert_allclose(pooled[0, 0, 0, :, 0], 2 + 2 * (np.arange(7) + 0.5), rtol=1e-5)
    np.testing.assert_allclose(pooled[0, 0, :, 3, 1], 3 + (np.arange(7) + 0.5), rtol=1e-5)


def test_boxes_between_cells_on_a_map_with_a_stride():
    pooled = align([ramp(8, 8)], [[[5.2, 9.6, 29.2, 25.6]]], [[32, 32]], strides=(4,), output_size=2)
    np.testing.assert_allclose(pooled[0, 0, 0, :, 0], [1.3 + 1.5, 1.3 + 4.5], rtol=1e-5)
    np.testing.assert_allclose(pooled[0, 0, :, 0, 1], [2.4 + 1.0, 2.4 + 3.0], rtol=1e-5)


def test_points_beyond_the_last_cell_have_its_value():
    pooled = align([ramp(4, 4)], [[[3.0, 0.0, 4.0, 4.0]]], [[4, 4]], output_size=1)
    # the points at x = 3.25 and 3.75 have the value 3; y is 1 and 3
    np.testing.assert_allclose(pooled[0, 0, 0, 0], [3, 2], rtol=1e-6)


def test_a_small_box_is_one_cell_wide_and_points_off_the_map_are_0():
    pooled = align([ramp(8, 8)], [[[2.0, 2.0, 2.2, 2.2]]], [[8, 8]], output_size=1)
    np.testing.assert_allclose(pooled[0, 0, 0, 0], [2.5, 2.5], rtol=1e-6)
    pooled = align([ramp(8, 8) * 0 + 1], [[[7.5, 0.0, 7.9, 8.0]]], [[8, 8]], output_size=1)
    np.testing.assert_allclose(pooled[0, 0, 0, 0], [0.5, 0.5])  # x = 7.75 is on the map, 8.25 is not


def test_on_map_is_the_fraction_of_points_on_the_map():
    boxes = [[[0.0, 0.0, 8.0, 8.0], [7.5, 0.0, 7.9, 8.0], [7.5, 7.5, 8.0, 8.0]]]
    _, on_map = roi_align([tf.ones([1, 8, 8, 1])], tf.constant(boxes), tf.constant([[8, 8]]), (1,), 1)
    np.testing.assert_allclose(on_map, [[1, 0.5, 0.25]])


def test_an_image_ends_at_the_valid_part_of_a_padded_map():
    maps = ramp(8, 8, images=2)
    maps[0, :, 4:] = maps[0, 4:] = 999.0
    boxes = [[[1.0, 1.0, 4.0, 4.0]], [[1.0, 1.0, 4.0, 4.0]]]
    pooled = align([maps], boxes, [[3, 4], [8, 8]], size_divisor=4, output_size=3)
    assert pooled[0].max() < 4
    np.testing.assert_allclose(pooled[0, 0, 0, 0], pooled[1, 0, 0, 0])


def test_levels_follow_equation_1_of_the_fpn_paper():
    sides = np.array([10.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 2000.0, 0.0])
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], 1).astype(np.float32)
    np.testing.assert_array_equal(assign_levels(boxes, (4, 8, 16, 32)), [0, 0, 1, 1, 2, 2, 3, 3, 0])
    wide = tf.constant([[0.0, 0, 896, 56]])  # the area of 224 x 224
    assert assign_levels(wide, (4, 8, 16, 32)).numpy() == [2]


def test_each_box_is_sampled_from_its_level():
    maps = [np.full((1, 512 // stride, 512 // stride, 1), stride, np.float32) for stride in (4, 8, 16, 32)]
    boxes = [[[0, 0, side, side] for side in (50, 120, 250, 500)]]
    pooled = align(maps, boxes, [[512, 512]], strides=(4, 8, 16, 32), output_size=2)
    np.testing.assert_allclose(pooled[0, :, 0, 0, 0], [4, 8, 16, 32])


def test_gradients_flow_to_the_sampled_cells_and_are_deterministic():
    random = np.random.default_rng(0)
    maps = tf.constant(random.standard_normal((2, 12, 12, 3)), tf.float32)
    low = random.uniform(0, 6, (2, 9, 2))
    boxes = tf.constant(np.concatenate([low, low + random.uniform(1, 6, (2, 9, 2))], -1), tf.float32)
    weights = tf.constant(random.standard_normal((2, 9, 3, 3, 3)), tf.float32)

    @tf.function
    def gradient(maps, boxes):
        with tf.GradientTape() as tape:
            tape.watch((maps, boxes))
            pooled, _ = roi_align([maps], tf.stop_gradient(boxes), tf.constant([[12, 12]] * 2), (1,), 3)
            total = tf.reduce_sum(weights * pooled)
        return tape.gradient(total, (maps, boxes))

    first, gradient_of_boxes = gradient(maps, boxes)
    assert gradient_of_boxes is None
    np.testing.assert_array_equal(first, gradient(maps, boxes)[0])
    # the function is linear in the map: a step in one cell changes the sum by its gradient
    for index in ((0, 4, 5, 1), (1, 7, 2, 0)):
        step = np.zeros((2, 12, 12, 3), np.float32)
        step[index] = 1.0
        change, _ = roi_align([tf.constant(step)], boxes, tf.constant([[12, 12]] * 2), (1,), 3)
        np.testing.assert_allclose(tf.reduce_sum(weights * change), first[index], atol=1e-4)
