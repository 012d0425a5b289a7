"""Mixed precision: most layers of a net compute in 16 bits while they learn; weights stay float32 (Micikevicius et al.
2018, arXiv 1710.03740).

A layer has a dtype policy, which is read when it is called and not before. So it is set for as long as the graph of a
training step is traced: the same net, on the same weights, answers in float32 wherever else it is called.
"""

import contextlib

import keras

POLICIES = ("mixed_float16", "mixed_bfloat16")  # of Keras
# Beside our own layers with `in_float32`: what turns pixels into small numbers, and what gives probabilities.
IN_FLOAT32 = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Normalization, keras.layers.Softmax)


def layers_in_16_bits(model):
    """The layers of a `TaskModel` that mixed precision computes in 16 bits.

    All but those that make the model's outputs, those of `IN_FLOAT32`, and those whose class has `in_float32`: what
    reads pixels, and what computes with places and boxes. Batch norms take 16 bits, and compute in float32 within.
    """
    ends = {id(tensor) for tensor in keras.tree.flatten(model.outputs)}
    return [
        layer
        for layer in model.layers
        if not isinstance(layer, IN_FLOAT32)
        and not getattr(layer, "in_float32", False)
        and not any(id(tensor) in ends for tensor in keras.tree.flatten(layer.output))
    ]


@contextlib.contextmanager
def computing_in(model, precision):
    """What is traced within computes in `precision`: "float32", "mixed_float16" or "mixed_bfloat16"."""
    chosen = layers_in_16_bits(model) if precision in POLICIES else []
    before = [layer.dtype_policy for layer in chosen]
    try:
        for layer in chosen:
            layer.dtype_policy = keras.dtype_policies.DTypePolicy(precision)
        yield
    finally:
        for layer, policy in zip(chosen, before, strict=True):
            layer.dtype_policy = policy
