"""The runtimes that run a model for prediction, and the choice among them.

A runtime is called with a dict of arrays `[n, ...]` and returns a dict of arrays `[n, ...]`, for any n. `submit`
returns a future of the same, so that `num_requests` batches may be in flight. It never calls `model.predict`,
which sets up a new input pipeline in every call.
"""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from retinue.configs.choices import PRECISIONS, RUNTIME_PRECISIONS, RUNTIMES
from retinue.configs.errors import RetinueError, UsageError, first_line
from retinue.pipeline.runs.run import Model
from retinue.pipeline.runtimes import bf16_bias_correction, litert_runtime, onnx_runtime
from retinue.pipeline.runtimes.concurrent_requests import Arrays
from retinue.pipeline.runtimes.openvino_runtime import OpenVINORuntime, convert, import_openvino
from retinue.pipeline.runtimes.tensorflow_runtime import TensorFlowRuntime, trace

FASTEST_ON_CPU = ("openvino", "onnxruntime", "tensorflow", "litert")  # the fastest first, by `retinue benchmark`
# The files in the folder of an export.
SAVED_MODEL_FILE, OPENVINO_FILE, ONNX_FILE, LITERT_FILE = "saved_model.pb", "model.xml", "model.onnx", "model.tflite"
MODULES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "litert": "ai_edge_litert"}
INSTALLED_BY = {"openvino": "openvino", "onnxruntime": onnx_runtime.PACKAGES, "litert": litert_runtime.PACKAGES}
# The signature of an exported SavedModel from what `task.read` returns to what `task.inference` returns.
MODEL_SIGNATURE = "model"


class Runtime(Protocol):
    """What every runtime offers.

    Attributes:
        name: its name.
        precision: "f32", "bf16" or "int8".
        num_requests: how many requests may be in flight.
    """

    name: str
    precision: str
    num_requests: int

    def submit(self, inputs: Arrays) -> "Future[dict[str, np.ndarray]]":
        """Return a future of the outputs of a batch."""
        ...

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs of a batch."""
        ...


def start(function: Any, owner: Any, runtime: str, precision: str) -> Runtime:
    """Return a runtime for a concrete function.

    Args:
        function: the concrete function.
        owner: what holds its variables.
        runtime: "tensorflow", "openvino" or "onnxruntime".
        precision: "f32", or "bf16" with OpenVINO.
    """
    if runtime == "tensorflow":
        return TensorFlowRuntime(function, owner)
    if runtime == "onnxruntime":
        return onnx_runtime.OnnxRuntime(onnx_runtime.convert(function))
    return OpenVINORuntime(convert(function), precision)


def load(model: Model, runtime: str, precision: str) -> Runtime:
    """Return a runtime for a model: built from the weights of a run, or read from an export.

    Raises:
        RetinueError: the export is damaged.
    """
    if runtime == "openvino":
        converted = openvino_model(model)
        if precision == "bf16":
            bf16_bias_correction.correct(converted, model)
        return OpenVINORuntime(converted, precision)
    if runtime == "litert":
        path = model.folder / LITERT_FILE
        with _report_damage(path):
            return litert_runtime.LiteRTRuntime(path)
    path = model.folder / ONNX_FILE
    if runtime == "onnxruntime" and model.kind == "export" and path.is_file():
        with _report_damage(path):
            return onnx_runtime.OnnxRuntime(str(path))
    return start(*_function(model), runtime, precision)


def openvino_model(model: Model) -> Any:
    """Return the `openvino.Model`, in f32, of a model.

    Raises:
        RetinueError: the export is damaged.
    """
    path = model.folder / OPENVINO_FILE
    if model.kind == "export" and path.is_file():
        openvino = import_openvino()
        with _report_damage(path):
            return openvino.Core().read_model(path)
    function, _owner = _function(model)
    return convert(function)


def _function(model: Model) -> tuple[Any, Any]:
    """Return the concrete function of a model, and what holds its variables."""
    if model.kind == "run":
        inference = model.task.inference(model.build())
        return trace(inference), inference
    import tensorflow as tf

    with _report_damage(model.folder / SAVED_MODEL_FILE):
        exported = tf.saved_model.load(str(model.folder))
        return exported.signatures[MODEL_SIGNATURE], exported


@contextlib.contextmanager
def _report_damage(path: Path) -> Iterator[None]:
    """Turn the many errors of the readers of a damaged export into one line."""
    try:
        yield
    except Exception as error:
        raise RetinueError(
            f"{path}: can't be read ({first_line(error)}); it or a file beside it is damaged; export the run again"
        ) from error


def available_runtimes(model: Model) -> tuple[str, ...]:
    """Return the runtimes that can run a model, TensorFlow first.

    Raises:
        RetinueError: the export holds no model.
    """
    if model.kind == "run":
        return ("tensorflow", "openvino", "onnxruntime")
    files = {
        SAVED_MODEL_FILE: ("tensorflow", "openvino", "onnxruntime"),
        OPENVINO_FILE: ("openvino",),
        ONNX_FILE: ("onnxruntime",),
        LITERT_FILE: ("litert",),
    }
    found = [name for file, names in files.items() if (model.folder / file).is_file() for name in names]
    if not found:
        raise RetinueError(f"{model.folder}: {' or '.join(files)} is missing; export the run again")
    return tuple(dict.fromkeys(found))


def runtimes_and_precisions(model: Model) -> list[tuple[str, str]]:
    """Return the pairs of runtime and precision that are installed and can run a model."""
    if model.precision == "int8":
        return [("openvino", "int8")]
    return [
        (name, precision)
        for name in available_runtimes(model)
        if is_installed(name)
        for precision in RUNTIME_PRECISIONS[name]
    ]


def choose_for(model: Model, runtime: str = "auto", precision: str = "auto") -> tuple[str, str, str]:
    """Return the result of `choose` for a model, by what it can be run with and what was proven of it.

    Raises:
        UsageError: see `choose`.
    """
    if model.precision == "int8":
        if runtime not in ("auto", "openvino") or precision not in ("auto", "int8"):
            raise UsageError(
                f"{model.folder}: this is an int8 export for openvino; export the run again for other runtimes"
            )
        if not has_openvino():
            raise UsageError("--runtime openvino: OpenVINO is not installed; `pip install openvino`")
        return "openvino", "int8", "Runtime: openvino int8 (the format of this export)"
    return choose(runtime, precision, available_runtimes(model), model.proven)


def choose(
    runtime: str = "auto",
    precision: str = "auto",
    available: Sequence[str] = ("tensorflow", "openvino"),
    proven: Mapping[str, Any] | None = None,
) -> tuple[str, str, str]:
    """Choose a runtime and a precision.

    Args:
        runtime: a name of `RUNTIMES`.
        precision: a name of `PRECISIONS`.
        available: the runtimes that can run the model.
        proven: the result of `bf16_proof.prove`, or None. Only with it, "auto" chooses bf16.

    Returns:
        The runtime, the precision, and a line that says why.

    Raises:
        UsageError: a name is unknown, a runtime is not installed, or the two do not fit together.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"--runtime {runtime}: unknown; use one of {', '.join(RUNTIMES)}")
    if precision not in PRECISIONS:
        raise UsageError(f"--precision {precision}: unknown; use one of {', '.join(PRECISIONS)}")
    if precision == "int8":
        raise UsageError(
            "--precision int8: this needs an int8 export, calibrated on images: `retinue export RUN "
            "--to openvino --precision int8 --out DIR`"
        )
    why = "as requested"
    if runtime == "auto":
        runtime, why = _fastest(precision, available)
    if runtime not in available:
        raise UsageError(
            f"--runtime {runtime}: this model runs with {', '.join(available)} only; `retinue export RUN` makes others"
        )
    if not is_installed(runtime):
        others = [name for name in available if is_installed(name)]
        alternative = f", or use --runtime {others[0]}" if others else ""
        raise UsageError(
            f"--runtime {runtime}: it is not installed; `pip install {INSTALLED_BY[runtime]}`{alternative}"
        )
    if precision not in ("auto", *RUNTIME_PRECISIONS[runtime]):
        raise UsageError(f"--precision {precision}: {runtime} runs {', '.join(RUNTIME_PRECISIONS[runtime])} only")
    if precision == "auto":
        precision, reason = bf16_bias_correction.precision_for(proven) if runtime == "openvino" else ("f32", "")
        why += reason
    return runtime, precision, f"Runtime: {runtime} {precision} ({why})"


def has_openvino() -> bool:
    """Return whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def is_installed(runtime: str) -> bool:
    """Return whether a runtime is installed."""
    if runtime == "openvino":
        return has_openvino()
    return runtime not in MODULES or importlib.util.find_spec(MODULES[runtime]) is not None


def _fastest(precision: str, available: Sequence[str]) -> tuple[str, str]:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU") and "tensorflow" in available and precision != "bf16":
        return "tensorflow", "there is a GPU"
    if len(available) == 1:
        return available[0], "the only format in this export"
    fastest = next((name for name in FASTEST_ON_CPU if name in available and is_installed(name)), available[0])
    missing = "openvino" in available and not has_openvino()
    why = "mostly the fastest on a CPU; `retinue benchmark` measures"
    return fastest, "OpenVINO is not installed" if missing else why
