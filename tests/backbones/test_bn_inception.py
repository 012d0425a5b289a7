import pytest

from retinue import backbones
from retinue.backbones.bn_inception import torch_name

# the lecture's table: 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, channels of the pool branch, output channels
TABLE = {
    "3a": (64, 64, 64, 64, 96, 32, 256),
    "3b": (64, 64, 96, 64, 96, 64, 320),
    "3c": (0, 128, 160, 64, 96, 320, 576),
    "4a": (224, 64, 96, 96, 128, 128, 576),
    "4b": (192, 96, 128, 96, 128, 128, 576),
    "4c": (160, 128, 160, 128, 160, 128, 576),
    "4d": (96, 128, 192, 160, 192, 128, 576),
    "4e": (0, 128, 192, 192, 256, 576, 1024),
    "5a": (352, 192, 320, 160, 224, 128, 1024),
    "5b": (352, 192, 320, 192, 224, 128, 1024),
}
SIDES = {"3a": 28, "3b": 28, "3c": 14, "4a": 14, "4b": 14, "4c": 14, "4d": 14, "4e": 7, "5a": 7, "5b": 7}


@pytest.fixture(scope="module")
def model():
    return backbones.build("bn_inception", weights="none", input_size=224, classifier=True)


def size(model, name):
    return tuple(model.get_layer(name).output.shape[1:])


def test_the_stem_equals_that_of_the_lecture(model):
    assert size(model, "conv1_7x7_s2_conv") == (112, 112, 64)
    assert size(model, "pool1") == (56, 56, 64)
    assert size(model, "conv2_3x3_reduce_conv") == (56, 56, 64)
    assert size(model, "conv2_3x3_conv") == (56, 56, 192)
    assert size(model, "pool2") == (28, 28, 192)
    assert size(model, "pool") == (1024,)


@pytest.mark.parametrize("module", TABLE)
def test_every_module_equals_that_of_the_lecture(model, module):
    direct, reduced, full, reduced_double, full_double, pooled, output = TABLE[module]
    name, side = f"inception_{module}", SIDES[module]
    names = {layer.name for layer in model.layers}
    assert size(model, f"{name}_output") == (side, side, output)
    assert size(model, f"{name}_3x3_reduce_conv")[-1] == reduced
    assert size(model, f"{name}_3x3_conv") == (side, side, full)
    assert size(model, f"{name}_double_3x3_reduce_conv")[-1] == reduced_double
    assert size(model, f"{name}_double_3x3_1_conv")[-1] == full_double
    assert size(model, f"{name}_double_3x3_2_conv") == (side, side, full_double)
    if module in ("3c", "4e"):
        # strided, without a 1x1 branch and without a projection after pooling
        assert f"{name}_1x1_conv" not in names and f"{name}_pool_proj_conv" not in names
        assert size(model, f"{name}_pool") == (side, side, pooled)
    else:
        assert size(model, f"{name}_1x1_conv") == (side, side, direct)
        # 128 contradicts the table's own output size in 4c and 4d (the module's docstring)
        assert size(model, f"{name}_pool_proj_conv") == (side, side, 96 if module in ("4c", "4d") else pooled)
    kind = "MaxPooling2D" if module in ("3c", "4e", "5b") else "AveragePooling2D"
    assert type(model.get_layer(f"{name}_pool")).__name__ == kind


def test_the_variant_of_caffe():
    model = backbones.build("bn_inception_caffe", weights="none", input_size=224, classifier=True)
    assert size(model, "inception_4c_output")[-1] == size(model, "inception_4d_output")[-1] == 608
    assert size(model, "inception_4e_output")[-1] == 1056
    assert sum(weight.shape.num_elements() for weight in model.trainable_weights) == 11_295_240
    assert torch_name("inception_3a_1x1_conv") == "inception_3a_1x1"
    assert torch_name("inception_3a_1x1_bn") == "inception_3a_1x1_bn"


@pytest.mark.parametrize("side", [75, 90])
def test_branches_have_equal_sizes_at_any_input_size(side):
    maps = backbones.build("bn_inception", weights="none", input_size=side).output
    assert {stride: tensor.shape[1] for stride, tensor in maps.items()}[32] == -(-side // 32)
