"""The proof of bfloat16: how much of a run's score it loses."""

from typing import TYPE_CHECKING, Any

from retinue.pipeline.runtimes.bf16_bias_correction import MIN_FILES, correct, is_native

if TYPE_CHECKING:
    from retinue.data.dataset import Dataset
    from retinue.pipeline.runs.run import Run
    from retinue.tasks.model import TaskModel
    from retinue.tasks.scores import Scores
    from retinue.tasks.task import Task


def prove(run: "Run", task: "Task", model: "TaskModel", dataset: "Dataset", scores: "Scores") -> dict[str, Any] | None:
    """Score a finished run in bf16, for `run.json`.

    Args:
        run: the finished run.
        task: the task.
        model: its model with the best weights.
        dataset: what it was scored on.
        scores: its scores in f32.

    Returns:
        `score`, the name of the primary metric; `files`, how many were scored; `f32` and `bf16`, its values. None where
        there are too few files, or where bf16 would not be faster on this machine.
    """
    from retinue.pipeline.evaluation.evaluate import score
    from retinue.pipeline.runs.run import open_model
    from retinue.pipeline.runtimes import openvino_runtime, runtimes

    if scores.value is None or len(dataset) < MIN_FILES or not runtimes.has_openvino() or not is_native():
        return None
    converted = runtimes.convert(runtimes.trace(task.inference(model)))
    correct(converted, open_model(run.folder))
    bf16 = score(task, openvino_runtime.OpenVINORuntime(converted, "bf16"), dataset, interval=False)
    return {"score": scores.primary_metric, "files": len(dataset), "f32": scores.value, "bf16": bf16.value}
