import keras
import numpy as np
import pytest

from retinue.backbones import vgg
from retinue.backbones.weights import _from_torch_layout


@pytest.fixture(autouse=True)
def clear_session():
    """Keras keeps a list of the variables that `StatelessScope` did not initialize, and would initialize them later."""
    yield
    keras.utils.clear_session(free_memory=False)


def build(depth, batch_norm=False, classifier=False, side=224, output_stride=32):
    image = keras.Input((side, side, 3))
    return keras.Model(image, vgg.build(image, output_stride, classifier, depth, batch_norm))


@pytest.mark.parametrize(
    "depth, batch_norm, parameters",
    [
        # torchvision's documentation; with batch normalization, Keras also counts two moving statistics per channel
        (11, False, 132_863_336),
        (13, False, 133_047_848),
        (16, False, 138_357_544),
        (19, False, 143_667_240),
        (11, True, 132_868_840 + 2 * 2752),
        (13, True, 133_053_736 + 2 * 2944),
        (16, True, 138_365_992 + 2 * 4224),
        (19, True, 143_678_248 + 2 * 5504),
    ],
)
def test_the_number_of_parameters_equals_that_of_torchvision(depth, batch_norm, parameters):
    with keras.StatelessScope(initialize_variables=False):
        assert build(depth, batch_norm, classifier=True).count_params() == parameters


def test_every_stage_halves_the_map_and_has_the_convolutions_of_the_paper():
    with keras.StatelessScope(initialize_variables=False):
        model = build(16)
    shapes = [tuple(model.get_layer(f"pool{stage}").output.shape[1:]) for stage in range(1, 6)]
    assert shapes == [(112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512)]
    convolutions = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 13
    assert convolutions[:3] == ["conv1_1", "conv1_2", "conv2_1"]


@pytest.mark.parametrize(
    "layer, depth, batch_norm, name",
    [
        ("conv1_1", 11, False, "features.0"),
        ("conv3_1", 11, False, "features.6"),
        ("conv5_3", 16, False, "features.28"),
        ("conv5_3", 16, True, "features.40"),
        ("conv5_3_bn", 16, True, "features.41"),
        ("conv5_4", 19, False, "features.34"),
        ("fc7", 16, True, "classifier.3"),
        ("head_logits", 16, False, "head_logits"),
    ],
)
def test_torch_names_equal_those_of_torchvision(layer, depth, batch_norm, name):
    assert vgg.torch_name(layer, depth=depth, batch_norm=batch_norm) == name


def test_fully_connected_layers_equal_those_of_torch_on_a_flattened_map():
    random = np.random.default_rng(0)
    image = keras.Input((2, 2, 3))
    model = keras.Model(image, vgg.convert_fc_layers(image, 2, 4, 0.5, 5))
    x = random.standard_normal((1, 2, 2, 3)).astype("float32")
    signal = x.transpose(0, 3, 1, 2).reshape(1, -1)
    for name, shape in (("fc6", (4, 12)), ("fc7", (4, 4)), ("logits", (5, 4))):
        weight, bias = random.standard_normal(shape), random.standard_normal(shape[0])
        layer = model.get_layer(name)
        layer.set_weights([_from_torch_layout(weight, layer), bias])
        signal = signal @ weight.T + bias
        signal = signal if name == "logits" else np.maximum(signal, 0)
    np.testing.assert_allclose(model(x), signal, rtol=1e-4, atol=1e-5)


def test_the_dilated_model_equals_the_strided_one_at_every_fourth_position():
    strided, dilated = build(11, side=64), build(11, side=64, output_stride=8)
    dilated.set_weights(strided.get_weights())
    image = np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype("float32")
    dense = dilated(image)
    assert dense.shape[1:3] == (8, 8)
    np.testing.assert_allclose(dense[:, ::4, ::4], strided(image), rtol=1e-4, atol=1e-5)
