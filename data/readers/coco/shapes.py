"""The shapes that COCO's `segmentation` can hold, in the dialects that programs write."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pycocotools import mask as coco

from retinue.data.readers.coco.run_lengths import decode_run_lengths

MIN_COORDINATES = 6  # of a polygon: three points
DISTANT = "its polygon lies far outside of the image"
MAX_SIDES = 100  # of the image; pycocotools allocates memory for the whole outline of a polygon

Polygon = list[float]


def decode_shape(segmentation: Any, height: int, width: int) -> np.ndarray | None:
    """Return the pixels of the shape of an annotation, bool `[height, width]`, None where it has none.

    A shape is a list of polygons, each a flat list of coordinates or a list of points; a single polygon; run lengths,
    compressed or not; or a list of run lengths.

    Raises:
        ValueError: It is not a shape of this size. The message is the reason.
    """
    if segmentation is None or segmentation == []:
        return None
    if isinstance(segmentation, dict):
        return _decode_runs([segmentation], height, width)
    if not isinstance(segmentation, list):
        raise ValueError(f"its segmentation is {_kind(segmentation)}, not polygons or run lengths")
    if all(isinstance(entry, dict) for entry in segmentation):
        return _decode_runs(segmentation, height, width)
    return draw_polygons(polygons_of(segmentation), height, width)


def draw_polygons(polygons: Sequence[Polygon], height: int, width: int) -> np.ndarray:
    """Return the pixels that any of some polygons covers, bool `[height, width]`.

    Raises:
        ValueError: One of them is distant, as `is_distant` says.
    """
    if any(is_distant(polygon, height, width) for polygon in polygons):
        raise ValueError(DISTANT)
    return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)


def is_distant(polygon: ArrayLike, height: int, width: int) -> bool:
    """Return whether a polygon lies so far outside of its image that drawing it could take all memory."""
    return bool(np.abs(polygon).max() > MAX_SIDES * max(height, width))


def polygons_of(segmentation: Any) -> list[Polygon]:
    """Return the polygons of an annotation as flat lists of coordinates; those of fewer than three points are omitted.

    Raises:
        ValueError: They are not polygons. The message is the reason.
    """
    if not isinstance(segmentation, list):
        raise ValueError(f"its segmentation is {_kind(segmentation)}, not polygons")
    if _is_flat(segmentation) or _is_points(segmentation):
        segmentation = [segmentation]
    polygons = []
    for entry in segmentation:
        try:
            polygon = np.asarray(entry, np.float64).reshape(-1)
        except (ValueError, TypeError):
            raise ValueError("its polygon has a value that is not a number") from None
        if len(polygon) % 2:
            raise ValueError(f"its polygon has {len(polygon)} numbers, which are not pairs of x and y")
        if not np.isfinite(polygon).all():
            raise ValueError("its polygon has a value that is not a finite number")
        if len(polygon) >= MIN_COORDINATES:
            polygons.append(polygon.tolist())
    if not polygons:
        raise ValueError("its polygon has fewer than three points")
    return polygons


def polygon_box(segmentation: Any) -> tuple[float, float, float, float]:
    """Return x, y, width, height of the polygons of an annotation.

    Raises:
        ValueError: They are not polygons.
    """
    points = np.concatenate([np.array(polygon).reshape(-1, 2) for polygon in polygons_of(segmentation)])
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    return float(x1), float(y1), float(x2 - x1), float(y2 - y1)


def _is_flat(entries: Sequence[Any]) -> bool:
    """Return whether a list is one polygon, a flat list of coordinates."""
    return not any(isinstance(entry, list | dict) for entry in entries)


def _is_points(entries: Sequence[Any]) -> bool:
    """Return whether a list is one polygon, a list of points."""
    return all(isinstance(entry, list) and len(entry) == 2 and _is_flat(entry) for entry in entries)


def _decode_runs(runs: Sequence[Any], height: int, width: int) -> np.ndarray:
    """Return the pixels of any of several run lengths, each {"size": [height, width], "counts": ...}."""
    pixels = np.zeros((height, width), bool)
    for encoded in runs:
        counts, size = encoded.get("counts"), encoded.get("size")
        if not isinstance(counts, list | str):
            raise ValueError("its segmentation has no run lengths (counts)")
        if not isinstance(size, list) or len(size) != 2:
            raise ValueError("its run lengths have no size [height, width]")
        if tuple(size) != (height, width):
            raise ValueError(
                f"its run lengths are of {size[1]} x {size[0]} pixels, but the image is annotated as {width} x {height}"
            )
        pixels |= decode_run_lengths(counts, height, width)
    return pixels


def _kind(value: Any) -> str:
    """Return what kind of value something is, for messages."""
    return {str: "text", dict: "an object", bool: "a flag", int: "a number", float: "a number"}.get(
        type(value), "a value"
    )
