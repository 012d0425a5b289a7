"""The boxes that a table gives in any usual form, brought to corners in pixels.

A table gives corners, a corner and sides, or a center and sides, in four columns, or a corner and more in one cell.
Fractions of the image are recognized by all numbers: none is above 1, and there is one that is not whole. They are
multiplied by the size of the upright image. Where the numbers and the sizes of the images don't decide what is meant,
the table is refused, and the message names the option that decides.
"""

import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.decoding.image_file import image_size
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.tables.layout import CENTER, LEFT_SIDES, SIDES

WHOLE_AS_ONE = 1e-6  # a fraction may be above 1 by so much
MAX_PIXELS_OF_FRACTIONS = 2.0  # numbers that end between 1 and this are neither pixels nor fractions
MAX_CHECKED_IMAGES = 500  # whose sizes are compared with boxes that may be meant in two ways
SLACK = 1.5  # pixels by which a box may reach out of its image
ENOUGH = 0.02  # the fraction of boxes that must contradict a form to exclude it


def to_corners(
    path: str,
    form: tuple[str, ...],
    numbers: np.ndarray,
    rows: np.ndarray,
    files: Sequence[str],
    names: Sequence[str],
    findings: list[Finding],
) -> np.ndarray:
    """Return boxes as corners in pixels of the upright image.

    Args:
        path: The table, for messages.
        form: The columns of a box: a form of `data.readers.tables.layout`.
        numbers: float `[m, 4]`, as the table has them.
        rows: int `[m]`, the index of each box's image.
        files: The path of each image, `[n]`.
        names: What the header calls the columns of a box, for messages.
        findings: Receives what was assumed.

    Returns:
        float `[m, 4]`, x1, y1, x2, y2.

    Raises:
        RetinueError: It is doubtful what the numbers mean.
    """
    finite = np.isfinite(numbers).all(axis=1)
    largest = float(np.abs(numbers[finite]).max(initial=0))
    has_fractions = bool((numbers[finite] % 1 != 0).any())
    are_fractions = has_fractions and largest <= 1 + WHOLE_AS_ONE
    if has_fractions and not are_fractions and largest <= MAX_PIXELS_OF_FRACTIONS:
        raise RetinueError(
            f"{path}: its boxes reach up to {largest:g}, so they seem to be neither pixels nor fractions from 0 to 1; "
            "correct them"
        )
    sizes = np.ones((len(numbers), 2))
    if are_fractions:
        sizes = _sizes(files, np.unique(rows))[rows]
        reason = "its boxes are fractions of the images: none is above 1"
        findings.append(Finding(NOTE, "boxes as fractions", path, "", reason, "multiplied by the size of the image"))
    scaled = numbers * sizes[:, [0, 1, 0, 1]]
    if form in (("bbox",), ("objects",)):
        likely = ("xywh",) if form == ("objects",) else ()  # by the documentation of Hugging Face
        form = _decide_cell_form(path, scaled, rows, files, names[0], likely)
        meaning = "x, y, width, height" if form == ("xywh",) else "x1, y1, x2, y2"
        reason = f"the numbers in the column {names[0]} are taken for {meaning}, which fits into the images"
        findings.append(Finding(NOTE, "form of the boxes", path, names[0], reason, "read so"))
    if form in (SIDES, LEFT_SIDES, ("xywh",)):
        corners = np.concatenate([scaled[:, :2], scaled[:, :2] + scaled[:, 2:]], axis=1)
        if form == SIDES:
            _refuse_centers(path, scaled, corners, rows, files, names)
        return corners
    if form == CENTER:
        return _around_center(scaled)
    return scaled


def _around_center(boxes: np.ndarray) -> np.ndarray:
    """Return the corners, `[m, 4]`, of boxes that are given as center and sides."""
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)


def _decide_cell_form(
    path: str, boxes: np.ndarray, rows: np.ndarray, files: Sequence[str], name: str, likely: tuple[str, ...]
) -> tuple[str, ...]:
    """Return whether boxes in one cell are two corners or a corner and the sides: what fits, or else what is likely."""
    checked, limits = _limits(rows, files)
    boxes = boxes[checked]
    as_corners = ((boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])).mean() if len(boxes) else 0
    as_sides = _fraction_outside(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1), limits)
    if as_corners > ENOUGH >= as_sides:
        return ("xywh",)
    if as_sides > ENOUGH >= as_corners:
        return ("xyxy",)
    if likely and as_sides <= ENOUGH:
        return likely
    raise RetinueError(
        f"{path}: the numbers in the column {name} could be x1, y1, x2, y2 or x, y, width, height; decide: retinue "
        f"check {shlex.quote(path)} --columns {shlex.quote(f'xyxy={name}')} or --columns {shlex.quote(f'xywh={name}')}"
    )


def _refuse_centers(
    path: str, scaled: np.ndarray, corners: np.ndarray, rows: np.ndarray, files: Sequence[str], names: Sequence[str]
) -> None:
    """Raise RetinueError for x, y, width, height that only fit into the images as centers, or that are whole images."""
    checked, limits = _limits(rows, files)
    if not checked.any():
        return
    sides = scaled[checked][:, 2:]
    if names[2].lower() in ("width", "height") and len(sides) > 1 and (np.abs(sides - limits) <= SLACK).all():
        raise RetinueError(
            f"{path}: its columns {names[2]} and {names[3]} are the sizes of the images, so there are no boxes; points "
            "are not read"
        )
    outside = _fraction_outside(corners[checked], limits)
    if outside > ENOUGH and _fraction_outside(_around_center(scaled[checked]), limits) <= ENOUGH / 10:
        option = f"xc={names[0]},yc={names[1]},w={names[2]},h={names[3]}"
        raise RetinueError(
            f"{path}: {outside:.0%} of its boxes reach out of their images, unless {names[0]}, {names[1]} is their "
            f"center; if it is: retinue check {shlex.quote(path)} --columns {shlex.quote(option)}"
        )


def _limits(rows: np.ndarray, files: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return which boxes lie in images that are measured, bool `[m]`, and width and height for each, `[k, 2]`."""
    images = np.unique(rows)
    images = images[np.linspace(0, len(images) - 1, min(len(images), MAX_CHECKED_IMAGES)).astype(np.int64)]
    sizes = _sizes(files, images)
    checked = np.isin(rows, images) & np.isfinite(sizes[rows]).all(axis=1)
    return checked, sizes[rows][checked]


def _fraction_outside(corners: np.ndarray, limits: np.ndarray) -> float:
    if not len(corners):
        return 0.0
    return float(((corners[:, :2] < -SLACK) | (corners[:, 2:] > limits + SLACK)).any(axis=1).mean())


def _sizes(files: Sequence[str], images: np.ndarray) -> np.ndarray:
    """Return width and height, float `[n, 2]`, of the images with these indices; NaN for others and unreadable ones."""

    def size(index: int) -> tuple[float, float]:
        try:
            return image_size(files[index])
        except (OSError, ValueError):  # the check reports it
            return float("nan"), float("nan")

    sizes = np.full((len(files), 2), np.nan)
    with ThreadPoolExecutor(usable_cores()) as pool:
        if len(images):
            sizes[images] = list(pool.map(size, images.tolist()))
    return sizes
