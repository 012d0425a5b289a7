"""The models of the papers on small backbones: skips, stages, dilation, sizes."""

import keras
import numpy as np
import pytest

from retinue.configs.errors import UsageError
from retinue.configs.load import load_config
from retinue.tasks.segmentation import model as segmentation_models


def build(backbone, head, *settings, classes=3):
    keras.utils.set_random_seed(0)
    base = ["task=segmentation", f"model.backbone={backbone}", "model.weights=none", f"segmentation.head={head}"]
    return segmentation_models.build(load_config(settings=[*base, *settings]), classes)


def copy_weights(model, source):
    """Copy the weights of layers with the same names, and return the names of the other layers of `model`."""
    source_layers = {layer.name: layer for layer in source.layers}
    missing = []
    for layer in model.layers:
        if layer.name in source_layers:
            layer.set_weights(source_layers[layer.name].get_weights())
        elif layer.weights:
            missing.append(layer.name)
    return missing


def random_image(height=70, width=90, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (1, height, width, 3)).astype(np.float32)


NO_FC_LAYERS = "segmentation.convert_fc_layers=false"


@pytest.fixture(scope="module")
def fcn():
    return {head: build("alexnet", head, NO_FC_LAYERS) for head in ("fcn32s", "fcn16s", "fcn8s")}


def test_score_layers_and_skips_are_initialized_to_zero(fcn):
    for head, model in fcn.items():
        scores = [layer for layer in model.layers if layer.name.startswith("score_")]
        assert len(scores) == {"fcn32s": 1, "fcn16s": 2, "fcn8s": 3}[head]
        assert all(not layer.kernel.numpy().any() for layer in scores)
        assert not np.asarray(model(random_image())).any()


def test_each_finer_model_starts_as_the_coarser_one(fcn):
    """With zero skips, the finer model upsamples the same scores: bilinear in steps is nearly bilinear in one step."""
    coarse = fcn["fcn32s"]
    weights = np.random.default_rng(1).normal(size=coarse.get_layer("score_32").kernel.shape)
    coarse.get_layer("score_32").set_weights([0.1 * weights, np.array([0.3, 0.0, -0.2])])
    expected = np.asarray(coarse(random_image()))
    for head, coarser in (("fcn16s", "fcn32s"), ("fcn8s", "fcn16s")):
        missing = copy_weights(fcn[head], fcn[coarser])
        assert all("16" in name or "8" in name for name in missing)
        outputs = np.asarray(fcn[head](random_image()))
        # upsampling in steps and in one step differ within a cell, but not in the mean
        assert np.corrcoef(outputs.ravel(), expected.ravel())[0, 1] > 0.98
    kernel = fcn["fcn8s"].get_layer("score_8").kernel
    kernel.assign(np.ones(kernel.shape))
    assert np.abs(np.asarray(fcn["fcn8s"](random_image())) - outputs).max() > 0.1  # the finest skip is in the sum


@pytest.mark.parametrize("size", [(33, 31), (64, 64), (97, 130)])
def test_logits_have_the_size_of_the_image(fcn, size):
    assert fcn["fcn8s"](random_image(*size)).shape == (1, *size, 3)


def test_at_once_scales_the_skips_down():
    model = build("alexnet", "fcn8s", NO_FC_LAYERS, "segmentation.at_once=true")
    assert [model.get_layer(f"scale_{stride}").scale for stride in (16, 8)] == [0.01, 0.0001]


@pytest.mark.slow  # a hundred million weights
def test_fully_connected_layers_are_converted_to_convolutions():
    model = build("vgg11", "fcn32s", classes=2)
    fc6, fc7 = model.get_layer("fc6"), model.get_layer("fc7")
    assert fc6.kernel.shape == (7, 7, 512, 4096) and fc7.kernel.shape == (1, 1, 4096, 4096)
    assert fc6.padding == "same" and {"fc6", "fc7", "fc6_dropout"} <= model.backbone_layers
    assert model(random_image(40, 64)).shape == (1, 40, 64, 2)
    skips = keras.Model(model.input, [model.get_layer(f"pool{number}").output for number in (3, 4)])
    assert [tuple(out.shape[1:3]) for out in skips(random_image(64, 96))] == [(8, 12), (4, 6)]


def test_the_front_end_is_vgg_without_two_pooling_layers():
    model = build("vgg11", "front_end", NO_FC_LAYERS)
    names = [layer.name for layer in model.layers]
    assert "pool3" in names and "pool4" not in names and "pool5" not in names
    assert model.get_layer("conv5_1").dilation_rate == (2, 2) and model.get_layer("conv4_1").dilation_rate == (1, 1)
    features = keras.Model(model.input, model.get_layer("conv5_2").output)
    assert features(random_image(64, 96)).shape[1:3] == (8, 12)
    assert 0 < model.get_layer("score_8").kernel.numpy().std() < 0.0015  # N(0, 0.001)
    with_context = build("vgg11", "front_end", NO_FC_LAYERS, "segmentation.context=basic")
    outputs, plain = np.asarray(with_context(random_image())), np.asarray(model(random_image()))
    scores = keras.Model(model.input, model.get_layer("score_8").output)(random_image())
    assert np.abs(scores).max() > 0  # a fresh context module is the ReLU of its scores
    assert (
        outputs.shape == plain.shape
        and outputs.min() >= 0
        and np.abs(outputs - np.maximum(plain, 0)).max() < np.abs(plain).max()
    )


@pytest.mark.slow  # a hundred million weights
def test_fc6_of_the_front_end_has_dilation_4():
    assert build("vgg11", "front_end", classes=2).get_layer("fc6").dilation_rate == (4, 4)


def test_the_dilated_model_equals_the_strided_one_on_their_common_grid():
    """At output stride 8 every fourth position has the features of the strided model there, away from the border."""
    dilated = build("resnet18", "fcn", classes=2)
    strided = build("resnet18", "fcn32s", classes=2)
    copy_weights(strided, dilated)
    image = random_image(416, 416)
    fine, coarse = (
        np.asarray(keras.Model(model.input, model.get_layer("stage4_block2_out").output)(image, training=False))
        for model in (dilated, strided)
    )
    assert fine.shape[1:3] == (52, 52) and coarse.shape[1:3] == (13, 13)
    middle = slice(6, 7)
    np.testing.assert_allclose(
        fine[:, ::4, ::4][:, middle, middle], coarse[:, middle, middle], atol=1e-3 * coarse.max()
    )


def test_backbones_that_do_not_fit_are_rejected():
    with pytest.raises(UsageError, match="VGG without two pools"):
        build("resnet18", "front_end")
    with pytest.raises(UsageError, match="can't be built with dilation"):
        build("keras/MobileNetV2", "deeplabv3")
    with pytest.raises(UsageError, match="one size only"):
        build("keras/NASNetMobile", "fcn8s")
    with pytest.raises(UsageError, match="FCN needs 8, 16 and 32"):
        build("lenet5", "fcn8s")
    with pytest.raises(UsageError, match="front_end only"):
        build("alexnet", "fcn8s", "segmentation.context=basic")
