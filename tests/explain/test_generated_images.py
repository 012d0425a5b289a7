"""Feature visualization and DeepDream on models whose optimal image is known."""

import keras
import numpy as np
import pytest
from keras import layers

from retinue.configs.errors import UsageError
from retinue.explain.deep_dream import _tile_starts, deep_dream
from retinue.explain.feature_visualization import REGULARIZERS, feature_visualization
from retinue.tests.helpers.explain_models import tiny_convnet


def left_or_right(size=16):
    """Make a model whose class 0 scores a bright left half and a dark right one, and class 1 the opposite."""
    image = keras.Input((size, size, 3), name="image")
    halves = layers.AveragePooling2D((size, size // 2))(layers.Rescaling(1 / 32, offset=-4)(image))
    model = keras.Model(image, layers.Dense(2, use_bias=False)(layers.Flatten()(halves)))
    side = np.ones((3, 2), np.float32) * [1, -1]
    model.set_weights([np.concatenate([side, -side]).astype(np.float32)])
    return model


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_the_image_maximizes_the_class_and_repeats_with_the_same_seed(regularizer):
    image, probability = feature_visualization(left_or_right(), 0, regularizer=regularizer, steps=60)
    assert image.shape == (16, 16, 3) and image.dtype == np.float32
    assert image.min() >= 0 and image.max() <= 255
    assert probability > 0.95
    assert image[:, :6].mean() > image[:, 10:].mean() + 20
    again, _ = feature_visualization(left_or_right(), 0, regularizer=regularizer, steps=60)
    np.testing.assert_allclose(image, again, atol=1e-3)


def test_an_image_of_one_channel_and_a_given_size_for_a_function_as_target():
    model = tiny_convnet(size=None, channels=1)
    image, value = feature_visualization(model, lambda outputs: outputs[:, 0], (12, 20), "blur", steps=5)
    assert image.shape == (12, 20, 1)
    assert value == pytest.approx(float(model(image[None])[0, 0]), rel=1e-5)


def test_invalid_arguments_are_refused():
    with pytest.raises(UsageError, match="unknown; use one of l2, blur, jitter, fourier"):
        feature_visualization(left_or_right(), 0, regularizer="sharp")
    with pytest.raises(UsageError, match="has 2 classes"):
        feature_visualization(left_or_right(), 2)
    with pytest.raises(UsageError, match="takes 16 px, but the image has 12 x 30"):
        deep_dream(left_or_right(), np.zeros((1, 12, 30, 3)))
    with pytest.raises(UsageError, match="the layer has 8 channels"):
        deep_dream(tiny_convnet(), np.zeros((1, 16, 16, 3)), target=8, layer="conv1")


def test_deep_dream_increases_the_activation_of_the_layer_and_repeats():
    model = tiny_convnet(size=None)
    image = np.random.default_rng(0).uniform(80, 170, (1, 150, 210, 3)).astype(np.float32)
    dream = deep_dream(model, image, layer="conv2", octaves=2, steps=3, tile=128)
    assert dream.shape == image.shape and dream.min() >= 0 and dream.max() <= 255
    part = keras.Model(model.input, model.get_layer("conv2").output)
    before, after = (np.square(np.asarray(part(images))).mean() for images in (image, dream))
    assert after > 1.2 * before
    np.testing.assert_array_equal(deep_dream(model, image, layer="conv2", octaves=2, steps=3, tile=128), dream)


def test_deep_dream_of_a_model_of_fixed_size_runs_in_tiles():
    model = tiny_convnet(size=16)
    dream = deep_dream(model, np.full((1, 20, 37, 3), 128.0), layer="conv2", octaves=2, steps=2)
    assert dream.shape == (1, 20, 37, 3) and np.abs(dream - 128).max() > 1


def test_tiles_cover_the_whole_length():
    for length, tile in [(10, 16), (16, 16), (17, 16), (40, 16), (48, 16)]:
        covered = np.zeros(length)
        for first in _tile_starts(length, tile):
            assert first >= 0 and first + min(tile, length) <= length
            covered[first : first + tile] = 1
        assert covered.all()
