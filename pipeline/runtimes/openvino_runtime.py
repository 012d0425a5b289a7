"""Running a model with OpenVINO: the fast runtime of a CPU."""

import functools
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.errors import RetinueError, first_line
from retinue.configs.machine import usable_cores
from retinue.configs.process_state import SharedContext, environment_variable
from retinue.pipeline.runtimes.concurrent_requests import call_in_parts
from retinue.pipeline.runtimes.openvino_roi_align import FILLS, with_own_operation


class OpenVINORuntime:
    """One compiled model with a stream of requests for each core.

    A core that does a whole request by itself never waits for the others at the end of a layer, and is free to decode
    files in between: with decoding beside it, a tenth faster than one request spread over the cores.
    model: an `openvino.Model`, as `convert` makes it. precision: "f32", "bf16" or "int8".
    Batches may differ in size; a fixed size was not faster, and compiling takes a fraction of a second, so neither
    padding nor a cache of compiled models would pay.
    """

    name = "openvino"

    def __init__(self, model, precision="f32", threads=None):
        self.precision, self.streams = precision, threads or usable_cores()
        faster = with_own_operation(model) if precision != "bf16" else None
        one = functools.partial(_Requests, precision=precision, streams=self.streams)
        self._requests = _FasterRequests(one(faster), lambda: one(model)) if faster else one(model)
        self._pool = ThreadPoolExecutor(self.streams, "openvino")

    def submit(self, inputs):
        """A future of the outputs; so many as `streams` run at a time."""
        return self._pool.submit(self._requests, inputs)

    def __call__(self, inputs):
        return call_in_parts(self.submit, inputs, self.streams)


class _Requests:
    """A compiled model for several threads to call."""

    def __init__(self, model, precision, streams):
        settings = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,  # of what has not 8 bits
            "INFERENCE_NUM_THREADS": streams,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": streams,
        }
        compiled = import_openvino().Core().compile_model(model, "CPU", settings)
        self._names = [output.get_any_name() for output in compiled.outputs]
        self._free = queue.SimpleQueue()
        for _ in range(streams):
            self._free.put(compiled.create_infer_request())

    def __call__(self, inputs):
        request = self._free.get()
        try:
            arrays = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
            outputs = request.infer(arrays, share_inputs=True, share_outputs=True)
            return {name: np.array(outputs[index]) for index, name in enumerate(self._names)}  # its memory is reused
        finally:
            self._free.put(request)


class _FasterRequests:
    """A detector with OpenVINO's own RoIAlign, and as it was converted for batches that it does not answer.

    faster: `_Requests` with the output `FILLS`; make_other: makes the other `_Requests` when it is first needed.
    """

    def __init__(self, faster, make_other):
        self._faster, self._make_other = faster, make_other
        self._other, self._making = None, threading.Lock()

    def __call__(self, inputs):
        outputs = self._faster(inputs)
        if outputs.pop(FILLS):
            return outputs
        with self._making:
            self._other = self._other or self._make_other()
        return self._other(inputs)


def import_openvino():
    """The module `openvino`, which begins to report when it is imported."""
    with nothing_sent():
        import openvino
    return openvino


def nothing_sent():
    """Keep OpenVINO's converter from telling its makers that it is used, which it does unasked but in CI jobs.

    It would also write into the user's home, and its forked process would hold our lock on a folder of predictions.
    Returns a context; it has no other switch than the environment variable CI and a file in the user's home.
    """
    return _as_in_ci


_as_in_ci = SharedContext(lambda: environment_variable("CI", "true"))


def convert(function):
    """A concrete function, as `trace` gives it, -> an `openvino.Model` with the same names."""
    openvino = import_openvino()
    try:
        # With shared weights, the default, the model reads TensorFlow's memory after TensorFlow has given it back.
        with nothing_sent():
            converted = openvino.convert_model(function, share_weights=False)
    except Exception as error:  # the converter's own classes are many
        raise RetinueError(
            f"OpenVINO can't convert this model ({first_line(error)}); use --runtime tensorflow"
        ) from error
    names = sorted(function.structured_outputs)  # TensorFlow flattens a dict by its sorted keys
    named = set(names) <= {name for output in converted.outputs for name in output.names}
    for output, name in zip(converted.outputs, names, strict=True):
        # What was named in the graph, too, has several names, of which any may be given.
        own = next(known for known in names if known in output.names) if named else name
        output.get_tensor().set_names({own})
    return converted
