import keras
import numpy as np
import pytest

from retinue.backbones import resnet
from retinue.backbones.layer_table import layer_table


@pytest.fixture(autouse=True)
def clear_session():
    """Keras keeps a list of the variables that `StatelessScope` did not initialize, and would initialize them later."""
    yield
    keras.utils.clear_session(free_memory=False)


def build(depth, side=224, output_stride=32, classifier=False, **flags):
    image = keras.Input((side, side, 3))
    return keras.Model(image, resnet.build(image, output_stride, classifier, depth, **flags))


def without_weights(depth, **arguments):
    with keras.StatelessScope(initialize_variables=False):
        return build(depth, **arguments)


def randomize(model, seed):
    """Assign weights of He's scale, and statistics of normalization that differ from the initial ones."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            shape, kind = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
            if kind == "kernel":
                variable.assign(random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1])))
            else:
                variable.assign(random.uniform(0.5, 1.5, shape) if kind != "beta" else random.uniform(-0.5, 0.5, shape))


@pytest.mark.parametrize(
    "depth, in_torch, channels",
    [
        # torchvision's documentation counts no moving statistics; Keras counts two per normalized channel
        (18, 11_689_512, 4800),
        (34, 21_797_672, 8512),
        (50, 25_557_032, 26560),
        (101, 44_549_160, 52672),
        (152, 60_192_808, 75712),
    ],
)
def test_the_number_of_parameters_equals_that_of_torchvision(depth, in_torch, channels):
    model = without_weights(depth, classifier=True)
    assert model.count_params() == in_torch + 2 * channels
    normalized = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert sum(layer.output.shape[-1] for layer in normalized) == channels


@pytest.mark.parametrize(
    "depth, parameters", [(18, 11_186_112), (34, 21_301_696), (50, 23_561_152), (101, 42_605_504), (152, 58_295_232)]
)
def test_the_number_of_parameters_without_classifier_equals_that_of_kerashub(depth, parameters):
    """The counts of KerasHub. In Model Garden, 18 and 34 have one more projection, 64 * 64 + 4 * 64 = 4,352."""
    assert without_weights(depth).count_params() == parameters


@pytest.mark.parametrize("depth, channels", [(18, (64, 128, 256, 512)), (50, (256, 512, 1024, 2048))])
def test_sizes_equal_those_of_the_lecture(depth, channels):
    model = without_weights(depth)
    assert tuple(model.get_layer("stem_conv").output.shape[1:]) == (112, 112, 64)
    counts, _ = resnet.DEPTHS[depth]
    for stage, (count, side, width) in enumerate(zip(counts, (56, 28, 14, 7), channels, strict=True), start=1):
        for number in range(1, count + 1):
            shape = tuple(model.get_layer(f"stage{stage}_block{number}_out").output.shape[1:])
            assert shape == (side, side, width)


@pytest.mark.parametrize("depth, billions", [(18, 1.8), (34, 3.6), (50, 3.8), (101, 7.6), (152, 11.3)])
def test_multiply_adds_equal_those_of_the_lecture(depth, billions):
    """The numbers of the lecture are truncated or rounded to one digit, so they may differ by less than 0.1."""
    model = without_weights(depth, classifier=True, stride_in_first=True)
    assert sum(row.multiply_adds for row in layer_table(model)) / 1e9 == pytest.approx(billions, abs=0.08)


def test_stride_in_the_3x3_costs_more():
    model = without_weights(50, classifier=True)
    assert sum(row.multiply_adds for row in layer_table(model)) / 1e9 == pytest.approx(4.09, abs=0.005)


def test_a_plain_network_is_the_residual_one_without_shortcuts():
    plain, residual = without_weights(34, shortcuts=False), without_weights(34)
    assert not [layer for layer in plain.layers if isinstance(layer, keras.layers.Add)]
    names = {layer.name for layer in residual.layers if layer.weights and "shortcut" not in layer.name}
    assert {layer.name for layer in plain.layers if layer.weights} == names


def test_a_block_whose_branch_is_zero_is_the_identity():
    model = build(18, side=32)
    randomize(model, 0)
    last = model.get_layer("stage1_block2_2_bn")
    last.gamma.assign(np.zeros(64))
    last.beta.assign(np.zeros(64))
    outputs = [model.get_layer(f"stage1_block{number}_out").output for number in (1, 2)]
    image = np.random.default_rng(1).standard_normal((1, 32, 32, 3)).astype("float32")
    before, after = keras.Model(model.input, outputs)(image)
    assert np.abs(before).max() > 0
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "depth, first, output_stride", [(18, False, 16), (18, False, 8), (50, False, 8), (50, True, 8)]
)
def test_the_dilated_model_equals_the_strided_one_at_its_positions(depth, first, output_stride):
    strided = build(depth, side=43, stride_in_first=first)
    dilated = build(depth, side=43, stride_in_first=first, output_stride=output_stride)
    randomize(strided, 0)
    dilated.set_weights(strided.get_weights())
    image = np.random.default_rng(1).standard_normal((1, 43, 43, 3)).astype("float32")
    expected, dense = strided(image).numpy(), dilated(image).numpy()
    assert dense.shape[1] == -(-43 // output_stride)
    step, scale = 32 // output_stride, np.abs(expected).max()
    np.testing.assert_allclose(dense[:, ::step, ::step] / scale, expected / scale, atol=1e-5)


def test_torch_names_equal_those_of_torchvision():
    names = {
        "stem_conv": "conv1",
        "stem_bn": "bn1",
        "stage1_block1_shortcut_conv": "layer1.0.downsample.0",
        "stage4_block3_shortcut_bn": "layer4.2.downsample.1",
        "stage3_block23_2_conv": "layer3.22.conv2",
        "stage3_block23_3_bn": "layer3.22.bn3",
        "stage2_block1_se_down": "layer2.0.se.fc1",
        "stage2_block1_se_up": "layer2.0.se.fc2",
        "logits": "fc",
        "head_logits": "head_logits",
    }
    assert {layer: resnet.torch_name(layer) for layer in names} == names
