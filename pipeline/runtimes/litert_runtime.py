"""LiteRT, formerly TensorFlow Lite: a net converted to it, and its interpreter to run it."""

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.configs.quiet import hide_stderr
from retinue.pipeline.runtimes.concurrent_requests import finished

PACKAGES = "'retinue[litert]'"


class LiteRTRuntime:
    """One interpreter with a thread for each core.

    path: of a LiteRT file. Raises what LiteRT raises for a damaged one.
    """

    name, precision, streams = "litert", "f32", 1

    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter

        with hide_stderr():  # it greets
            self._run = Interpreter(str(path), num_threads=usable_cores()).get_signature_runner()

    def submit(self, inputs):
        """A future of the outputs, already there: an interpreter does one thing at a time."""
        return finished(self(inputs))

    def __call__(self, inputs):
        return self._run(**{name: np.ascontiguousarray(value) for name, value in inputs.items()})


def convert(function, model):
    """A traced `keras.Model` -> the content of a LiteRT file with the same names, as bytes.

    function: what `tensorflow_runtime.trace` gives of `model`. Batch norm is folded into the convolutions, and the
    batch size stays open, as do other sizes that were. Only LiteRT's own operations are used, none of TensorFlow's.
    Raises RetinueError for a net that it has no operations for.
    """
    import tensorflow as tf

    holder = tf.Module()  # through a Keras model the converter finds no weights, and says nothing
    holder.weights = [variable.value for variable in model.variables]
    try:
        return tf.lite.TFLiteConverter.from_concrete_functions([function], holder).convert()
    except Exception as error:  # the converter's own classes, and TensorFlow's
        lines = [line.strip() for line in str(error).splitlines()]
        named = [line for line in lines if line.startswith(("Custom ops:", "TF Select ops:"))]
        reason = next(iter(named + lines), type(error).__name__)
        raise RetinueError(f"this model can't be converted to LiteRT ({reason}); leave litert out of --to") from error
