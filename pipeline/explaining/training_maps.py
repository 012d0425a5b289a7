"""Where the model looks: Grad-CAM for the worst images of the report, and for TensorBoard during training."""

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from retinue.tasks.explainer import ImageExplainer

if TYPE_CHECKING:
    import keras

    from retinue.data.dataset import Dataset
    from retinue.tasks.model import TaskModel
    from retinue.tasks.task import Task
    from retinue.tasks.worst_images import WorstImage

NUM_IMAGES = 6  # images of the validation set whose maps go to TensorBoard


def add_class_maps(task: "Task", model: "TaskModel", images: "Sequence[WorstImage]") -> "list[WorstImage]":
    """Add the map of the first predicted label to the worst images, where the task has such maps.

    Args:
        task: the task.
        model: the trained model.
        images: what `evaluate.worst_images` returned.

    Returns:
        The images with `class_map`. An image without a predicted label stays as it is.
    """
    explainer = _explainer(task, model)
    labeled = [item for item in images if item.predicted]
    if explainer is None or not labeled:
        return list(images)
    from retinue.explain import grad_cam

    labels = np.array([task.classes.index(item.predicted[0]["label"]) for item in labeled])
    maps = grad_cam.grad_cam(model, np.stack([explainer.prepare(item.image) for item in labeled]), labels)
    drawn = {
        id(item): grad_cam.draw(item.image, explainer.to_original(class_map, item.image.shape))
        for item, class_map in zip(labeled, maps, strict=True)
    }
    return [dataclasses.replace(item, class_map=drawn.get(id(item))) for item in images]


def class_map_callbacks(
    task: "Task", model: "TaskModel", validation: "Dataset", folder: str | os.PathLike[str]
) -> "list[keras.callbacks.Callback]":
    """Make the Keras callback that writes maps of a few validation images to TensorBoard after every epoch.

    Args:
        task: the task.
        model: the model that is trained.
        validation: the validation set. Each map is for the true class of its image.
        folder: the folder of TensorBoard's files.

    Returns:
        A list with the callback; an empty list for tasks without such maps.
    """
    explainer = _explainer(task, model)
    if explainer is None:
        return []
    import tensorflow as tf

    from retinue.explain.callback import GradCamCallback

    rows = np.unique(np.linspace(0, len(validation) - 1, NUM_IMAGES).round().astype(int))
    images, labels, names = [], [], []
    for row, record in zip(rows, validation.take(rows), strict=True):
        try:
            original = task.image_of_record(record)
        except (OSError, tf.errors.OpError):  # evaluation will name the file
            continue
        class_names = task.class_names_of_record(validation, record)
        if class_names:
            images.append(np.uint8(explainer.prepare(original)))
            labels.append(task.classes.index(class_names[0]))
            names.append(f"{row} {class_names[0]}")
    return [GradCamCallback(folder, np.stack(images), labels, names)] if images else []


def _explainer(task: "Task", model: "TaskModel") -> ImageExplainer | None:
    """Return the explainer of a task with class maps, else None."""
    if not task.has_class_maps:
        return None
    from retinue.pipeline.explaining.compile_model import compile_model

    explainer = task.explainer("model", model, compile_model)
    return explainer if isinstance(explainer, ImageExplainer) else None
