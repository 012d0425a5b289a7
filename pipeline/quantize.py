"""An int8 model for OpenVINO, calibrated on the files that the net learned from, and what that costs on the others.

Weights and activations of 8 bits, by nncf's post-training quantisation with its bias correction; the ranges are those
met on a run's own training files.
"""

import importlib.util
import logging

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline import openvino_runtime, rounding, run_records
from retinue.pipeline.evaluate import choose_files, score
from retinue.pipeline.run import Run

FILES = 200  # that the ranges are taken from


def quantized(model, converted, say):
    """The int8 `openvino.Model` of a run's `Model` and its `openvino.Model` in f32.

    Raises UsageError where nncf is missing, or the files that the run learned from.
    """
    records = run_records.spread(model, "train", FILES)
    if not records:
        raise UsageError(f"{model.folder}: none of the files it learned from is left to calibrate int8 with")
    say(f"int8: calibrating on {len(records)} of the files it learned from")
    inputs = [{name: value[None] for name, value in run_records.read(model.task, one).items()} for one in records]
    with openvino_runtime.nothing_sent():
        import nncf

        nncf.set_log_level(logging.ERROR)
        options = {}
        if model.task.name == "detection":  # proposals and boxes are arithmetic: only layers are worth 8 bits
            kinds = {node.get_type_name() for node in converted.get_ordered_ops()}
            kinds -= {*rounding.KINDS, "Constant", "Parameter", "Result"}
            options = {
                "ignored_scope": nncf.IgnoredScope(types=sorted(kinds), patterns=[".*roi_align.*"], validate=False)
            }
        return nncf.quantize(converted, nncf.Dataset(inputs), subset_size=len(inputs), **options)


def cost(model, converted, small, say):
    """{"score", "files", "f32", "int8"}: what the run's own held-out files are scored with, and both scores.

    converted, small: the `openvino.Model`s in f32 and int8. Raises RetinueError where those files are gone.
    """
    source = Run(model.folder).info["data"]["source"]
    try:
        dataset, chosen = choose_files(model, source, say=say)
        if chosen not in ("test", "val"):
            raise RetinueError(f"{source}: has no files that were held out")
    except RetinueError as error:
        raise RetinueError(f"int8 is to be scored on the files that were held out: {error}") from None
    first, second = (
        score(model.task, openvino_runtime.OpenVINORuntime(one, precision), dataset, interval=False)
        for one, precision in ((converted, "f32"), (small, "int8"))
    )
    return {"score": first.headline, "files": len(dataset), "f32": first.value, "int8": second.value}


def refuse_missing():
    """Raise UsageError where nncf is not installed."""
    if importlib.util.find_spec("nncf") is None:
        raise UsageError("--precision int8: nncf is not installed; `pip install 'retinue[quantize]'`")
