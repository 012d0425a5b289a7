"""An int8 model for OpenVINO, calibrated on the training set, and how much of the score it loses.

Weights and activations of 8 bits, by the post-training quantization of nncf with its bias correction; the ranges are
those that the run's own training files give.
"""

import importlib.util
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.evaluation.evaluate import choose_files, score
from retinue.pipeline.runs import run_records
from retinue.pipeline.runs.run import Model, Run
from retinue.pipeline.runtimes import bf16_bias_correction, openvino_runtime

if TYPE_CHECKING:
    import openvino

    from retinue.data.dataset import Dataset
    from retinue.tasks.scores import Scores
    from retinue.tasks.task import Task

NUM_FILES = 200  # files that the ranges are taken from
MIN_GAIN = 0.005  # of a score from 0 to 1, for weights in the whole range of 8 bits

logger = logging.getLogger(__name__)


def datasets_of_run(model: Model) -> "tuple[Dataset, Dataset]":
    """Read the data of a run again, from where the run found it.

    Args:
        model: the run.

    Returns:
        The training set, and the test set (without one, the validation set).

    Raises:
        RetinueError: the files are gone, or the run has neither a test set nor a validation set.
    """
    source = Run(model.folder).info["data"]["source"]
    try:
        dataset, _ = choose_files(model, source, "all")
        split = next((name for name in ("test", "val") if (dataset.splits == name).any()), None)
        if split is None:
            raise RetinueError(f"{source}: there is neither a test set nor a validation set")
    except RetinueError as error:
        raise RetinueError(f"int8 must be scored on files that the model was not trained on: {error}") from None
    return dataset.split("train"), dataset.split(split)


def quantize(model: Model, converted: "openvino.Model", training_set: "Dataset") -> "openvino.Model":
    """Quantize a model.

    A processor without VNNI adds the products of two weights in 16 bits, where they may not fit. Weights in half of the
    range, 7 bits, always fit, and so give the same results on every processor. They are used unless the training files
    are scored more than half a percentage point lower with them, on this machine, than with the whole range.

    Args:
        model: the run.
        converted: its `openvino.Model` in f32.
        training_set: the files that it was trained on.

    Returns:
        The int8 model.

    Raises:
        UsageError: none of the training files exists any more.
    """
    records = run_records.sample_records(model, "train", NUM_FILES)
    if not records:
        raise UsageError(
            f"{model.folder}: none of the files that it was trained on exists any more, so int8 can't be calibrated; "
            "put them back, or export f32"
        )
    logger.info(f"int8: calibrating on {len(records)} files of the training set")
    inputs = [
        {name: value[None] for name, value in run_records.read_record(model.task, one).items()} for one in records
    ]
    half, full = (_quantize(model.task, converted, inputs, half_range) for half_range in (True, False))
    rows = np.linspace(0, len(training_set) - 1, min(NUM_FILES, len(training_set))).round().astype(int)
    scored = training_set.take(rows)
    half_score, full_score = (_score(model.task, one, "int8", scored).value for one in (half, full))
    return full if half_score < full_score - MIN_GAIN else half


def _quantize(
    task: "Task", converted: "openvino.Model", inputs: Sequence[dict[str, np.ndarray]], half_range: bool
) -> "openvino.Model":
    """Return the int8 model with weights in half of the range of 8 bits, or in the whole range."""
    with openvino_runtime.telemetry_off():
        import nncf

        nncf.set_log_level(logging.ERROR)
        fix = nncf.OverflowFix.ENABLE if half_range else nncf.OverflowFix.FIRST_LAYER
        options = {"advanced_parameters": nncf.AdvancedQuantizationParameters(overflow_fix=fix)}
        if task.quantize_layers_only:
            kinds = {node.get_type_name() for node in converted.get_ordered_ops()}
            kinds -= {*bf16_bias_correction.KINDS, "Constant", "Parameter", "Result"}
            patterns = list(task.quantize_excluded_patterns)
            options["ignored_scope"] = nncf.IgnoredScope(types=sorted(kinds), patterns=patterns, validate=False)
        return nncf.quantize(converted, nncf.Dataset(inputs), subset_size=len(inputs), **options)


def compare_scores(
    task: "Task", converted: "openvino.Model", quantized: "openvino.Model", dataset: "Dataset"
) -> dict[str, Any]:
    """Score the f32 model and the int8 model.

    Args:
        task: the task.
        converted: the `openvino.Model` in f32.
        quantized: the `openvino.Model` in int8.
        dataset: files that the model was not trained on.

    Returns:
        `score`, the name of the primary metric; `files`, how many were scored; `f32` and `int8`, its values.
    """
    f32 = _score(task, converted, "f32", dataset)
    int8 = _score(task, quantized, "int8", dataset)
    return {"score": f32.primary_metric, "files": len(dataset), "f32": f32.value, "int8": int8.value}


def _score(task: "Task", converted: "openvino.Model", precision: str, dataset: "Dataset") -> "Scores":
    return score(task, openvino_runtime.OpenVINORuntime(converted, precision), dataset, interval=False)


def check_installed() -> None:
    """Raise UsageError where nncf is not installed."""
    if importlib.util.find_spec("nncf") is None:
        raise UsageError("--precision int8: nncf is not installed; `pip install 'retinue[quantize]'`")
