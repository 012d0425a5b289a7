"""Models of explainers in the fastest runtime."""

import keras

from retinue.pipeline.runtimes import runtimes
from retinue.tasks.explainer import CompiledModel


def compile_model(model: keras.Model, runtime: str = "auto", precision: str = "auto") -> CompiledModel:
    """Make a Keras model run in the fastest runtime.

    Args:
        model: from named inputs to a dict of named outputs.
        runtime: see `runtimes.choose`.
        precision: see `runtimes.choose`.

    Returns:
        The runtime, which is called with a batch.
    """
    runtime, precision, _ = runtimes.choose(runtime, precision)
    return runtimes.start(runtimes.trace(model), model, runtime, precision)
