"""Mixed precision: in training, most layers compute in 16 bits, while the weights stay float32.

The method is that of Micikevicius et al. 2018 (arXiv 1710.03740).

A layer reads its dtype policy when it is called, not earlier. The policy is therefore changed only while the graph of a
training step is traced. Wherever else the same model is called, it computes in float32 with the same weights.
"""

import contextlib
from collections.abc import Iterator

import keras

POLICIES = ("mixed_float16", "mixed_bfloat16")  # the names that Keras gives them
# These stay in float32, like our own layers with `in_float32`: they normalize pixels, or output probabilities.
IN_FLOAT32 = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.Normalization, keras.layers.Softmax)


def low_precision_layers(model: keras.Model) -> list[keras.Layer]:
    """List the layers that mixed precision computes in 16 bits.

    They are all layers except those that make the model's outputs, those of the types in `IN_FLOAT32`, and those whose
    class sets `in_float32`, because they read pixels or compute with coordinates and boxes. Batch norms take and return
    16 bits, and compute in float32 internally.

    Args:
        model: a `TaskModel`.
    """
    outputs = {id(tensor) for tensor in keras.tree.flatten(model.outputs)}
    return [
        layer
        for layer in model.layers
        if not isinstance(layer, IN_FLOAT32)
        and not getattr(layer, "in_float32", False)
        and not any(id(tensor) in outputs for tensor in keras.tree.flatten(layer.output))
    ]


@contextlib.contextmanager
def precision_scope(model: keras.Model, precision: str) -> Iterator[None]:
    """Within this context, calls of the model are traced in the given precision.

    Args:
        model: a `TaskModel`.
        precision: "float32", "mixed_float16" or "mixed_bfloat16".
    """
    layers = low_precision_layers(model) if precision in POLICIES else []
    policies = [layer.dtype_policy for layer in layers]
    try:
        for layer in layers:
            layer.dtype_policy = keras.dtype_policies.DTypePolicy(precision)
        yield
    finally:
        for layer, policy in zip(layers, policies, strict=True):
            layer.dtype_policy = policy
