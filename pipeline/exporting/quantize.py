"""An int8 model for OpenVINO, calibrated on the files that the net learned from, and what that costs on the others.

Weights and activations of 8 bits, by nncf's post-training quantisation with its bias correction; the ranges are those
met on a run's own training files.
"""

import importlib.util
import logging

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.evaluation.evaluate import choose_files, score
from retinue.pipeline.runs import run_records
from retinue.pipeline.runs.run import Run
from retinue.pipeline.runtimes import bf16_bias_correction, openvino_runtime

logger = logging.getLogger(__name__)

FILES = 200  # that the ranges are taken from
ENOUGH = 0.005  # of a score from 0 to 1, to take weights of the whole range


def known_files(model):
    """(learned, held out): `Dataset`s of the files where the run's `Model` says that they are.

    Raises RetinueError where they are gone, or none was held out.
    """
    source = Run(model.folder).info["data"]["source"]
    try:
        dataset, _ = choose_files(model, source, "all")
        held = next((name for name in ("test", "val") if (dataset.splits == name).any()), None)
        if held is None:
            raise RetinueError(f"{source}: has no files that were held out")
    except RetinueError as error:
        raise RetinueError(f"int8 is to be scored on the files that were held out: {error}") from None
    return dataset.split("train"), dataset.split(held)


def quantized(model, converted, learned):
    """The int8 `openvino.Model` of a run's `Model` and its `openvino.Model` in f32.

    learned: `Dataset` of the files that it learned from.

    A processor without VNNI adds the products of two weights in 16 bits, where they may not fit. Weights of half the
    range, 7 bits, always fit, and so say the same on every processor; they are taken unless the run's training files
    are scored more than half a point lower with them, on this machine, than with the whole range.
    Raises UsageError where nncf is missing, or the files that the run learned from.
    """
    records = run_records.sample_records(model, "train", FILES)
    if not records:
        raise UsageError(f"{model.folder}: none of the files it learned from is left to calibrate int8 with")
    logger.info(f"int8: calibrating on {len(records)} of the files it learned from")
    inputs = [
        {name: value[None] for name, value in run_records.read_record(model.task, one).items()} for one in records
    ]
    half, whole = (_quantized(model.task, converted, inputs, weights) for weights in ("half", "whole"))
    learned = learned.take(np.linspace(0, len(learned) - 1, min(FILES, len(learned))).round().astype(int))
    lower, higher = (_score(model.task, one, "int8", learned).value for one in (half, whole))
    return whole if lower < higher - ENOUGH else half


def _quantized(task, converted, inputs, weights):
    """The int8 `openvino.Model` whose weights are in "half" or the "whole" of the range of 8 bits."""
    with openvino_runtime.telemetry_off():
        import nncf

        nncf.set_log_level(logging.ERROR)
        fix = nncf.OverflowFix.ENABLE if weights == "half" else nncf.OverflowFix.FIRST_LAYER
        options = {"advanced_parameters": nncf.AdvancedQuantizationParameters(overflow_fix=fix)}
        if task.name == "detection":  # proposals and boxes are arithmetic: only layers are worth 8 bits
            kinds = {node.get_type_name() for node in converted.get_ordered_ops()}
            kinds -= {*bf16_bias_correction.KINDS, "Constant", "Parameter", "Result"}
            options["ignored_scope"] = nncf.IgnoredScope(
                types=sorted(kinds), patterns=[".*roi_align.*"], validate=False
            )
        return nncf.quantize(converted, nncf.Dataset(inputs), subset_size=len(inputs), **options)


def cost(task, converted, small, held_out):
    """{"score", "files", "f32", "int8"}: what the `Dataset` held out is scored with, and both scores.

    converted, small: the `openvino.Model`s in f32 and int8.
    """
    first = _score(task, converted, "f32", held_out)
    second = _score(task, small, "int8", held_out)
    return {"score": first.primary_metric, "files": len(held_out), "f32": first.value, "int8": second.value}


def _score(task, converted, precision, dataset):
    return score(task, openvino_runtime.OpenVINORuntime(converted, precision), dataset, interval=False)


def refuse_missing():
    """Raise UsageError where nncf is not installed."""
    if importlib.util.find_spec("nncf") is None:
        raise UsageError("--precision int8: nncf is not installed; `pip install 'retinue[quantize]'`")
