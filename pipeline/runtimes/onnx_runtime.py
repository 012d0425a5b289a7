"""ONNX: a net converted to it, and ONNX Runtime to run it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.machine import usable_cores
from retinue.pipeline.runtimes.concurrent_requests import call_in_parts

PACKAGES = "'retinue[onnx]'"


class OnnxRuntime:
    """One session with a request for each core, each on one core alone, for the reason that `OpenVINORuntime` gives.

    Two threads for one request were as fast (Lite0 and ResNet-50, with nothing decoded beside), and would spin.
    model: the path of an ONNX file, or its content as bytes. Raises what ONNX Runtime raises for a damaged one.
    """

    name, precision = "onnxruntime", "f32"

    def __init__(self, model, threads=None):
        import onnxruntime

        self.streams = threads or usable_cores()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; its warnings are about what it did not fuse
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]
        self._pool = ThreadPoolExecutor(self.streams, "onnxruntime")

    def submit(self, inputs):
        """A future of the outputs; so many as `streams` run at a time."""
        return self._pool.submit(self._run, inputs)

    def __call__(self, inputs):
        return call_in_parts(self.submit, inputs, self.streams)

    def _run(self, inputs):
        arrays = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        return dict(zip(self._names, self._session.run(self._names, arrays), strict=True))


def convert(function):
    """A concrete function of `tensorflow_runtime.trace` -> the content of an ONNX file with the same names, as bytes.

    Batch norm is folded into the convolutions, and the batch size stays open, as do other sizes that were.
    Raises RetinueError for a net that ONNX has no operations for.
    """
    import tensorflow as tf

    try:
        import onnx
        from tf2onnx.convert import from_function
    except ImportError as error:
        raise UsageError(f"{error.name}, which converts to ONNX, is not installed; `pip install {PACKAGES}`") from None
    _, signature = function.structured_input_signature
    net = tf.function(lambda inputs: function(**inputs), autograph=False)
    try:
        model, _ = from_function(net, [dict(signature)])
        _name_sizes(model)
        onnx.checker.check_model(model)  # the converter leaves in what it can't convert
        return model.SerializeToString()
    except Exception as error:  # of the converter's own classes, the checker's and protobuf's
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        raise RetinueError(f"this model can't be converted to ONNX ({reason}); use openvino or tensorflow") from error


def _name_sizes(model):
    """Names for the sizes that are open, which the converter numbers: "batch", and for instance "image_1"."""
    for tensor in (*model.graph.input, *model.graph.output):
        for axis, size in enumerate(tensor.type.tensor_type.shape.dim):
            if not size.HasField("dim_value"):
                size.dim_param = f"{tensor.name}_{axis}" if axis else "batch"
