"""Class images and dreams on nets whose best picture is known."""

import keras
import numpy as np
import pytest
from keras import layers

from retinue.configs.errors import UsageError
from retinue.explain import deep_dream as dreams
from retinue.explain.deep_dream import deep_dream
from retinue.explain.feature_visualization import REGULARIZERS, feature_visualization
from retinue.tests.helpers.explain_models import tiny_convnet


def left_or_right(size=16):
    """Class 0 wants a bright left half and a dark right one, class 1 the opposite."""
    image = keras.Input((size, size, 3), name="image")
    halves = layers.AveragePooling2D((size, size // 2))(layers.Rescaling(1 / 32, offset=-4)(image))
    model = keras.Model(image, layers.Dense(2, use_bias=False)(layers.Flatten()(halves)))
    side = np.ones((3, 2), np.float32) * [1, -1]
    model.set_weights([np.concatenate([side, -side]).astype(np.float32)])
    return model


@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_the_class_gets_the_picture_that_it_wants(regularizer):
    picture, probability = feature_visualization(left_or_right(), 0, regularizer=regularizer, steps=60)
    assert picture.shape == (16, 16, 3) and picture.dtype == np.float32
    assert picture.min() >= 0 and picture.max() <= 255
    assert probability > 0.95
    assert picture[:, :6].mean() > picture[:, 10:].mean() + 20
    again, _ = feature_visualization(left_or_right(), 0, regularizer=regularizer, steps=60)
    np.testing.assert_allclose(picture, again, atol=1e-3)


def test_the_picture_of_a_channel_of_a_size_and_of_one_colour():
    model = tiny_convnet(size=None, channels=1)
    picture, value = feature_visualization(model, lambda outputs: outputs[:, 0], (12, 20), "blur", steps=5)
    assert picture.shape == (12, 20, 1)
    assert value == pytest.approx(float(model(picture[None])[0, 0]), rel=1e-5)


def test_errors():
    with pytest.raises(UsageError, match="unknown; use one of l2, blur, jitter, fourier"):
        feature_visualization(left_or_right(), 0, regularizer="sharp")
    with pytest.raises(UsageError, match="has 2 classes"):
        feature_visualization(left_or_right(), 2)
    with pytest.raises(UsageError, match="takes 16 px, the picture is 12 x 30"):
        deep_dream(left_or_right(), np.zeros((1, 12, 30, 3)))
    with pytest.raises(UsageError, match="the layer has 8 channels"):
        deep_dream(tiny_convnet(), np.zeros((1, 16, 16, 3)), target=8, layer="conv1")


def test_a_dream_makes_the_layer_stronger_at_every_size():
    model = tiny_convnet(size=None)
    photo = np.random.default_rng(0).uniform(80, 170, (1, 150, 210, 3)).astype(np.float32)
    found = deep_dream(model, photo, layer="conv2", octaves=2, steps=3, tile=128)
    assert found.shape == photo.shape and found.min() >= 0 and found.max() <= 255
    part = keras.Model(model.input, model.get_layer("conv2").output)
    before, after = (np.square(np.asarray(part(images))).mean() for images in (photo, found))
    assert after > 1.2 * before
    np.testing.assert_array_equal(deep_dream(model, photo, layer="conv2", octaves=2, steps=3, tile=128), found)


def test_a_dream_of_a_model_of_one_size_goes_by_tiles():
    model = tiny_convnet(size=16)
    found = deep_dream(model, np.full((1, 20, 37, 3), 128.0), layer="conv2", octaves=2, steps=2)
    assert found.shape == (1, 20, 37, 3) and np.abs(found - 128).max() > 1


def test_tiles_cover_everything():
    for length, tile in [(10, 16), (16, 16), (17, 16), (40, 16), (48, 16)]:
        covered = np.zeros(length)
        for first in dreams._starts(length, tile):
            assert first >= 0 and first + min(tile, length) <= length
            covered[first : first + tile] = 1
        assert covered.all()
