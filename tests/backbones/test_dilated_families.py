"""With an output stride of 8 a net answers, at every fourth place, what it answers with its strides, away from borders.

Whole nets see more than any test picture: each test takes the part of a net around a stride that dilation replaced.
"""

import importlib

import keras
import numpy as np
import pytest

from retinue.backbones.table import BACKBONES

# from this layer to that one; how much finer the first map is in the dilated net; how far apart outputs are there
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
    image = keras.Input((256, 256, 3))
    whole = keras.Model(image, family.build(image, output_stride, False, **row.arguments))
    first = keras.Input((None, None, whole.get_layer(start).output.shape[-1]))
    tensors = {id(whole.get_layer(start).output): first}
    for operation in whole.operations:  # the same layers, anew, on an input of their own
        given = keras.tree.flatten(operation.input)
        if not given or id(operation.output) in tensors or not all(id(tensor) in tensors for tensor in given):
            continue
        given = [tensors[id(tensor)] for tensor in given]
        copy = operation.__class__.from_config(operation.get_config())
        tensors[id(operation.output)] = copy(given if len(given) > 1 else given[0])
    return keras.Model(first, tensors[id(whole.get_layer(end).output)])


@pytest.mark.parametrize("name, start, end, finer, apart", CASES, ids=lambda value: str(value))
def test_dilated_equals_strided_in_the_interior(name, start, end, finer, apart):
    strided, dilated = part(name, 32, start, end), part(name, 8, start, end)
    for layer in strided.layers:
        if layer.weights:
            dilated.get_layer(layer.name).set_weights(layer.get_weights())
    x = np.random.default_rng(0).uniform(0, 1, (1, 96, 96, strided.input.shape[-1])).astype("float32")
    expected = np.asarray(strided(x[:, ::finer, ::finer]))[0]
    found = np.asarray(dilated(x))[0, ::apart, ::apart]
    middle = slice(len(expected) // 2 - 1, len(expected) // 2 + 1)
    np.testing.assert_allclose(
        found[middle, middle], expected[middle, middle], rtol=0, atol=1e-4 * np.abs(expected).max()
    )
    assert np.abs(expected[middle, middle]).max() > 0
