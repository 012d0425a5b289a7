import keras
import numpy as np
import pytest

from retinue import backbones
from retinue.backbones import googlenet


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_sizes_equal_the_table_of_the_paper():
    model = backbones.build("googlenet_paper", weights="none", input_size=224, classifier=True)
    sizes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    expected = {
        "conv1_conv": (112, 112, 64),
        "pool1": (56, 56, 64),
        "conv3_conv": (56, 56, 192),
        "pool2": (28, 28, 192),
        "inception3a_concat": (28, 28, 256),
        "inception3b_concat": (28, 28, 480),
        "pool3": (14, 14, 480),
        "inception4a_concat": (14, 14, 512),
        "inception4b_concat": (14, 14, 512),
        "inception4c_concat": (14, 14, 512),
        "inception4d_concat": (14, 14, 528),
        "inception4e_concat": (14, 14, 832),
        "pool4": (7, 7, 832),
        "inception5a_concat": (7, 7, 832),
        "inception5b_concat": (7, 7, 1024),
    }
    assert {name: sizes[name] for name in expected} == expected
    # table 1: conv 7x7 and 3x3 with their reductions, weights and biases
    assert model.get_layer("conv1_conv").count_params() == 7 * 7 * 3 * 64 + 64
    assert trainable_parameters(model) == 6_998_552  # BVLC's googlenet without its auxiliary classifiers


def test_the_number_of_parameters_equals_that_of_torchvision():
    model = backbones.build("googlenet", weights="none", classifier=True)
    assert trainable_parameters(model) == 6_624_904  # torchvision's num_params
    assert model.count_params() == backbones.find("googlenet").parameters


@pytest.mark.parametrize("size", [224, 97])
def test_auxiliary_classifiers_share_the_layers_of_the_model(size):
    model = backbones.build("googlenet", weights="none", input_size=size, classifier=True)
    training = googlenet.with_auxiliary_classifiers(model)
    assert {name: tuple(each.shape) for name, each in training.output.items()} == {
        "aux1": (None, 1000),
        "aux2": (None, 1000),
        "logits": (None, 1000),
    }
    assert training.get_layer("conv1_conv") is model.get_layer("conv1_conv")
    # two heads: 1x1 of 512 or 528 to 128 with BN, 2048 to 1024, 1024 to 1000
    heads = (512 + 528) * 128 + 2 * (2 * 128 + 2048 * 1024 + 1024 + 1024 * 1000 + 1000)
    assert trainable_parameters(training) - trainable_parameters(model) == heads
    assert googlenet.torch_name("aux1_conv_bn") == "aux1.conv.bn" and googlenet.torch_name("aux2_fc1") == "aux2.fc1"


def test_auxiliary_classifiers_flatten_channels_first_as_torch_does():
    model = backbones.build("googlenet", weights="none", input_size=64, classifier=True)
    training = googlenet.with_auxiliary_classifiers(model)
    end = training.get_layer("aux1_flatten").output
    x = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    maps, flat = keras.Model(training.input, [training.get_layer("aux1_conv_relu").output, end])(x, training=False)
    np.testing.assert_array_equal(np.asarray(maps).transpose(0, 3, 1, 2).ravel(), np.asarray(flat).ravel())
