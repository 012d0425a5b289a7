"""Running a model with OpenVINO, the fast runtime on a CPU."""

import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError, first_line
from retinue.configs.machine import usable_cores
from retinue.configs.process_state import SharedContext, environment_variable
from retinue.pipeline.runtimes.concurrent_requests import Arrays, call_in_parts
from retinue.pipeline.runtimes.openvino_roi_align import FILLS, with_openvino_roi_align


class OpenVINORuntime:
    """One compiled model with one request per core.

    A core that runs a whole request never waits for the others at the end of a layer, and decodes files in between:
    with decoding beside it, this is a tenth faster than one request on all cores. Batches may differ in size; a fixed
    size was not faster, and compiling takes a fraction of a second, so neither padding nor a cache of compiled models
    would pay.

    Args:
        model: an `openvino.Model`, as `convert` makes it.
        precision: "f32", "bf16" or "int8".
        threads: the number of requests; by default one per core.

    Attributes:
        num_requests: how many requests may be in flight.
    """

    name = "openvino"

    def __init__(self, model: Any, precision: str = "f32", threads: int | None = None) -> None:
        self.precision, self.num_requests = precision, threads or usable_cores()
        faster = with_openvino_roi_align(model) if precision != "bf16" else None
        compile_model = functools.partial(_Requests, precision=precision, num_requests=self.num_requests)
        self._requests: Callable[[Arrays], dict[str, np.ndarray]]
        if faster:
            self._requests = _RequestsWithFallback(compile_model(faster), lambda: compile_model(model))
        else:
            self._requests = compile_model(model)
        self._pool = ThreadPoolExecutor(self.num_requests, "openvino")

    def submit(self, inputs: Arrays) -> "Future[dict[str, np.ndarray]]":
        """Return a future of the outputs; up to `num_requests` run at a time."""
        return self._pool.submit(self._requests, inputs)

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs of a batch."""
        return call_in_parts(self.submit, inputs, self.num_requests)


class _Requests:
    """A compiled model that several threads may call."""

    def __init__(self, model: Any, precision: str, num_requests: int) -> None:
        settings = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,  # of what is not 8 bits
            "INFERENCE_NUM_THREADS": num_requests,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": num_requests,
        }
        compiled = import_openvino().Core().compile_model(model, "CPU", settings)
        self._names = [output.get_any_name() for output in compiled.outputs]
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(num_requests):
            self._free.put(compiled.create_infer_request())

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        request = self._free.get()
        try:
            arrays = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
            outputs = request.infer(arrays, share_inputs=True, share_outputs=True)
            # The memory of the outputs is reused, so they are copied.
            return {name: np.array(outputs[index]) for index, name in enumerate(self._names)}
        finally:
            self._free.put(request)


class _RequestsWithFallback:
    """A detector with OpenVINO's own RoIAlign, and the converted one for batches that it can't process.

    Args:
        faster: the requests of the model with the output `FILLS`.
        make_fallback: compiles the other model when it is needed for the first time.
    """

    def __init__(self, faster: _Requests, make_fallback: Callable[[], _Requests]) -> None:
        self._faster, self._make_fallback = faster, make_fallback
        self._fallback: _Requests | None = None
        self._lock = threading.Lock()

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        outputs = self._faster(inputs)
        if outputs.pop(FILLS):
            return outputs
        with self._lock:
            self._fallback = self._fallback or self._make_fallback()
        return self._fallback(inputs)


def import_openvino() -> Any:
    """Return the module `openvino`. Importing it would report the use to its makers; see `telemetry_off`."""
    with telemetry_off():
        import openvino
    return openvino


def telemetry_off() -> contextlib.AbstractContextManager[None]:
    """Return a context in which OpenVINO's converter does not report its use to its makers.

    It reports unasked, except in CI jobs. It would also write into the user's home, and its forked process would hold
    our lock on a folder of predictions. The environment variable CI is its only switch besides a file in the home.
    """
    return _as_in_ci


_as_in_ci = SharedContext(lambda: environment_variable("CI", "true"))


def convert(function: Any) -> Any:
    """Return the `openvino.Model` of a concrete function, with the same names of inputs and outputs.

    Raises:
        RetinueError: OpenVINO can't convert the function.
    """
    openvino = import_openvino()
    try:
        # With shared weights, the default, the model would read TensorFlow's memory after TensorFlow has freed it.
        with telemetry_off():
            converted = openvino.convert_model(function, share_weights=False)
    except Exception as error:  # the converter has many error classes
        raise RetinueError(
            f"OpenVINO can't convert this model ({first_line(error)}); use --runtime tensorflow"
        ) from error
    names = sorted(function.structured_outputs)  # TensorFlow flattens a dict by its sorted keys
    named = set(names) <= {name for output in converted.outputs for name in output.names}
    for output, name in zip(converted.outputs, names, strict=True):
        # An output that also has a name in the graph has several names, of which any may be returned.
        own = next(known for known in names if known in output.names) if named else name
        output.get_tensor().set_names({own})
    return converted
