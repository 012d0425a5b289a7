"""LiteRT, formerly TensorFlow Lite: the conversion of a model, and the interpreter to run it."""

import os
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.configs.quiet import hide_stderr
from retinue.pipeline.runtimes.concurrent_requests import Arrays, finished

if TYPE_CHECKING:
    import keras

PACKAGES = "'retinue[litert]'"


class LiteRTRuntime:
    """One interpreter with one thread per core.

    Args:
        path: a LiteRT file. LiteRT raises its own errors for a damaged one.
    """

    name, precision, num_requests = "litert", "f32", 1

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with hide_stderr():  # it prints a greeting
            self._run = Interpreter(str(path), num_threads=usable_cores()).get_signature_runner()

    def submit(self, inputs: Arrays) -> "Future[dict[str, np.ndarray]]":
        """Return a finished future of the outputs: an interpreter runs one call at a time."""
        return finished(self(inputs))

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs of a batch."""
        return self._run(**{name: np.ascontiguousarray(value) for name, value in inputs.items()})


def convert(function: Any, model: "keras.Model") -> bytes:
    """Return the content of a LiteRT file with the same names of inputs and outputs.

    Batch normalization is folded into the convolutions. The batch size stays open, as do other sizes that were open.
    Only LiteRT's own operations are used, none of TensorFlow's.

    Args:
        function: what `tensorflow_runtime.trace` returns for `model`.
        model: the model.

    Raises:
        RetinueError: LiteRT has no operations for this model.
    """
    import tensorflow as tf

    holder = tf.Module()  # the converter silently finds no weights through a Keras model
    holder.weights = [variable.value for variable in model.variables]
    try:
        return tf.lite.TFLiteConverter.from_concrete_functions([function], holder).convert()
    except Exception as error:  # of the converter or TensorFlow
        lines = [line.strip() for line in str(error).splitlines()]
        named = [line for line in lines if line.startswith(("Custom ops:", "TF Select ops:"))]
        reason = next(iter(named + lines), type(error).__name__)
        raise RetinueError(f"this model can't be converted to LiteRT ({reason}); remove litert from --to") from error
