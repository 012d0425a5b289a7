"""Overlays: the images with their predictions drawn on them."""

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import cv2

from retinue.pipeline.inputs.path_names import output_path
from retinue.pipeline.prediction.image_writer import read_image_again, write_in_threads, write_jpeg
from retinue.pipeline.prediction.predictor import Result

if TYPE_CHECKING:
    from retinue.tasks.task import Task

MAX_SIDE = 4096  # pixels; a larger image is resized after drawing
JPEG_QUALITY = 90


def with_overlays(results: Iterable[Result], task: "Task", folder: str | os.PathLike[str]) -> Iterator[Result]:
    """Yield results in their order, each after its overlay is written to `folder/<path of the file>.jpg`.

    Args:
        results: the results of an image model.
        task: the task, which draws the predictions.
        folder: the folder of the overlays.
    """
    return write_in_threads(results, lambda result: _write_overlay(result, task, folder), "overlay")


def _write_overlay(result: Result, task: "Task", folder: str | os.PathLike[str]) -> None:
    """Write the overlay of one file. A file that has vanished meanwhile has no overlay."""
    image = read_image_again(result.file, task.config.data.pixel_range)
    if image is None:
        return
    drawn = task.draw(image, result.prediction or {})
    scale = MAX_SIDE / max(drawn.shape[:2])
    if scale < 1:
        drawn = cv2.resize(drawn, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    write_jpeg(os.path.join(folder, output_path(result.file, ".jpg")), drawn, JPEG_QUALITY, "--overlay")
