"""Build backbones of the table without memory for their weights, and print facts about each as a line of JSON.

test_contract.py runs this in a separate process, because Keras keeps a list of uninitialized variables for as long as
the process lives.
"""

import gc
import json
import sys

import keras

from retinue import backbones
from retinue.backbones.layer_table import layer_table


def facts(name):
    """Return the facts about one backbone that test_contract.py checks."""
    row = backbones.find(name)
    size = (row.min_size, row.min_size + 11) if row.any_size else (row.input_size, row.input_size)
    model = backbones.build(name, "none", input_size=size)
    full = backbones.build(name, "none", input_size=row.input_size, classifier=True)
    layers = [*model.layers, *full.layers]
    return {
        "name": name,
        "size": size,
        "maps": {stride: tensor.shape[1:3] for stride, tensor in model.output.items()},
        "nested": [layer.name for layer in layers if isinstance(layer, keras.Model)],
        "preprocess": [layer.name for layer in layers if "preprocess" in layer.name],
        "normalizing": [type(layer).__name__ for layer in layers if isinstance(layer, keras.layers.Normalization)],
        "names": len({layer.name for layer in full.layers}) == len(full.layers),
        "logits": full.output["logits"].shape[1],
        "parameters": full.count_params(),
        "multiply_adds": sum(row.multiply_adds for row in layer_table(full)),
    }


if __name__ == "__main__":
    gc.set_threshold(20_000, 10, 10)  # as in tests/conftest.py
    with keras.StatelessScope(initialize_variables=False):
        for name in sys.argv[1:]:
            print("fact", json.dumps(facts(name)), flush=True)
