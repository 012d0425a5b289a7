import subprocess
import sys

import keras
import numpy as np
import pytest

from retinue import backbones
from retinue.configs.errors import UsageError


@pytest.fixture(scope="module")
def lite():
    return backbones.build("efficientnet_lite0", "none")


def test_listing_backbones_does_not_import_keras():
    code = "import sys; from retinue import backbones; backbones.names(); sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_feature_maps_have_the_size_of_their_stride_at_any_input_size(lite):
    maps = lite(np.zeros((2, 70, 96, 3), "float32"))
    sizes = {stride: tuple(features.shape) for stride, features in maps.items()}
    assert sizes == {
        2: (2, 35, 48, 96),
        4: (2, 18, 24, 144),
        8: (2, 9, 12, 240),
        16: (2, 5, 6, 672),
        32: (2, 3, 3, 1280),
    }


def test_a_fixed_size_gives_static_shapes():
    model = backbones.build("efficientnet_lite0", "none", input_size=(64, 96))
    assert model.output[32].shape == (None, 2, 3, 1280)


def test_a_head_can_be_added_and_the_model_stays_flat(lite):
    head = keras.layers.GlobalAveragePooling2D()(lite.output[32])
    model = keras.Model(lite.input, keras.layers.Dense(2)(head))
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model(np.zeros((1, 32, 32, 3), "float32")).shape == (1, 2)


def test_layer_names_are_the_same_at_every_build(lite):
    again = backbones.build("efficientnet_lite0", "none")
    assert [layer.name for layer in again.layers] == [layer.name for layer in lite.layers]
    first, second = (backbones.build("keras/MobileNetV3Small", "none") for _ in range(2))
    assert [layer.name for layer in first.layers] == [layer.name for layer in second.layers]


def test_weights_survive_saving(lite, tmp_path):
    image = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    lite.save_weights(tmp_path / "a.weights.h5")
    again = backbones.build("efficientnet_lite0", str(tmp_path / "a.weights.h5"))
    np.testing.assert_array_equal(again(image)[32], lite(image)[32])
    lite.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(loaded(image)["32"], lite(image)[32])


def test_the_classifier_has_logits_as_output():
    model = backbones.build("efficientnet_lite0", "none", classifier=True)
    assert model(np.zeros((1, 64, 64, 3), "float32"))["logits"].shape == (1, 1000)
    assert model.count_params() == backbones.BACKBONES["efficientnet_lite0"].parameters


def test_the_number_of_input_channels_can_be_chosen():
    model = backbones.build("efficientnet_lite0", "none", channels=20)
    assert model(np.zeros((1, 32, 32, 20), "float32"))[32].shape == (1, 1, 1, 1280)


@pytest.mark.parametrize("output_stride", [8, 16])
def test_the_dilated_model_equals_the_strided_one_in_the_interior(lite, output_stride):
    """With "same" padding of an even size, strided 3x3 windows have their centers on odd pixels: hence the offsets."""
    dilated = backbones.build("efficientnet_lite0", "none", output_stride=output_stride)
    dilated.set_weights(lite.get_weights())
    image = np.random.default_rng(0).uniform(0, 255, (1, 512, 512, 3)).astype("float32")
    strided, dense = lite(image)[32].numpy(), dilated(image)
    assert list(dense) == [stride for stride in (2, 4, 8, 16) if stride <= output_stride]
    step = 32 // output_stride
    subsampled = dense[output_stride].numpy()[:, step - 1 :: step, step - 1 :: step]
    assert subsampled.shape == strided.shape
    np.testing.assert_allclose(subsampled[:, 7:9, 7:9], strided[:, 7:9, 7:9], rtol=1e-3, atol=1e-5)


def test_layers_below_a_stride_are_listed(lite):
    below = backbones.layers_below(lite, 4)
    assert below[-1] == "block1_expand_relu"
    assert "stem_conv" in below and "block1_depthwise_conv" not in below
    with pytest.raises(UsageError, match="no layer of stride 64; its strides are 1, 2, 4, 8, 16, 32"):
        backbones.layers_below(lite, 64)


def test_wrong_arguments_are_refused_with_the_cure():
    with pytest.raises(UsageError, match="did you mean efficientnet_lite0"):
        backbones.build("efficientnet-lite0")
    with pytest.raises(UsageError, match="the smallest size is 32"):
        backbones.build("efficientnet_lite0", "none", input_size=16)
    with pytest.raises(UsageError, match="output_stride 8; it offers 32"):
        backbones.build("keras/VGG16", "none", output_stride=8)
    with pytest.raises(UsageError, match="needs a fixed input_size; 224"):
        backbones.build("keras/NASNetMobile", "none")


def test_names_can_be_filtered_by_pattern():
    assert "keras/ResNet50" in backbones.names("resnet")
    assert backbones.names("efficientnet_lite2") == ["efficientnet_lite2"]
    assert backbones.names("keras/VGG*") == ["keras/VGG16", "keras/VGG19"]
