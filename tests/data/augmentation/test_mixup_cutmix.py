"""Mixup and CutMix by hand on tiny batches, and their random draws."""

import numpy as np
import pytest
import tensorflow as tf

from retinue.data.augmentation.mixup_cutmix import blend, draw_boxes, draw_partners, draw_weights, mix, paste
from retinue.data.seeds import example_seed

TARGETS = tf.one_hot([0, 1, 2, 3], 4)


def constants(*values, size=(8, 10)):
    """Return a batch of images with one level each."""
    return tf.constant(np.broadcast_to(np.uint8(values)[:, None, None, None], (len(values), *size, 3)).copy())


def test_blend_by_hand():
    images, targets = blend(
        constants(0, 100, 201, 7), TARGETS, tf.constant([1, 2, 3, 0]), tf.constant([1, 0.5, 0.25, 0])
    )
    assert images.numpy()[:, 0, 0, 0].tolist() == [0, 150, 56, 0]  # 150.5 and 55.5 are rounded to the even level
    expected = [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.25, 0.75], [1, 0, 0, 0]]
    np.testing.assert_allclose(targets, expected)
    assert images.dtype == tf.uint8


def test_paste_by_hand():
    boxes = tf.constant([[0, 0, 5, 8], [0, 0, 0, 0], [2, 1, 4, 5], [0, 0, 10, 8]])
    images, targets = paste(constants(10, 20, 30, 40), TARGETS, tf.constant([1, 2, 3, 0]), boxes)
    expected = constants(10, 20, 30, 40).numpy()
    expected[0, :, :5] = 20
    expected[2, 1:5, 2:4] = 40
    expected[3] = 10
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_allclose(targets, [[0.5, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 0.9, 0.1], [1, 0, 0, 0]], atol=1e-6)


def test_multi_hot_targets_are_blended():
    targets = tf.constant([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    _, blended = blend(constants(1, 2), targets, tf.constant([1, 0]), tf.constant([0.75, 0.75]))
    np.testing.assert_allclose(blended, [[0.75, 1, 0.25], [0.25, 1, 0.75]])


def test_every_image_has_another_partner():
    distances = set()
    for number in range(60):
        partners = draw_partners(5, example_seed(0, 0, number)).numpy()
        assert sorted(partners) == [0, 1, 2, 3, 4] and np.all(partners != np.arange(5))
        distances.add(partners[0])
    assert distances == {1, 2, 3, 4}
    assert draw_partners(2, tf.constant([1, 1])).numpy().tolist() == [1, 0]
    assert draw_partners(1, tf.constant([1, 1])).numpy().tolist() == [0]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_weights_have_the_moments_of_the_beta_distribution(alpha):
    weights = draw_weights(4000, alpha, tf.constant([1, 2])).numpy()
    assert weights.min() >= 0 and weights.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(weights.mean() - 0.5) < 4 * np.sqrt(variance / 4000)
    np.testing.assert_allclose(weights.var(), variance, rtol=0.1)


def test_weights_of_a_tiny_alpha_are_near_0_or_1():
    weights = draw_weights(500, 1e-4, tf.constant([1, 2])).numpy()
    assert np.all((weights < 1e-3) | (weights > 1 - 1e-3)) and 200 < np.sum(weights > 0.5) < 300


def test_boxes_have_the_area_of_the_weight_unless_they_are_clipped():
    weights = tf.fill([300], 0.75)
    boxes = draw_boxes(tf.constant([100, 200]), weights, tf.constant([3, 4])).numpy()
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0 and boxes[:, 2].max() <= 200 and boxes[:, 3].max() <= 100
    inside = (boxes[:, 0] > 0) & (boxes[:, 1] > 0) & (boxes[:, 2] < 200) & (boxes[:, 3] < 100)
    assert inside.sum() > 50
    np.testing.assert_allclose(width[inside], 100, atol=1)
    np.testing.assert_allclose(height[inside], 50, atol=1)
    assert draw_boxes(tf.constant([8, 8]), tf.constant([1.0]), tf.constant([3, 4]))[0, 2:].shape == (2,)


def seeds(epoch, count=4):
    return example_seed(0, epoch, tf.range(count, dtype=tf.int64))


def test_without_mixup_and_cutmix_nothing_changes():
    images, targets = mix(constants(1, 2, 3, 4), TARGETS, seeds(0))
    np.testing.assert_array_equal(images, constants(1, 2, 3, 4))
    np.testing.assert_array_equal(targets, TARGETS)


@pytest.mark.parametrize("options", [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}], ids=str)
def test_targets_agree_with_the_pixels(options):
    # With levels 0, 60, 120 and 180, the mean of an image is the mean of its targets for both methods.
    levels = np.array([0, 60, 120, 180])
    mixer = tf.function(lambda images, targets, seeds: mix(images, targets, seeds, **options))
    kinds = set()
    for epoch in range(12):
        images, targets = mixer(constants(*levels, size=(20, 30)), TARGETS, seeds(epoch))
        assert images.shape == (4, 20, 30, 3) and images.dtype == tf.uint8
        np.testing.assert_allclose(tf.reduce_sum(targets, axis=1), np.ones(4), atol=1e-6)
        means = tf.reduce_mean(tf.cast(images, tf.float32), (1, 2, 3))
        np.testing.assert_allclose(means, targets.numpy() @ levels, atol=0.51)
        has_one_level = [len(np.unique(image)) == 1 for image in images.numpy()]
        kinds.add("mixup" if all(has_one_level) else "cutmix")
    assert kinds == set(options)


def test_the_seeds_alone_decide():
    images, same, other = (mix(constants(1, 99, 200, 50), TARGETS, seeds(epoch), mixup=1.0)[0] for epoch in (3, 3, 4))
    np.testing.assert_array_equal(images, same)
    assert np.any(images.numpy() != other.numpy())
