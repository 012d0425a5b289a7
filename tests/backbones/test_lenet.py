import numpy as np
import pytest

from retinue import backbones


def test_classifier_has_the_sizes_of_the_paper():
    model = backbones.build("lenet5", weights="none", input_size=32, classifier=True, channels=1)
    maps = {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers}
    assert maps["conv1"] == (28, 28, 6)
    assert maps["pool1"] == (14, 14, 6)
    assert maps["conv2"] == (10, 10, 16)
    assert maps["pool2"] == (5, 5, 16)
    assert maps["conv3"] == (1, 1, 120)
    assert maps["fc"] == (84,)
    assert maps["logits"] == (10,)
    # 5x5 kernels + bias: 6 of 1, 16 of 6, 120 of 16; dense 120 to 84 to 10
    assert model.count_params() == 6 * 26 + 16 * 151 + 120 * 401 + 84 * 121 + 10 * 85


def test_small_pictures_are_padded_with_black():
    small = backbones.build("lenet5", weights="none", input_size=28, classifier=True, channels=1)
    full = backbones.build("lenet5", weights="none", input_size=32, classifier=True, channels=1)
    full.set_weights(small.get_weights())
    image = np.random.default_rng(0).uniform(0, 255, (1, 28, 28, 1)).astype("float32")
    padded = np.pad(image, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_allclose(small(image)["logits"], full(padded)["logits"], rtol=1e-6)


@pytest.mark.parametrize("side, positions", [(32, 1), (35, 1), (36, 2), (75, 11)])
def test_maps_of_any_size(side, positions):
    model = backbones.build("lenet5", weights="none", channels=2)
    maps = model(np.zeros((1, side, side, 2), "float32"))
    assert tuple(maps[4].shape) == (1, positions, positions, 120)
    assert list(maps) == [2, 4]
