"""The Python interface: the commands as functions. Configuration keys are keyword arguments with `__` for the dot."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retinue.configs.load import load_config
from retinue.configs.quiet import import_tensorflow

if TYPE_CHECKING:
    import keras

    from retinue.data.checking.check_report import CheckReport
    from retinue.pipeline.flow import FlowSummary
    from retinue.pipeline.prediction.options import PredictOptions
    from retinue.pipeline.prediction.predict import PredictSummary
    from retinue.pipeline.training.train import TrainResult
    from retinue.tasks.model import TaskModel
    from retinue.tasks.scores import Scores

Path = str | os.PathLike[str]


def check(data: str, task: str = "auto", **settings: Any) -> "CheckReport":
    """Check a data source. Imports no TensorFlow.

    Args:
        data: a folder, a file, or "tfds:NAME".
        task: the name of the task, or "auto".
        **settings: configuration keys, for example `data__max_pixels=10_000_000`.

    Returns:
        The report, which holds the dataset.
    """
    from retinue.pipeline.inputs.prepare import config_for, read_and_check

    config = config_for(data, None if task == "auto" else task, options=_dotted(settings))
    return read_and_check(data, config, task=task)


def train(
    data: str, out: Path | None = None, recipe: str | None = None, resume: bool = False, **settings: Any
) -> "TrainResult":
    """Fine-tune a model.

    Args:
        data: a folder, a file, or "tfds:NAME".
        out: the run folder; by default the next free one in runs/.
        recipe: the name or the path of a recipe; by default that of the task.
        resume: whether to resume the run in `out` with its own configuration.
        **settings: configuration keys, for example `model__backbone="keras/ResNet50"`.

    Returns:
        The `Run` and its `Scores`; see `pipeline.training.train.train`.
    """
    from retinue.pipeline.inputs.prepare import config_for
    from retinue.pipeline.training.train import train

    config = None
    if not resume or recipe or settings:
        options = _dotted(settings)
        config = config_for(data, options.pop("task", None), recipe, options=options)
    return train(data, config, out, resume=resume, command="retinue.train")


def evaluate(
    model: Path, data: Path, split: str | None = None, runtime: str = "auto", precision: str = "auto"
) -> "Scores":
    """Score a model on data with known answers.

    Args:
        model: a run folder or an export.
        data: a folder, a file, or "tfds:NAME".
        split: "train", "val", "test" or "all"; by default "test", or "val" if there is no test set.
        runtime: "auto" or a name of `choices.RUNTIMES`.
        precision: "auto" or a name of `choices.PRECISIONS`.

    Returns:
        The scores; see `pipeline.evaluation.evaluate.evaluate`.
    """
    import_tensorflow()
    from retinue.pipeline.evaluation.evaluate import evaluate

    return evaluate(model, data, split=split, runtime=runtime, precision=precision)


def predict(
    model: Path, sources: Sequence[Path], out: Path, options: "PredictOptions | None" = None, **fields: Any
) -> "PredictSummary":
    """Run a model over files and write its predictions into a folder.

    Args:
        model: a run folder or an export.
        sources: files, folders, patterns and lists; see `pipeline.inputs.sources.find_files`.
        out: the folder of the results.
        options: the options.
        **fields: fields of `PredictOptions` that replace those of `options`, for example `formats=("jsonl", "csv")`.

    Returns:
        What was done; see `pipeline.prediction.predict.predict`.
    """
    import_tensorflow()
    from retinue.pipeline.prediction.predict import predict

    return predict(model, sources, out, options, **fields)


def export(run: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Export a run.

    Args:
        run: the run folder.
        out: the folder of the export.
        **options: fields of `ExportOptions`, for example `formats=("openvino",)`.

    Returns:
        What was verified; see `pipeline.exporting.export.export`.
    """
    import_tensorflow()
    from retinue.pipeline.exporting.export import export
    from retinue.pipeline.exporting.options import ExportOptions

    return export(run, out, ExportOptions(**options))


def explain_images(model: Path, images: Sequence[Path] = (), out: Path = "explanations", **options: Any) -> int:
    """Show what a model looks at.

    Args:
        model: a run folder, an export of a classifier, or the name of a backbone.
        images: the files.
        out: the folder of the results, which must not exist.
        **options: fields of `ExplainOptions`, for example `methods=("grad-cam",)`.

    Returns:
        The number of images that could not be explained; see `pipeline.explaining.explain.explain`.
    """
    import_tensorflow()
    from retinue.pipeline.explaining.explain import explain
    from retinue.pipeline.explaining.options import ExplainOptions

    return explain(model, images, out, ExplainOptions(**options))


def flow(
    sources: Sequence[Path],
    out: Path,
    method: str = "dis",
    bound: float = 8.0,
    size: tuple[int, int] = (128, 170),
) -> "FlowSummary":
    """Compute and store the optical flow of clips. Imports no TensorFlow.

    Args:
        sources: files, folders, patterns and lists; see `pipeline.inputs.sources.find_files`.
        out: the folder of the flow.
        method: "dis", "farneback" or "tvl1".
        bound: the largest motion in pixels that 8 bits represent.
        size: (height, width) in pixels to which the frames are resized first.

    Returns:
        What was done; see `pipeline.flow.extract_flow`.
    """
    from retinue.pipeline.flow import extract_flow

    return extract_flow(sources, out, method=method, bound=bound, size=size)


def build(
    task: str, classes: Sequence[str], recipe: str | None = None, multi_label: bool = False, **settings: Any
) -> "TaskModel":
    """Build an untrained model.

    Args:
        task: the name of the task.
        classes: the class names.
        recipe: the name or the path of a recipe.
        multi_label: whether an image may have several labels.
        **settings: configuration keys, for example `model__backbone="resnet50"`.

    Returns:
        The Keras model to train.
    """
    import_tensorflow()
    from retinue import tasks

    config = load_config(recipe, options=_dotted({"task": task, **settings}))
    return tasks.create(config, classes, multi_label).build()


def load(path: Path, training: bool = False) -> "keras.Model":
    """Load the trained Keras model of a run folder.

    By default it is the model that predicts, as every runtime and every export runs it: it takes a dict of uint8 images
    `[n, h, w, 3]` or the other inputs of the task, and returns a dict of outputs. A detector needs no boxes and labels,
    and returns its detections.

    Args:
        path: the run folder.
        training: whether to return the `TaskModel` that is trained instead. It computes losses, so that of a detector
            takes boxes and labels, too. It serves for further training, and for the methods of `retinue.explain`.

    Returns:
        The model, with the best weights of the run.

    Raises:
        UsageError: there is no run, or it is an export, which holds no Keras model.
        RetinueError: the run has no weights yet, or they are damaged.
    """
    import_tensorflow()
    from retinue.pipeline.runs.run import open_model

    model = open_model(path)
    trained = model.build()
    return trained if training else model.task.inference(trained)


def _dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted configuration keys."""
    return {key.replace("__", "."): value for key, value in settings.items()}
