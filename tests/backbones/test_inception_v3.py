import numpy as np
import pytest

from retinue import backbones
from retinue.backbones.inception_v3 import torch_name, with_auxiliary_classifier
from retinue.configs.errors import UsageError


def test_sizes_equal_those_of_the_paper_and_parameters_those_of_torchvision():
    model = backbones.build("inception_v3", weights="none", input_size=299, classifier=True)
    sizes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert sizes["conv1a_conv"] == (149, 149, 32) and sizes["conv2b_conv"] == (147, 147, 64)
    assert sizes["pool1"] == (73, 73, 64) and sizes["conv4a_conv"] == (71, 71, 192)
    assert sizes["mixed5b"] == (35, 35, 256) and sizes["mixed5d"] == (35, 35, 288)
    assert sizes["mixed6a"] == (17, 17, 768) and sizes["mixed6e"] == (17, 17, 768)
    assert sizes["mixed7a"] == (8, 8, 1280) and sizes["mixed7c"] == (8, 8, 2048)
    # torchvision's 27,161,264 has the auxiliary classifier: 1x1 to 128, 5x5 to 768, both with BN, and a linear layer
    auxiliary = 768 * 128 + 2 * 128 + 25 * 128 * 768 + 2 * 768 + 768 * 1000 + 1000
    assert trainable_parameters(model) == 27_161_264 - auxiliary
    training = with_auxiliary_classifier(model)
    assert trainable_parameters(training) == 27_161_264
    assert {name: tuple(each.shape) for name, each in training.output.items()} == {
        "aux": (None, 1000),
        "logits": (None, 1000),
    }
    assert training.get_layer("conv1a_conv") is model.get_layer("conv1a_conv")


def trainable_parameters(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


@pytest.mark.parametrize("size", [None, 256])
def test_the_auxiliary_classifier_refuses_images_that_are_too_small(size):
    with pytest.raises(UsageError, match="input_size of 299 or more"):
        with_auxiliary_classifier(backbones.build("inception_v3", weights="none", input_size=size, classifier=True))


def test_torch_names_equal_those_of_torchvision():
    assert torch_name("conv3b_bn") == "Conv2d_3b_1x1.bn"
    assert torch_name("mixed7b_branch3x3dbl_3a_conv") == "Mixed_7b.branch3x3dbl_3a.conv"
    assert torch_name("aux_conv0_bn") == "AuxLogits.conv0.bn" and torch_name("aux_fc") == "AuxLogits.fc"
    assert torch_name("mixed5b_branch_pool_conv") == "Mixed_5b.branch_pool.conv"
