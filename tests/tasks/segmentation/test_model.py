"""The nets of the papers, on backbones small enough for a test: skips, stages, dilation, sizes."""

import keras
import numpy as np
import pytest

from retinue.configs.errors import UsageError
from retinue.configs.load import load_config
from retinue.tasks.segmentation import model as nets


def build(backbone, head, *settings, classes=3):
    keras.utils.set_random_seed(0)
    base = ["task=segmentation", f"model.backbone={backbone}", "model.weights=none", f"segmentation.head={head}"]
    return nets.build(load_config(settings=[*base, *settings]), classes)


def copy_weights(model, other):
    """Give `model` the weights of the layers of `other` with the same names. Returns the names of the others."""
    theirs = {layer.name: layer for layer in other.layers}
    missing = []
    for layer in model.layers:
        if layer.name in theirs:
            layer.set_weights(theirs[layer.name].get_weights())
        elif layer.weights:
            missing.append(layer.name)
    return missing


def picture(height=70, width=90, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (1, height, width, 3)).astype(np.float32)


NARROW = "segmentation.convert_fc_layers=false"


@pytest.fixture(scope="module")
def fcn():
    return {head: build("alexnet", head, NARROW) for head in ("fcn32s", "fcn16s", "fcn8s")}


def test_scores_and_skips_start_at_zero(fcn):
    for head, net in fcn.items():
        scores = [layer for layer in net.layers if layer.name.startswith("score_")]
        assert len(scores) == {"fcn32s": 1, "fcn16s": 2, "fcn8s": 3}[head]
        assert all(not layer.kernel.numpy().any() for layer in scores)
        assert not np.asarray(net(picture())).any()


def test_each_net_begins_as_the_last_one(fcn):
    """With zero skips, the finer net upsamples the same scores: bilinear in steps is nearly bilinear at once."""
    coarse = fcn["fcn32s"]
    weights = np.random.default_rng(1).normal(size=coarse.get_layer("score_32").kernel.shape)
    coarse.get_layer("score_32").set_weights([0.1 * weights, np.array([0.3, 0.0, -0.2])])
    expected = np.asarray(coarse(picture()))
    for head, before in (("fcn16s", "fcn32s"), ("fcn8s", "fcn16s")):
        missing = copy_weights(fcn[head], fcn[before])
        assert all("16" in name or "8" in name for name in missing)
        given = np.asarray(fcn[head](picture()))
        # in steps and at once differ within a cell, and not in the mean
        assert np.corrcoef(given.ravel(), expected.ravel())[0, 1] > 0.98
    kernel = fcn["fcn8s"].get_layer("score_8").kernel
    kernel.assign(np.ones(kernel.shape))
    assert np.abs(np.asarray(fcn["fcn8s"](picture())) - given).max() > 0.1  # the finest skip is in the sum


@pytest.mark.parametrize("size", [(33, 31), (64, 64), (97, 130)])
def test_any_size_gives_its_own_size(fcn, size):
    assert fcn["fcn8s"](picture(*size)).shape == (1, *size, 3)


def test_at_once_scales_the_skips_down():
    net = build("alexnet", "fcn8s", NARROW, "segmentation.at_once=true")
    assert [net.get_layer(f"scale_{stride}").scale for stride in (16, 8)] == [0.01, 0.0001]


@pytest.mark.slow  # a hundred million weights
def test_linear_layers_come_along_as_convolutions():
    net = build("vgg11", "fcn32s", classes=2)
    fc6, fc7 = net.get_layer("fc6"), net.get_layer("fc7")
    assert fc6.kernel.shape == (7, 7, 512, 4096) and fc7.kernel.shape == (1, 1, 4096, 4096)
    assert fc6.padding == "same" and {"fc6", "fc7", "fc6_dropout"} <= net.backbone_layers
    assert net(picture(40, 64)).shape == (1, 40, 64, 2)
    skips = keras.Model(net.input, [net.get_layer(f"pool{number}").output for number in (3, 4)])
    assert [tuple(out.shape[1:3]) for out in skips(picture(64, 96))] == [(8, 12), (4, 6)]


def test_front_end_is_vgg_without_two_pools():
    net = build("vgg11", "front_end", NARROW)
    names = [layer.name for layer in net.layers]
    assert "pool3" in names and "pool4" not in names and "pool5" not in names
    assert net.get_layer("conv5_1").dilation_rate == (2, 2) and net.get_layer("conv4_1").dilation_rate == (1, 1)
    features = keras.Model(net.input, net.get_layer("conv5_2").output)
    assert features(picture(64, 96)).shape[1:3] == (8, 12)
    assert 0 < net.get_layer("score_8").kernel.numpy().std() < 0.0015  # N(0, 0.001)
    with_context = build("vgg11", "front_end", NARROW, "segmentation.context=basic")
    given, plain = np.asarray(with_context(picture())), np.asarray(net(picture()))
    scores = keras.Model(net.input, net.get_layer("score_8").output)(picture())
    assert np.abs(scores).max() > 0  # the module starts as the ReLU of its scores
    assert (
        given.shape == plain.shape
        and given.min() >= 0
        and np.abs(given - np.maximum(plain, 0)).max() < np.abs(plain).max()
    )


@pytest.mark.slow  # a hundred million weights
def test_dilated_front_end_has_fc6_of_dilation_4():
    assert build("vgg11", "front_end", classes=2).get_layer("fc6").dilation_rate == (4, 4)


def test_dilated_net_is_the_strided_one_on_the_common_grid():
    """At output stride 8 each 32nd place has the features that the strided net has there, away from the border."""
    dilated = build("resnet18", "fcn", classes=2)
    strided = build("resnet18", "fcn32s", classes=2)
    copy_weights(strided, dilated)
    image = picture(416, 416)
    fine, coarse = (
        np.asarray(keras.Model(net.input, net.get_layer("stage4_block2_out").output)(image, training=False))
        for net in (dilated, strided)
    )
    assert fine.shape[1:3] == (52, 52) and coarse.shape[1:3] == (13, 13)
    middle = slice(6, 7)
    np.testing.assert_allclose(
        fine[:, ::4, ::4][:, middle, middle], coarse[:, middle, middle], atol=1e-3 * coarse.max()
    )


def test_backbones_that_do_not_fit_say_so():
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
