import keras
import pytest

from retinue import backbones
from retinue.backbones.xception import separable


@pytest.mark.parametrize("channels", [32, 728])
def test_a_separable_convolution_has_the_parameters_of_the_lecture(channels):
    image = keras.Input((8, 8, channels))
    model = keras.Model(image, separable(image, channels, 1, 1e-3, "s", pointwise_first=True))
    kernels = [layer for layer in model.layers if "Conv2D" in type(layer).__name__]
    assert [layer.name for layer in kernels] == ["s_pointwise", "s_depthwise"]
    assert sum(layer.count_params() for layer in kernels) == 1 * 1 * channels * channels + 3 * 3 * channels
    assert model.output_shape == (None, 8, 8, channels)


def test_separable_convolutions_have_the_depthwise_one_first_by_default():
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, separable(image, 6, 1, 1e-3, "s"))
    kernels = [layer for layer in model.layers if "Conv2D" in type(layer).__name__]
    assert [layer.name for layer in kernels] == ["s_depthwise", "s_pointwise"]
    assert sum(layer.count_params() for layer in kernels) == 3 * 3 * 4 + 4 * 6


def test_sizes_equal_those_of_the_paper():
    model = backbones.build("xception", weights="none", input_size=299, classifier=True)
    sizes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert sizes["stem2_conv"] == (147, 147, 64)
    assert sizes["block3_add"] == (19, 19, 728) and sizes["block11_add"] == (19, 19, 728)
    assert sizes["block12_add"] == (10, 10, 1024) and sizes["exit2_relu"] == (10, 10, 2048)
    assert model.count_params() == backbones.find("keras/Xception").parameters
