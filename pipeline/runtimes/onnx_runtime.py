"""ONNX: the conversion of a model, and ONNX Runtime to run it."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError, UsageError, first_line
from retinue.configs.machine import usable_cores
from retinue.pipeline.runtimes.concurrent_requests import Arrays, call_in_parts

PACKAGES = "'retinue[onnx]'"


class OnnxRuntime:
    """One session with one request per core, each on one core, for the reason that `OpenVINORuntime` gives.

    Two threads for one request were as fast (Lite0 and ResNet-50, without decoding beside them), and would spin.

    Args:
        model: the path of an ONNX file, or its content. ONNX Runtime raises its own errors for a damaged one.
        threads: the number of requests; by default one per core.
    """

    name, precision = "onnxruntime", "f32"

    def __init__(self, model: str | bytes, threads: int | None = None) -> None:
        import onnxruntime

        self.num_requests = threads or usable_cores()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; its warnings are about what it did not fuse
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]
        self._pool = ThreadPoolExecutor(self.num_requests, "onnxruntime")

    def submit(self, inputs: Arrays) -> "Future[dict[str, np.ndarray]]":
        """Return a future of the outputs; up to `num_requests` run at a time."""
        return self._pool.submit(self._run, inputs)

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs of a batch."""
        return call_in_parts(self.submit, inputs, self.num_requests)

    def _run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        arrays = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        return dict(zip(self._names, self._session.run(self._names, arrays), strict=True))


def convert(function: Any) -> bytes:
    """Return the content of an ONNX file with the same names of inputs and outputs.

    Batch normalization is folded into the convolutions. The batch size stays open, as do other sizes that were open.

    Args:
        function: a concrete function of `tensorflow_runtime.trace`.

    Raises:
        UsageError: the converter is not installed.
        RetinueError: ONNX has no operations for this model.
    """
    import tensorflow as tf

    try:
        import onnx
        from tf2onnx.convert import from_function
    except ImportError as error:
        raise UsageError(f"{error.name}, which converts to ONNX, is not installed; `pip install {PACKAGES}`") from None
    _, signature = function.structured_input_signature
    traced = tf.function(lambda inputs: function(**inputs), autograph=False)
    try:
        model, _ = from_function(traced, [dict(signature)])
        _name_open_sizes(model)
        onnx.checker.check_model(model)  # the converter leaves in the graph what it can't convert
        return model.SerializeToString()
    except Exception as error:  # of the converter, the checker or protobuf
        raise RetinueError(
            f"this model can't be converted to ONNX ({first_line(error)}); use openvino or tensorflow"
        ) from error


def _name_open_sizes(model: Any) -> None:
    """Name the open sizes, which the converter only numbers: "batch", and for example "image_1"."""
    for tensor in (*model.graph.input, *model.graph.output):
        for axis, size in enumerate(tensor.type.tensor_type.shape.dim):
            if not size.HasField("dim_value"):
                size.dim_param = f"{tensor.name}_{axis}" if axis else "batch"
