"""What `retinue explain` can open: a run folder, an export, or a backbone by its name."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import keras

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.configs.suggestions import did_you_mean
from retinue.explain.imagenet_classes import IMAGENET_CLASSES
from retinue.pipeline.explaining.compile_model import compile_model
from retinue.pipeline.runs.run import Model, open_model
from retinue.pipeline.runtimes import runtimes
from retinue.tasks.classification.explainer import ClassifierExplainer, probability_function
from retinue.tasks.explainer import Explainer, ImageExplainer

logger = logging.getLogger(__name__)


def open_explainer(name: str | os.PathLike[str] | Model, weights: str | None = None) -> Explainer:
    """Open a model to explain.

    Args:
        name: a run folder, an export folder, the name of a backbone, or an opened model. Where a folder has the name of
            a backbone, the folder is opened.
        weights: of a backbone, see `backbones.load_weights`. By default those of ImageNet.

    Returns:
        The explainer that the model's task supplies; of a backbone a `ClassifierExplainer`.

    Raises:
        UsageError: there is no such model (the message suggests similar names), or it can't be explained.
    """
    if isinstance(name, Model) or Path(name).exists():
        if weights is not None:
            raise UsageError(
                f"--weights {weights}: is for the name of a backbone, and {name} has its own weights; remove the option"
            )
        opened = name if isinstance(name, Model) else open_model(name)
        return _open_folder(opened, str(opened.folder if isinstance(name, Model) else name))
    name = os.fspath(name)
    if name not in backbones.names():
        raise UsageError(
            f"{name}: there is no such folder, and no backbone of this name{did_you_mean(name, backbones.names())}"
        )
    return _open_backbone(name, "imagenet" if weights is None else weights)


def _open_folder(opened: Model, name: str) -> Explainer:
    explainer = _explainer_of(opened, name)
    if isinstance(explainer, ImageExplainer):
        explainer.pixel_range = opened.config.data.pixel_range
    return explainer


def _explainer_of(opened: Model, name: str) -> Explainer:
    task = opened.task
    if opened.kind == "run":
        explainer = task.explainer(name, opened.build(), compile_model)
        if explainer is None:
            raise UsageError(f"{name}: models of the task {task.name} can't be explained")
        return explainer
    runtime, precision, _ = runtimes.choose(available=runtimes.available_runtimes(opened))
    explainer = task.black_box_explainer(name, runtimes.load(opened, runtime, precision))
    if explainer is None:
        raise UsageError(
            f"{name}: is an export, which holds no Keras model; to explain a {task.name} model give the run folder "
            "that it came from"
        )
    return explainer


def _open_backbone(name: str, weights: str) -> ClassifierExplainer:
    row = backbones.find(name)
    size = None if row.any_size else row.input_size
    model = backbones.build(name, weights="none", input_size=size, classifier=True)
    missing: Sequence[str] = ()
    if weights != "none":
        report = backbones.load_weights(model, weights, name)
        logger.info("%s", report)
        missing = report.missing
    if any(key.startswith(("logits/", "predictions/", "fc6/")) for key in missing):
        trunk = backbones.build(name, weights="none", input_size=size)
        backbones.load_weights(trunk, weights, name)
        model = _with_one_output(trunk, trunk.output[max(trunk.output)])
        return ClassifierExplainer(name, model, None, row.input_size, "stretch", None)
    model = _with_one_output(model, model.output["logits"])
    count = model.output.shape[-1]
    classes = IMAGENET_CLASSES if count == len(IMAGENET_CLASSES) else tuple(map(str, range(count)))  # LeNet-5's digits
    predict = probability_function(model, row.input_size, "softmax", compile_model)
    return ClassifierExplainer(name, model, classes, row.input_size, "stretch", predict)


def _with_one_output(model: keras.Model, output: keras.KerasTensor) -> keras.Model:
    return keras.Model(model.input, output, name=model.name)
