from retinue import backbones
from retinue.backbones.inception_v4 import torch_name


def test_sizes_equal_those_of_the_paper():
    model = backbones.build("inception_v4", weights="none", input_size=299)
    sizes = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert sizes["module2_conv"] == (147, 147, 64) and sizes["module3"] == (73, 73, 160)
    assert sizes["module4"] == (71, 71, 192) and sizes["module5"] == (35, 35, 384)
    assert sizes["module9"] == (35, 35, 384) and sizes["module10"] == (17, 17, 1024)
    assert sizes["module17"] == (17, 17, 1024) and sizes["module18"] == (8, 8, 1536)
    assert sizes["module21"] == (8, 8, 1536)


def test_torch_names_equal_those_of_timm():
    assert torch_name("module0_conv") == "features.0.conv"
    assert torch_name("module3_conv_bn") == "features.3.conv.bn"
    assert torch_name("module6_branch0_conv") == "features.6.branch0.conv"
    assert torch_name("module6_branch2_3_conv") == "features.6.branch2.2.conv"
    assert torch_name("module19_branch1_2a_conv") == "features.19.branch1_1a.conv"
    assert torch_name("module19_branch3_2_bn") == "features.19.branch3.1.bn"
