"""With an output stride of 8, every fourth position equals the output of the strided backbone, away from borders.

The receptive field of a whole backbone exceeds any test image. Each test therefore takes the part of a backbone around
a stride that dilation replaced.
"""

import importlib

import keras
import numpy as np
import pytest

from retinue.backbones.table import BACKBONES

# name, first layer, last layer, how much finer the first map is in the dilated backbone, distance of compared outputs
CASES = [
    ("googlenet", "inception3b_concat", "inception5b_concat", 1, 4),
    ("bn_inception", "inception_4d_output", "inception_5b_output", 2, 4),
    ("inception_v3", "mixed6e", "mixed7c", 2, 4),
    pytest.param("inception_v4", "module17", "module20", 2, 4, marks=pytest.mark.slow),
    pytest.param("inception_resnet_v2", "block17_19_relu", "block8_1_relu", 2, 4, marks=pytest.mark.slow),
    ("densenet121", "block3_layer24_concat", "block4_layer3_concat", 2, 4),
    ("xception", "block11_add", "exit2_relu", 2, 4),
]


def part(name, output_stride, start, end):
    row = BACKBONES[name]
    family = importlib.import_module(f"retinue.backbones.{row.family}")
    with keras.StatelessScope(initialize_variables=False):  # only the configurations of its layers are needed
        image = keras.Input((256, 256, 3))
        full = keras.Model(image, family.build(image, output_stride, False, **row.arguments))
    first = keras.Input((None, None, full.get_layer(start).output.shape[-1]))
    tensors = {id(full.get_layer(start).output): first}
    for operation in full.operations:  # copies of the same layers on a new input
        inputs = keras.tree.flatten(operation.input)
        if not inputs or id(operation.output) in tensors or not all(id(tensor) in tensors for tensor in inputs):
            continue
        inputs = [tensors[id(tensor)] for tensor in inputs]
        copy = operation.__class__.from_config(operation.get_config())
        tensors[id(operation.output)] = copy(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(first, tensors[id(full.get_layer(end).output)])


@pytest.mark.parametrize("name, start, end, finer, distance", CASES, ids=lambda value: str(value))
def test_the_dilated_backbone_equals_the_strided_one_in_the_interior(name, start, end, finer, distance):
    strided, dilated = part(name, 32, start, end), part(name, 8, start, end)
    for layer in strided.layers:
        if layer.weights:
            dilated.get_layer(layer.name).set_weights(layer.get_weights())
    x = np.random.default_rng(0).uniform(0, 1, (1, 64, 64, strided.input.shape[-1])).astype("float32")
    expected = np.asarray(strided(x[:, ::finer, ::finer]))[0]
    actual = np.asarray(dilated(x))[0, ::distance, ::distance]
    middle = slice(len(expected) // 2 - 1, len(expected) // 2 + 1)
    np.testing.assert_allclose(
        actual[middle, middle], expected[middle, middle], rtol=0, atol=1e-4 * np.abs(expected).max()
    )
    assert np.abs(expected[middle, middle]).max() > 0
