"""Builds backbones of the table without giving their weights memory, and prints what they are, a line of JSON each.

A process of its own for test_contract.py: Keras keeps a list of variables that were never made as long as it lives.
"""

import json
import sys

import keras

from retinue import backbones
from retinue.backbones.layer_table import layer_table


def facts(name):
    row = backbones.find(name)
    size = (row.min_size, row.min_size + 11) if row.any_size else (row.input_size, row.input_size)
    model = backbones.build(name, "none", input_size=size)
    whole = backbones.build(name, "none", input_size=row.input_size, classifier=True)
    layers = [*model.layers, *whole.layers]
    return {
        "name": name,
        "size": size,
        "maps": {stride: tensor.shape[1:3] for stride, tensor in model.output.items()},
        "nested": [layer.name for layer in layers if isinstance(layer, keras.Model)],
        "preprocess": [layer.name for layer in layers if "preprocess" in layer.name],
        "normalising": [type(layer).__name__ for layer in layers if isinstance(layer, keras.layers.Normalization)],
        "names": len({layer.name for layer in whole.layers}) == len(whole.layers),
        "logits": whole.output["logits"].shape[1],
        "parameters": whole.count_params(),
        "multiply_adds": sum(row.multiply_adds for row in layer_table(whole)),
    }


if __name__ == "__main__":
    with keras.StatelessScope(initialize_variables=False):
        for name in sys.argv[1:]:
            print("fact", json.dumps(facts(name)), flush=True)
