"""YOLO's polygons as masks, for segmentation."""

import os
from collections.abc import Mapping, Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import WARNING, Finding
from retinue.data.readers.labeling_tools.annotated_images import VOID_NAME, AnnotatedImage, AnnotatedObject
from retinue.data.readers.labeling_tools.outlines import bounds
from retinue.data.readers.labeling_tools.polygon_masks import read_polygon_masks
from retinue.data.readers.yolo.labels import Line, LineForm, corners, has_polygon_line, outline
from retinue.data.readers.yolo.line_forms import are_four_corners

NUM_SAMPLES = 12  # label files in whose first lines a polygon is looked for
TASKS = ("detection",)
TASKS_WITH_POLYGONS = ("detection", "segmentation")

# The row of an image, one of its lines, the index of its class, and the number of the line.
YoloObject = tuple[int, Line, int, int]


def tasks_of_label_files(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the tasks that label files can be read for, by the first lines of some of them."""
    sampled = paths[:: max(1, len(paths) // NUM_SAMPLES)][:NUM_SAMPLES]
    return TASKS_WITH_POLYGONS if any(map(has_polygon_line, sampled)) else TASKS


def read_yolo_masks(
    source: str,
    files: Sequence[str],
    splits: Sequence[str],
    names: Mapping[int, str],
    objects: Sequence[YoloObject],
    form: LineForm,
    size_of: Mapping[str, tuple[int, int]],
    is_segment: bool,
    findings: list[Finding],
) -> Dataset:
    """Build a `Dataset` for segmentation, with masks drawn from the polygons, the smaller ones over the larger.

    The pixels of a line that only has a box are not known: its box is void, except where polygons are.

    Args:
        source: Where the label files were read from.
        files: The paths of the images.
        splits: The split of each image.
        names: The class names by number.
        objects: The objects of all images.
        form: What the numbers of the lines mean.
        size_of: Width and height in pixels of each upright image that has objects.
        is_segment: Whether a data.yaml says that the lines are polygons.
        findings: What was noticed so far; receives what is noticed here.

    Raises:
        RetinueError: No line has a polygon, all are rotated boxes, or as in `read_polygon_masks`.
    """
    class_names = list(names.values())
    drawn: list[list[tuple[bool, float, AnnotatedObject]]] = [[] for _ in files]
    num_boxes = 0
    for row, line, label, number in objects:
        size = np.array(size_of[files[row]], np.float64)
        points = outline(line, form)
        is_box = points is None
        num_boxes += is_box
        if points is None:
            x1, y1, x2, y2 = corners(line, form)
            points = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
        points = points * size
        name = VOID_NAME if is_box else class_names[label]
        entry = AnnotatedObject(name, number, bounds([points]), (points,), is_rectangle=is_box)
        drawn[row].append((not is_box, -_area(points), entry))
    if num_boxes == len(objects):
        raise RetinueError(f"{source}: its label files hold boxes and no polygons; use it for detection")
    lines = [line for _, line, _, _ in objects]
    if not is_segment and all(len(line) == 9 for line in lines) and are_four_corners(np.array(lines)[:, 1:]):
        raise RetinueError(
            f"{source}: all of its polygons are rectangles, as rotated boxes are; use it for detection, or write a "
            "data.yaml with `task: segment` if they are outlines"
        )
    if num_boxes:
        reason = f"{num_boxes:,} lines are boxes without a polygon"
        findings.append(Finding(WARNING, "no polygon", source, "", reason, "their boxes are void in the masks"))
    images = [
        AnnotatedImage(
            name=os.path.basename(file),
            objects=tuple(entry for _, _, entry in sorted(drawn[row], key=lambda item: item[:2])),
            size=size_of[file][::-1] if file in size_of else (0, 0),
            file=file,
        )
        for row, file in enumerate(files)
    ]
    return read_polygon_masks(source, "yolo", images, class_names, splits, findings)


def _area(points: np.ndarray) -> float:
    """Return the area of a polygon, float64 `[k, 2]`, in square pixels."""
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)
