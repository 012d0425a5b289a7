"""Running a model for prediction: TensorFlow, OpenVINO or another, each called with a batch and nothing else.

A runtime is called with a dict of arrays `[n, ...]` and gives a dict of arrays `[n, ...]`, for any n; `submit` gives a
future of the same, so that `streams` batches can be under way. It never calls `model.predict`, which sets up a new
input pipeline on every call.
"""

import contextlib
import importlib.util

from retinue.configs.choices import PRECISIONS, RUNTIME_PRECISIONS, RUNTIMES
from retinue.configs.errors import RetinueError, UsageError, first_line
from retinue.pipeline.runtimes import bf16_bias_correction, litert_runtime, onnx_runtime
from retinue.pipeline.runtimes.openvino_runtime import OpenVINORuntime, convert, import_openvino
from retinue.pipeline.runtimes.tensorflow_runtime import TensorFlowRuntime, trace

SPEED_ON_A_CPU = ("openvino", "onnxruntime", "tensorflow", "litert")  # the fastest first, by `retinue benchmark`
# In an export's folder:
SAVED_MODEL_FILE, OPENVINO_FILE, ONNX_FILE, LITERT_FILE = "saved_model.pb", "model.xml", "model.onnx", "model.tflite"
MODULES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "litert": "ai_edge_litert"}
INSTALLED_BY = {"openvino": "openvino", "onnxruntime": onnx_runtime.PACKAGES, "litert": litert_runtime.PACKAGES}
MODEL_SIGNATURE = "model"  # of an exported SavedModel: from what `task.read` gives to what `task.inference` gives


def start(function, owner, runtime, precision):
    """The runtime ("tensorflow", "openvino", "onnxruntime") for a concrete function and what holds its variables."""
    if runtime == "tensorflow":
        return TensorFlowRuntime(function, owner)
    if runtime == "onnxruntime":
        return onnx_runtime.OnnxRuntime(onnx_runtime.convert(function))
    return OpenVINORuntime(convert(function), precision)


def load(model, runtime, precision):
    """The runtime for a `Model` of run.py: built from a run's weights, or read from an export.

    Raises RetinueError when the export is damaged.
    """
    if runtime == "openvino":
        converted = openvino_model(model)
        if precision == "bf16":
            bf16_bias_correction.correct(converted, model)
        return OpenVINORuntime(converted, precision)
    if runtime == "litert":
        path = model.folder / LITERT_FILE
        with _explained(path):
            return litert_runtime.LiteRTRuntime(path)
    path = model.folder / ONNX_FILE
    if runtime == "onnxruntime" and model.kind == "export" and path.is_file():
        with _explained(path):
            return onnx_runtime.OnnxRuntime(str(path))
    return start(*_function(model), runtime, precision)


def openvino_model(model):
    """The `openvino.Model`, in f32, of a `Model` of run.py. Raises RetinueError when the export is damaged."""
    path = model.folder / OPENVINO_FILE
    if model.kind == "export" and path.is_file():
        openvino = import_openvino()
        with _explained(path):
            return openvino.Core().read_model(path)
    function, _owner = _function(model)
    return convert(function)


def _function(model):
    """(concrete function, what holds its variables) of a `Model` of run.py."""
    if model.kind == "run":
        inference = model.task.inference(model.build())
        return trace(inference), inference
    import tensorflow as tf

    with _explained(model.folder / SAVED_MODEL_FILE):
        exported = tf.saved_model.load(str(model.folder))
        return exported.signatures[MODEL_SIGNATURE], exported


@contextlib.contextmanager
def _explained(path):
    """What the readers raise for a damaged export is of many kinds; all of it is one line for the user."""
    try:
        yield
    except Exception as error:
        raise RetinueError(
            f"{path}: can't be read ({first_line(error)}); it or a file beside it is damaged, export the run again"
        ) from error


def offered(model):
    """The runtimes that a `Model` of run.py can be run with, TensorFlow first.

    Raises RetinueError for an export without a model.
    """
    if model.kind == "run":
        return ("tensorflow", "openvino", "onnxruntime")
    files = {
        SAVED_MODEL_FILE: ("tensorflow", "openvino", "onnxruntime"),
        OPENVINO_FILE: ("openvino",),
        ONNX_FILE: ("onnxruntime",),
        LITERT_FILE: ("litert",),
    }
    held = [name for file, names in files.items() if (model.folder / file).is_file() for name in names]
    if not held:
        raise RetinueError(f"{model.folder}: {' or '.join(files)} is missing; export the run again")
    return tuple(dict.fromkeys(held))


def ways(model):
    """The pairs of runtime and precision that are installed and possible for a `Model` of run.py."""
    if model.precision == "int8":
        return [("openvino", "int8")]
    return [(name, precision) for name in offered(model) if has(name) for precision in RUNTIME_PRECISIONS[name]]


def choose_for(model, runtime="auto", precision="auto"):
    """`choose` for a `Model` of run.py, with what it offers and what was proven of it."""
    if model.precision == "int8":
        if runtime not in ("auto", "openvino") or precision not in ("auto", "int8"):
            raise UsageError(f"{model.folder}: is an int8 export for openvino; export the run again for others")
        if not has_openvino():
            raise UsageError("--runtime openvino: is not installed; `pip install openvino`")
        return "openvino", "int8", "Runtime: openvino int8 (what this export is)"
    return choose(runtime, precision, offered(model), model.proven)


def choose(runtime="auto", precision="auto", offered=("tensorflow", "openvino"), proven=None):
    """(runtime, precision, why): what to run with, and one line that says so.

    offered: the runtimes that the model can be run with. proven: what `bf16_proof.prove` found, or None;
    only with it
    does "auto" take bf16. Raises UsageError for what is unknown, not installed or not possible together.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"--runtime {runtime}: unknown; use one of {', '.join(RUNTIMES)}")
    if precision not in PRECISIONS:
        raise UsageError(f"--precision {precision}: unknown; use one of {', '.join(PRECISIONS)}")
    if precision == "int8":
        raise UsageError(
            "--precision int8: is for an export that was made so, calibrated on photos: `retinue export RUN "
            "--to openvino --precision int8 --out DIR`"
        )
    why = "as asked"
    if runtime == "auto":
        runtime, why = _fastest(precision, offered)
    if runtime not in offered:
        raise UsageError(
            f"--runtime {runtime}: this model is for {', '.join(offered)} only; `retinue export RUN` makes others"
        )
    if not has(runtime):
        others = [name for name in offered if has(name)]
        way_out = f", or --runtime {others[0]}" if others else ""
        raise UsageError(f"--runtime {runtime}: is not installed; `pip install {INSTALLED_BY[runtime]}`{way_out}")
    if precision not in ("auto", *RUNTIME_PRECISIONS[runtime]):
        raise UsageError(f"--precision {precision}: {runtime} runs {', '.join(RUNTIME_PRECISIONS[runtime])} only")
    if precision == "auto":
        precision, because = bf16_bias_correction.precision_for(proven) if runtime == "openvino" else ("f32", "")
        why += because
    return runtime, precision, f"Runtime: {runtime} {precision} ({why})"


def has_openvino():
    """Whether OpenVINO is installed."""
    return importlib.util.find_spec("openvino") is not None


def has(runtime):
    """Whether a runtime is installed."""
    if runtime == "openvino":
        return has_openvino()
    return runtime not in MODULES or importlib.util.find_spec(MODULES[runtime]) is not None


def _fastest(precision, offered):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU") and "tensorflow" in offered and precision != "bf16":
        return "tensorflow", "there is a GPU"
    if len(offered) == 1:
        return offered[0], "all that this export holds"
    fastest = next((name for name in SPEED_ON_A_CPU if name in offered and has(name)), offered[0])
    missing = "openvino" in offered and not has_openvino()
    why = "mostly the fastest on a CPU; `retinue benchmark` measures"
    return fastest, "OpenVINO is not installed" if missing else why
