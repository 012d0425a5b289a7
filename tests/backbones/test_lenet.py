import keras
import numpy as np
import pytest

from retinue.backbones import lenet
from retinue.backbones.strides import endpoints


def build(height, width, channels=1, classifier=False):
    image = keras.Input((height, width, channels))
    return keras.Model(image, lenet.build(image, 32, classifier))


def test_sizes_equal_those_of_the_paper():
    model = build(32, 32, classifier=True)
    maps = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert maps["conv1"] == (28, 28, 6)
    assert maps["pool1"] == (14, 14, 6)
    assert maps["conv2"] == (10, 10, 16)
    assert maps["pool2"] == (5, 5, 16)
    assert maps["conv3"] == (1, 1, 120)
    assert maps["fc"] == (1, 1, 84)
    assert maps["logits"] == (10,)
    # 5x5 kernels + bias: 6 of 1, 16 of 6, 120 of 16; then 120 to 84 to 10
    assert model.count_params() == 6 * 26 + 16 * 151 + 120 * 401 + 84 * 121 + 10 * 85


def test_images_of_28_pixels_are_padded_with_zeros():
    small, full = build(28, 28, classifier=True), build(32, 32, classifier=True)
    full.set_weights(small.get_weights())
    image = np.random.default_rng(0).uniform(0, 1, (1, 28, 28, 1)).astype("float32")
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_allclose(small(image), full(padded), rtol=1e-6)


@pytest.mark.parametrize("side", [28, 29, 31])
def test_a_model_of_any_size_pads_images_that_are_too_small(side):
    any_size, full = build(None, None, classifier=True), build(32, 32, classifier=True)
    full.set_weights(any_size.get_weights())
    image = np.random.default_rng(0).uniform(0, 1, (1, side, side, 1)).astype("float32")
    before, after = (32 - side) // 2, 32 - side - (32 - side) // 2
    padded = np.pad(image, ((0, 0), (before, after), (before, after), (0, 0)))
    np.testing.assert_allclose(any_size(image), full(padded), rtol=1e-6)
    assert any_size(keras.Input((side, side, 1))).shape == (None, 10)


def test_the_first_layers_are_convolution_sigmoid_and_average():
    model = build(32, 32)
    first = keras.Model(model.input, model.get_layer("pool1").output)
    image = np.random.default_rng(1).uniform(0, 1, (1, 32, 32, 1)).astype("float32")
    kernel, bias = (weight.numpy() for weight in model.get_layer("conv1").weights)
    windows = np.lib.stride_tricks.sliding_window_view(image[0, :, :, 0], (5, 5))[:2, :2]
    four = 1 / (1 + np.exp(-(np.einsum("yxab,abo->yxo", windows, kernel[:, :, 0]) + bias)))
    np.testing.assert_allclose(first(image)[0, 0, 0], four.mean(axis=(0, 1)), rtol=1e-5)


@pytest.mark.parametrize("side, positions", [(32, 1), (35, 1), (36, 2), (75, 11)])
def test_the_map_grows_with_the_image(side, positions):
    model = build(None, None, channels=2)
    assert tuple(model(np.zeros((1, side, side, 2), "float32")).shape) == (1, positions, positions, 84)
    assert list(endpoints(model)) == [2, 4]
