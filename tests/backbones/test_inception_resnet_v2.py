from retinue import backbones
from retinue.backbones.inception_resnet_v2 import torch_name


def test_sizes_equal_those_of_the_paper():
    model = backbones.build("inception_resnet_v2", weights="none", input_size=299)
    sizes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert sizes["mixed5b"] == (35, 35, 320) and sizes["block35_9_relu"] == (35, 35, 320)
    assert sizes["mixed6a"] == (17, 17, 1088) and sizes["block17_19_relu"] == (17, 17, 1088)
    assert sizes["mixed7a"] == (8, 8, 2080) and sizes["block8_9_add"] == (8, 8, 2080)
    assert sizes["conv7b_relu"] == (8, 8, 1536)
    # the last residual is neither scaled nor followed by a ReLU
    assert "block8_9_scale" not in sizes and "block8_9_relu" not in sizes
    assert model.get_layer("block35_0_scale").scale == 0.17


def test_torch_names_equal_those_of_timm():
    assert torch_name("conv1a_conv") == "conv2d_1a.conv"
    assert torch_name("mixed6a_branch0_bn") == "mixed_6a.branch0.bn"
    assert torch_name("block17_3_branch1_2_conv") == "repeat_1.3.branch1.1.conv"
    assert torch_name("block8_9_up_conv") == "block8.conv2d"
