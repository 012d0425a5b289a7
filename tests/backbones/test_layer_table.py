import math

import keras
import numpy as np
import pytest
from keras import layers

from retinue import backbones
from retinue.backbones import blocks, layer_table
from retinue.configs.errors import UsageError


def test_sizes_equal_the_numbers_on_the_slides_of_the_lecture():
    assert layer_table.output_size(4, 3) == 2
    assert layer_table.output_size(5, 3, stride=2) == 2
    assert layer_table.output_size(5, 3, stride=2, padding=1) == 3
    assert layer_table.output_size(6, 3, stride=2, padding=1) == 3
    assert layer_table.dilated_kernel(3, 2) == 5
    assert layer_table.output_size(9, 3, dilation=2) == 5
    assert layer_table.output_size(5, 3, padding=1) == 5, "'SAME', p = (k - 1) / 2, keeps the size"
    assert layer_table.transposed_output_size(2, 3) == 4, "the transpose of 4x4 -> 2x2"
    assert layer_table.transposed_output_size(3, 3, stride=2, padding=1) == 5


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 2, 1), (2, 2, 1), (3, 1, 2)])
def test_same_padding_equals_that_of_tensorflow(size, kernel, stride, dilation):
    """A kernel of ones on an image of ones counts how much of the window is inside the image."""
    conv = layers.Conv2D(1, kernel, stride, "same", dilation_rate=dilation, kernel_initializer="ones")
    counts = conv(np.ones((1, size, size, 1), "float32")).numpy()[0, :, size // stride // 2, 0]
    before, after = layer_table.same_padding(size, kernel, stride, dilation)
    reach = layer_table.dilated_kernel(kernel, dilation)
    assert len(counts) == (size + before + after - reach) // stride + 1
    full_rows = max(counts) / kernel
    assert counts[0] == full_rows * sum(index >= before for index in range(0, reach, dilation))


def stack(*built, size=32):
    inputs = keras.Input((size, size, 3))
    x = inputs
    for layer in built:
        x = layer(x)
    return keras.Model(inputs, x)


def test_stacks_of_3x3_have_receptive_fields_of_5x5_and_7x7():
    rows = layer_table.layer_table(stack(*(layers.Conv2D(2, 3, padding="same") for _ in range(3))))
    assert [row.receptive_field for row in rows] == [1, 3, 5, 7]
    assert [row.offset for row in rows] == [0, -1, -2, -3]


def test_stride_dilation_and_padding_equal_results_computed_by_hand():
    model = stack(layers.Conv2D(2, 3, 2), layers.Conv2D(2, 3, dilation_rate=2), layers.MaxPooling2D(2))
    rows = layer_table.layer_table(model)
    assert [row.receptive_field for row in rows] == [1, 3, 11, 13]
    assert [row.effective_stride for row in rows] == [1, 2, 2, 4]
    assert [row.output for row in rows[1:]] == [(15, 15, 2), (11, 11, 2), (5, 5, 2)]


def test_both_receptive_fields_are_reported_where_branches_meet():
    inputs = keras.Input((16, 16, 3))
    x = layers.Add(name="sum")([layers.Conv2D(3, 5, padding="same")(inputs), inputs])
    x = blocks.squeeze_excite(x, 1, "se")
    rows = {row.name: row for row in layer_table.layer_table(keras.Model(inputs, x))}
    assert (rows["sum"].receptive_field, rows["sum"].min_receptive_field) == (5, 1)
    assert (rows["se_scale"].receptive_field, rows["se_scale"].min_receptive_field) == (math.inf, 1)


def test_both_strides_are_reported_where_branches_differ():
    """A crop of the image meets a map of stride 2, as in skip connections that are cropped and not resized."""
    inputs = keras.Input((16, 16, 3))
    cut = layers.Cropping2D(4)(inputs)
    strided = layers.MaxPooling2D(2, name="pool")(inputs)
    x = layers.Concatenate(name="both")([cut, strided])
    x = layers.Conv2D(1, 3, 2, name="after")(layers.UpSampling2D(4, name="up")(x))
    rows = {row.name: row for row in layer_table.layer_table(keras.Model(inputs, x))}
    strides = {name: (row.effective_stride, row.min_effective_stride) for name, row in rows.items()}
    assert strides["pool"] == (2, 2) and strides["both"] == (2, 1)
    assert strides["up"] == (0.5, 0.25) and strides["after"] == (1, 0.5)


def test_parameters_of_separable_and_plain_convolutions():
    """The lecture: a separable layer has 1*1*ch*ch + 3*3*ch weights instead of 3*3*ch*ch."""
    ch = 64
    separable = layer_table.layer_table(stack(layers.Conv2D(ch, 1), layers.SeparableConv2D(ch, 3, use_bias=False)))[-1]
    assert separable.parameters == ch * ch + 9 * ch
    assert separable.multiply_adds == (ch * ch + 9 * ch) * 30 * 30
    plain = layer_table.layer_table(stack(layers.Conv2D(ch, 1), layers.Conv2D(ch, 3, use_bias=False)))[-1]
    assert plain.parameters == 9 * ch * ch
    assert plain.multiply_adds == 9 * ch * ch * 30 * 30


def test_a_locally_connected_layer_has_a_kernel_per_position():
    layer = blocks.LocallyConnected2D(2, 3)
    image = np.random.default_rng(0).normal(size=(1, 4, 4, 1)).astype("float32")
    model = keras.Sequential([keras.Input((4, 4, 1)), layer])
    assert layer.count_params() == 2 * 2 * (9 * 2 + 2)
    layer.set_weights([np.tile(np.arange(4, dtype="float32").reshape(2, 2, 1, 1), (1, 1, 9, 2)), np.zeros((2, 2, 2))])
    sums = np.array([[image[0, i : i + 3, j : j + 3].sum() for j in range(2)] for i in range(2)])
    np.testing.assert_allclose(model(image)[0, ..., 0], sums * [[0, 1], [2, 3]], rtol=1e-4, atol=1e-5)


def test_a_model_without_fixed_input_size_is_refused():
    with pytest.raises(UsageError, match="needs a fixed input size"):
        layer_table.layer_table(backbones.build("efficientnet_lite0", "none"))


def test_the_csv_has_one_line_per_layer():
    rows = layer_table.layer_table(stack(layers.Conv2D(2, 3, name="first")))
    lines = layer_table.as_csv(rows).splitlines()
    assert len(lines) == 1 + len(rows)
    assert lines[2].startswith("first,Conv2D,30x30x2,3,1,1,0x0,1,1,3,3,0,56,48600")


@pytest.mark.parametrize(("kind", "reduce"), [("max", np.max), ("average", np.mean)])
def test_dilated_pooling_equals_a_result_computed_by_hand(kind, reduce):
    image = np.random.default_rng(0).normal(size=(1, 6, 7, 2)).astype("float32")
    pooled = blocks.DilatedPool(kind, 2, 3)(image).numpy()
    assert pooled.shape == (1, 3, 4, 2)
    expected = reduce([image[:, i : i + 3, j : j + 4] for i in (0, 3) for j in (0, 3)], axis=0)
    np.testing.assert_allclose(pooled, expected, rtol=1e-6)
