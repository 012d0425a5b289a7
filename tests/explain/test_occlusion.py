"""Occlusion on nets that add up the pixels."""

import keras
import numpy as np
import pytest
from keras import ops

from retinue.configs.errors import UsageError
from retinue.explain.occlusion import occlusion, spans
from retinue.tests.helpers.explain_models import pictures, tiny_convnet


def total(images):
    """A "probability" that is the sum of all pixels, and its opposite."""
    sums = images.sum(axis=tuple(range(1, images.ndim)))
    return np.stack([sums, -sums], axis=-1)


def test_of_a_sum_it_is_what_the_square_hides():
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    found = occlusion(total, image, 0, size=1, stride=1, fill=0)
    np.testing.assert_allclose(found, image[..., 0])
    np.testing.assert_allclose(occlusion(total, image, 1, size=1, stride=1, fill=2), 2 - image[..., 0])


def test_overlapping_squares_are_averaged_and_the_border_is_covered():
    image = np.array([1.0, 2, 4, 8], np.float32).reshape(1, 1, 4, 1)
    # squares over pixels 01, 12, 23 hide 3, 6, 12
    np.testing.assert_allclose(occlusion(total, image, 0, size=(1, 2), stride=1, fill=0)[0, 0], [3, 4.5, 9, 12])
    # squares of 4 at steps of 3 over 8 pixels: three of them, which reach one pixel beyond either border
    assert spans(6, 2, 4) == [(0, 2), (4, 6)] and spans(8, 4, 3) == [(0, 3), (2, 6), (5, 8)]
    for length, size, step in [(5, 2, 2), (7, 3, 2), (10, 4, 3), (9, 9, 2), (224, 44, 11)]:
        covered = np.zeros(length, int)
        for first, end in spans(length, size, step):
            assert 0 <= first < end <= length
            covered[first:end] += 1
        assert covered.min() >= 1


def test_the_mean_colour_covers_by_default():
    image = np.array([0.0, 0, 6, 6], np.float32).reshape(1, 1, 4, 1)
    np.testing.assert_allclose(occlusion(total, image, 0, size=1, stride=1)[0, 0], [-3, -3, 3, 3])


def test_a_keras_model_gives_the_same_as_a_function_of_its_probabilities():
    model, images = tiny_convnet(), pictures(2)

    def predict(batch):
        return ops.convert_to_numpy(ops.softmax(model(batch)))

    by_model = occlusion(model, images, np.array([2, 1]), size=6, stride=4)
    one_at_a_time = occlusion(predict, images, np.array([2, 1]), size=6, stride=4, batch=1)
    np.testing.assert_allclose(by_model, one_at_a_time, atol=1e-6)
    assert np.abs(by_model).max() > 0


def test_wide_pictures_are_covered_to_the_end():
    image = np.zeros((1, 4, 20, 1), np.float32)
    image[0, 1, 18] = 5
    found = occlusion(total, image, 0, size=2, stride=1, fill=0)[0]
    assert found.shape == (4, 20)
    assert found[1, 18] == found.max() == 5 and found[:, :17].max() == 0


def test_clips_are_covered_in_every_frame():
    clip = np.ones((1, 3, 2, 2, 1), np.float32)
    found = occlusion(total, clip, 0, size=1, stride=1, fill=0)
    np.testing.assert_allclose(found, np.full((1, 2, 2), 3.0))


def test_errors():
    with pytest.raises(UsageError, match="has 2 classes"):
        occlusion(total, np.ones((1, 2, 2, 1)), 2)
    with pytest.raises(UsageError, match="has 3 classes"):
        occlusion(tiny_convnet(), pictures(1), 3)
    with pytest.raises(UsageError, match="does not fit"):
        occlusion(total, np.ones((1, 2, 2, 1)), 0, size=3)


def test_a_model_with_other_outputs_by_a_function():
    image = keras.Input((2, 2, 1), name="image")
    model = keras.Model(image, keras.layers.Rescaling(2.0)(image))
    found = occlusion(model, np.ones((1, 2, 2, 1)), lambda maps: maps[:, 0, 0, 0], size=1, stride=1, fill=0)
    np.testing.assert_allclose(found, [[[2, 0], [0, 0]]])
