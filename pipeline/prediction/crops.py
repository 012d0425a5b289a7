"""Crops of the detected objects: one file for each object, in one folder for each class."""

import os
import re
from collections.abc import Iterable, Iterator

from retinue.data.decoding.pixel_range import PixelRange
from retinue.pipeline.inputs.path_names import output_path
from retinue.pipeline.prediction.image_writer import read_image_again, write_in_threads, write_jpeg
from retinue.pipeline.prediction.predictor import Result
from retinue.tasks.fonts import printable

JPEG_QUALITY = 95


def with_crops(
    results: Iterable[Result],
    folder: str | os.PathLike[str],
    score_threshold: float = 0.4,
    pixel_range: PixelRange | None = None,
) -> Iterator[Result]:
    """Yield results in their order, each after the crops of its detections are written.

    A crop is written to `folder/<class>/<path of the file>-<number>.jpg`. The numbers start at 1 for the highest score.

    Args:
        results: the results of a detector.
        folder: the folder of the crops.
        score_threshold: the lowest score of a detection that is written.
        pixel_range: data.pixel_range of the detector.
    """
    return write_in_threads(results, lambda result: _write_crops(result, folder, score_threshold, pixel_range), "crop")


def _write_crops(
    result: Result, folder: str | os.PathLike[str], score_threshold: float, pixel_range: PixelRange | None
) -> None:
    """Write the crops of one file. A file that has vanished meanwhile has no crops."""
    detections = (result.prediction or {})["detections"]
    detections = [entry for entry in detections if entry["score"] >= score_threshold]
    image = read_image_again(result.file, pixel_range) if detections else None
    if image is None:
        return
    height, width = image.shape[:2]
    for number, entry in enumerate(sorted(detections, key=lambda entry: -entry["score"]), 1):
        x1, y1, x2, y2 = entry["box"]
        left, top = min(max(int(x1), 0), width - 1), min(max(int(y1), 0), height - 1)
        right, bottom = min(max(round(x2), left + 1), width), min(max(round(y2), top + 1), height)
        path = os.path.join(folder, _folder_name(entry["label"]), output_path(result.file, f"-{number}.jpg"))
        write_jpeg(path, image[top:bottom, left:right], JPEG_QUALITY, "--crops")


def _folder_name(label: str) -> str:
    """Return a class name as the name of a folder that every file system accepts."""
    return re.sub(r"[^\w.+-]+", "-", printable(label)).strip(".") or "-"
