"""Running a model with TensorFlow itself."""

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.pipeline.runtimes.concurrent_requests import Arrays, finished

if TYPE_CHECKING:
    import keras

# What TensorFlow's other errors say when a GPU is full: a copy to it failed, or a library could not start.
OUT_OF_MEMORY_MESSAGES = ("Dst tensor is not initialized", "CUDA_ERROR_OUT_OF_MEMORY", "CUDNN_STATUS_ALLOC_FAILED")


class TensorFlowRuntime:
    """One traced function.

    Args:
        function: a concrete function with keyword arguments, as `trace` and the signatures of a SavedModel are.
        owner: what holds its variables; a function alone does not keep them.
    """

    name, precision, num_requests = "tensorflow", "f32", 1

    def __init__(self, function: Any, owner: Any) -> None:
        self._function, self._owner = function, owner

    def submit(self, inputs: Arrays) -> "Future[dict[str, np.ndarray]]":
        """Return a finished future of the outputs: TensorFlow uses all cores for one call."""
        return finished(self(inputs))

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs of a batch."""
        import tensorflow as tf

        outputs = self._function(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


def trace(model: "keras.Model") -> Any:
    """Return the concrete function of a model with named inputs and a dict of outputs. The batch size stays open."""
    import tensorflow as tf

    signature = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in model.inputs}
    return tf.function(lambda **inputs: model(inputs, training=False), autograph=False).get_concrete_function(
        **signature
    )


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of TensorFlow says that a device has no memory left."""
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError) or any(
        message in str(error) for message in OUT_OF_MEMORY_MESSAGES
    )
