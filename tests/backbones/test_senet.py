import keras
import numpy as np
import pytest

from retinue.backbones import blocks, resnet, senet
from retinue.backbones.strides import endpoints


@pytest.fixture(autouse=True)
def clear_session():
    """Keras keeps a list of the variables that `StatelessScope` did not initialize, and would initialize them later."""
    yield
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(scope="module")
def senet154():
    with keras.StatelessScope(initialize_variables=False):
        image = keras.Input((224, 224, 3))
        return keras.Model(image, senet.build(image, 32, True))


def test_the_number_of_parameters_equals_that_of_timm(senet154):
    channels = sum(
        layer.output.shape[-1] for layer in senet154.layers if isinstance(layer, keras.layers.BatchNormalization)
    )
    assert senet154.count_params() - 2 * channels == 115_088_984  # as torch counts timm's


def test_feature_maps_have_the_sizes_of_the_paper(senet154):
    shapes = {stride: tuple(tensor.shape[1:]) for stride, tensor in endpoints(senet154).items()}
    assert shapes == {2: (112, 112, 128), 4: (56, 56, 256), 8: (28, 28, 512), 16: (14, 14, 1024), 32: (7, 7, 2048)}


def test_it_has_154_layers_with_weights(senet154):
    """Three in the stem, three in each of 50 blocks, and the classifier; squeezes and projections are not counted."""
    convolutions = [
        layer
        for layer in senet154.layers
        if isinstance(layer, keras.layers.Conv2D) and not {"se", "shortcut"} & set(layer.name.split("_"))
    ]
    assert len(convolutions) + 1 == 154


def test_kernel_shapes_equal_those_of_the_paper(senet154):
    shapes = {layer.name: tuple(layer.kernel.shape) for layer in senet154.layers if hasattr(layer, "kernel")}
    assert shapes["stage2_block1_1_conv"] == (1, 1, 256, 256)
    assert shapes["stage2_block1_2_conv"] == (3, 3, 512 // 128, 512)  # 256 channels in 64 groups
    assert shapes["stage1_block1_shortcut_conv"] == (1, 1, 128, 256)
    assert shapes["stage2_block1_shortcut_conv"] == (3, 3, 256, 512)
    assert "stage2_block2_shortcut_conv" not in shapes


@pytest.mark.parametrize("depth, in_torch", [(50, 28_088_024), (101, 49_326_872), (152, 66_821_848)])
def test_the_number_of_parameters_of_se_resnet_equals_that_of_timm(depth, in_torch):
    with keras.StatelessScope(initialize_variables=False):
        image = keras.Input((224, 224, 3))
        model = keras.Model(image, resnet.build(image, 32, True, depth, reduction=16))
    channels = sum(
        layer.output.shape[-1] for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    )
    assert model.count_params() - 2 * channels == in_torch  # as torch counts timm's


def test_squeeze_and_excitation_scales_the_branch_before_the_addition():
    image = keras.Input((4, 4, 32))
    model = keras.Model(image, blocks.squeeze_excite(image, 16, "se"))
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 4, 4, 32)).astype("float32")
    down, up = random.standard_normal((32, 2)), random.standard_normal((2, 32))
    model.get_layer("se_down").set_weights([down[None, None], np.zeros(2)])
    model.get_layer("se_up").set_weights([up[None, None], np.ones(32)])
    gate = 1 / (1 + np.exp(-(np.maximum(x.mean(axis=(1, 2)) @ down, 0) @ up + 1)))
    np.testing.assert_allclose(model(x), x * gate[:, None, None], rtol=1e-4, atol=1e-5)
    with keras.StatelessScope(initialize_variables=False):
        image = keras.Input((32, 32, 3))
        resnet50 = keras.Model(image, resnet.build(image, 32, False, 50, reduction=16))
    added = resnet50.get_layer("stage1_block2_add").input
    assert added[1] is resnet50.get_layer("stage1_block2_se_scale").output


def test_torch_names_equal_those_of_timm():
    names = {
        "stem3_conv": "layer0.conv3",
        "stem1_bn": "layer0.bn1",
        "stage3_block36_2_conv": "layer3.35.conv2",
        "stage1_block1_se_down": "layer1.0.se_module.fc1",
        "stage1_block1_se_up": "layer1.0.se_module.fc2",
        "stage4_block1_shortcut_bn": "layer4.0.downsample.1",
        "logits": "last_linear",
        "head_logits": "head_logits",
    }
    assert {layer: senet.torch_name(layer) for layer in names} == names
