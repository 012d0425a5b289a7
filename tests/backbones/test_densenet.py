import numpy as np
import pytest

from retinue import backbones
from retinue.backbones.densenet import torch_name


def test_the_number_of_parameters_equals_the_published_one():
    model = backbones.build("densenet121", weights="none", classifier=True)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == 7_978_856  # torchvision's num_params
    assert model.count_params() == backbones.find("densenet121").parameters


@pytest.mark.parametrize("depth", [121, 169, 201])
def test_the_number_of_parameters_equals_that_of_keras(depth):
    ours, theirs = backbones.find(f"densenet{depth}"), backbones.find(f"keras/DenseNet{depth}")
    assert ours.parameters == theirs.parameters


def test_channels_grow_by_layer_and_transitions_halve_them():
    model = backbones.build("densenet121", weights="none", input_size=224)
    sizes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert sizes["stem_conv"] == (112, 112, 64)
    assert sizes["stem_pool"] == (56, 56, 64)
    assert sizes["block1_layer1_concat"] == (56, 56, 64 + 32)
    assert sizes["block1_layer6_concat"] == (56, 56, 64 + 6 * 32)
    assert sizes["transition1_conv"] == (56, 56, 128) and sizes["transition1_pool"] == (28, 28, 128)
    assert sizes["block2_layer12_concat"] == (28, 28, 128 + 12 * 32)
    assert sizes["transition2_pool"] == (14, 14, 256)
    assert sizes["transition3_pool"] == (7, 7, 512)
    assert sizes["final_relu"] == (7, 7, 1024)
    # BN, ReLU and convolution, in this order; the 1x1 has four times the growth rate
    order = [name for name in sizes if name.startswith("block1_layer1_")]
    assert [name.removeprefix("block1_layer1_") for name in order] == [
        *("1_bn", "1_relu", "1_conv", "2_bn", "2_relu", "2_conv", "concat"),
    ]
    assert sizes["block1_layer1_1_conv"][-1] == 128


def test_older_names_in_published_files_are_known_too():
    assert torch_name("block3_layer24_2_bn") == (
        "features.denseblock3.denselayer24.norm2",
        "features.denseblock3.denselayer24.norm.2",
    )
    assert torch_name("transition2_bn") == "features.transition2.norm"
    assert torch_name("stem_conv") == "features.conv0" and torch_name("final_bn") == "features.norm5"
