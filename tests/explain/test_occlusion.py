"""Occlusion of functions that add up the pixels."""

import keras
import numpy as np
import pytest
from keras import ops

from retinue.configs.errors import UsageError
from retinue.explain.occlusion import occlusion, spans
from retinue.tests.helpers.explain_models import random_images, tiny_convnet


def sum_of_pixels(images):
    """Return the "probabilities" of two classes: the sum of all pixels, and minus the sum."""
    sums = images.sum(axis=tuple(range(1, images.ndim)))
    return np.stack([sums, -sums], axis=-1)


def test_the_map_of_a_sum_is_the_change_that_the_window_makes():
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1)
    maps = occlusion(sum_of_pixels, image, 0, size=1, stride=1, fill=0)
    np.testing.assert_allclose(maps, image[..., 0])
    np.testing.assert_allclose(occlusion(sum_of_pixels, image, 1, size=1, stride=1, fill=2), 2 - image[..., 0])


def test_overlapping_windows_are_averaged_and_the_border_is_covered():
    image = np.array([1.0, 2, 4, 8], np.float32).reshape(1, 1, 4, 1)
    # Windows over the pixels 0 1, 1 2 and 2 3 hide 3, 6 and 12.
    np.testing.assert_allclose(occlusion(sum_of_pixels, image, 0, size=(1, 2), stride=1, fill=0)[0, 0], [3, 4.5, 9, 12])
    # Three windows of 4 at a stride of 3 cover 8 pixels and extend one pixel over either border.
    assert spans(6, 2, 4) == [(0, 2), (4, 6)] and spans(8, 4, 3) == [(0, 3), (2, 6), (5, 8)]
    for length, size, step in [(5, 2, 2), (7, 3, 2), (10, 4, 3), (9, 9, 2), (224, 44, 11)]:
        covered = np.zeros(length, int)
        for start, stop in spans(length, size, step):
            assert 0 <= start < stop <= length
            covered[start:stop] += 1
        assert covered.min() >= 1


def test_covered_pixels_get_the_mean_color_by_default():
    image = np.array([0.0, 0, 6, 6], np.float32).reshape(1, 1, 4, 1)
    np.testing.assert_allclose(occlusion(sum_of_pixels, image, 0, size=1, stride=1)[0, 0], [-3, -3, 3, 3])


def test_a_keras_model_gives_the_same_as_a_function_of_its_probabilities():
    model, images = tiny_convnet(), random_images(2)

    def predict(batch):
        return ops.convert_to_numpy(ops.softmax(model(batch)))

    of_model = occlusion(model, images, np.array([2, 1]), size=6, stride=4)
    of_function = occlusion(predict, images, np.array([2, 1]), size=6, stride=4, batch_size=1)
    np.testing.assert_allclose(of_model, of_function, atol=1e-6)
    assert np.abs(of_model).max() > 0


def test_wide_images_are_covered_to_the_end():
    image = np.zeros((1, 4, 20, 1), np.float32)
    image[0, 1, 18] = 5
    maps = occlusion(sum_of_pixels, image, 0, size=2, stride=1, fill=0)[0]
    assert maps.shape == (4, 20)
    assert maps[1, 18] == maps.max() == 5 and maps[:, :17].max() == 0


def test_clips_are_covered_in_every_frame():
    clip = np.ones((1, 3, 2, 2, 1), np.float32)
    maps = occlusion(sum_of_pixels, clip, 0, size=1, stride=1, fill=0)
    np.testing.assert_allclose(maps, np.full((1, 2, 2), 3.0))


def test_invalid_arguments_are_refused():
    with pytest.raises(UsageError, match="has 2 classes"):
        occlusion(sum_of_pixels, np.ones((1, 2, 2, 1)), 2)
    with pytest.raises(UsageError, match="has 3 classes"):
        occlusion(tiny_convnet(), random_images(1), 3)
    with pytest.raises(UsageError, match="does not fit"):
        occlusion(sum_of_pixels, np.ones((1, 2, 2, 1)), 0, size=3)


def test_a_function_as_target_explains_a_model_with_other_outputs():
    image = keras.Input((2, 2, 1), name="image")
    model = keras.Model(image, keras.layers.Rescaling(2.0)(image))
    maps = occlusion(model, np.ones((1, 2, 2, 1)), lambda maps: maps[:, 0, 0, 0], size=1, stride=1, fill=0)
    np.testing.assert_allclose(maps, [[[2, 0], [0, 0]]])
