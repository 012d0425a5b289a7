"""Probabilities of a Keras model of logits, computed by the fastest runtime."""

import numpy as np

from retinue.pipeline.runtimes import runtimes
from retinue.pipeline.runtimes.batching import CPU_BATCH


def predictor(model, size, activation):
    """A function float32 `[n, size, size, c]` -> probabilities of a Keras model of logits, by the fastest runtime; it
    is made at the first call."""
    made = []

    def predict(images):
        if not made:
            made.append(probabilities(model, size, activation))
        return made[0](images)

    return predict


def probabilities(model, size, activation="softmax", runtime="auto", precision="auto"):
    """A function float32 `[n, size, size, c]` -> probabilities float32 `[n, classes]` of a Keras model of logits.

    activation: "softmax" or "sigmoid". runtime, precision: see `runtimes.choose`.
    """
    import keras

    image = keras.Input((size, size, model.inputs[0].shape[-1]), name="image")
    logits = keras.tree.flatten(model(image, training=False))[0]
    scores = getattr(keras.ops, activation)(keras.ops.cast(logits, "float32"))
    whole = keras.Model({"image": image}, {"scores": scores}, name="probabilities")
    runtime, precision, _ = runtimes.choose(runtime, precision)
    running = runtimes.start(runtimes.trace(whole), whole, runtime, precision)

    def predict(images):
        """Pieces that stay in the cache, several under way: no core waits for another at the end of each."""
        parts = [
            running.submit({"image": np.asarray(images[first : first + CPU_BATCH], np.float32)})
            for first in range(0, len(images), CPU_BATCH)
        ]
        return np.concatenate([part.result()["scores"] for part in parts])

    return predict
