"""Running a model with TensorFlow itself."""

from retinue.pipeline.runtimes.concurrent_requests import finished


class TensorFlowRuntime:
    """One traced function.

    function: a concrete TensorFlow function with keyword arguments, as `trace` and the signatures of a SavedModel are.
    owner: what holds its variables; a function alone does not keep them.
    """

    name, precision, streams = "tensorflow", "f32", 1

    def __init__(self, function, owner):
        self._function, self._owner = function, owner

    def submit(self, inputs):
        """A future of the outputs, already there: TensorFlow takes all cores for one call."""
        return finished(self(inputs))

    def __call__(self, inputs):
        import tensorflow as tf

        outputs = self._function(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


def trace(model):
    """A `keras.Model` with named inputs and a dict of outputs -> a concrete function with the batch size open."""
    import tensorflow as tf

    signature = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in model.inputs}
    return tf.function(lambda **inputs: model(inputs, training=False)).get_concrete_function(**signature)


# What TensorFlow's other errors say where a GPU is full: a copy to it, and a library that could not start there.
SIGNS_OF_FULL = ("Dst tensor is not initialized", "CUDA_ERROR_OUT_OF_MEMORY", "CUDNN_STATUS_ALLOC_FAILED")


def is_out_of_memory(error):
    """Whether one of TensorFlow's errors says that a device has no memory left."""
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError) or any(sign in str(error) for sign in SIGNS_OF_FULL)
