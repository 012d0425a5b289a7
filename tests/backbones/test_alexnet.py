import keras
import numpy as np
import pytest

from retinue.backbones import alexnet


@pytest.fixture(autouse=True)
def clear_session():
    """Keras keeps a list of the variables that `StatelessScope` did not initialize, and would initialize them later."""
    yield
    keras.utils.clear_session(free_memory=False)


def build(variant, classifier=False, side=224, output_stride=32):
    image = keras.Input((side, side, 3))
    return keras.Model(image, alexnet.build(image, output_stride, classifier, variant))


def sizes(variant):
    with keras.StatelessScope(initialize_variables=False):
        return {layer.name: tuple(layer.output.shape[1:]) for layer in build(variant, classifier=True).layers}


def test_sizes_equal_the_table_of_the_lecture():
    actual = sizes("lecture")
    table = {
        "conv1": (56, 56, 96),
        "pool1": (28, 28, 96),
        "conv2": (28, 28, 256),
        "pool2": (14, 14, 256),
        "conv3": (14, 14, 384),
        "conv4": (14, 14, 384),
        "conv5": (14, 14, 256),
        "pool5": (7, 7, 256),
        "fc6": (1, 1, 4096),
        "fc7": (1, 1, 4096),
        "pool": (1000,),
    }
    assert {name: actual[name] for name in table} == table


def test_sizes_equal_those_of_torchvision():
    actual = sizes("torchvision")
    assert [actual[f"pool{number}"] for number in (1, 2, 5)] == [(27, 27, 64), (13, 13, 192), (6, 6, 256)]


@pytest.mark.parametrize(
    "variant, parameters",
    [
        # (kernel * kernel * inputs + 1) * outputs, layer by layer
        (
            "lecture",
            (121 * 3 + 1) * 96 + (25 * 96 + 1) * 256 + (9 * 256 + 1) * 384 + (9 * 384 + 1) * (384 + 256)
            + (49 * 256 + 1) * 4096 + 4097 * 4096 + 4097 * 1000,
        ),
        ("torchvision", 61_100_840),  # torchvision's documentation
    ],
)  # fmt: skip
def test_number_of_parameters(variant, parameters):
    with keras.StatelessScope(initialize_variables=False):
        assert build(variant, classifier=True).count_params() == parameters


def test_the_dilated_model_equals_the_strided_one_at_every_fourth_position():
    strided, dilated = build("lecture", side=96), build("lecture", side=96, output_stride=8)
    dilated.set_weights(strided.get_weights())
    image = np.random.default_rng(0).standard_normal((1, 96, 96, 3)).astype("float32")
    dense = dilated(image)
    assert dense.shape[1:3] == (12, 12)
    np.testing.assert_allclose(dense[:, ::4, ::4], strided(image), rtol=1e-4, atol=1e-5)
