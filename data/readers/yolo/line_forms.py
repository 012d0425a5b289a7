"""What the numbers in the lines of a YOLO data set mean. It is decided for the data set as a whole, or refused.

A line has the same number of numbers as a polygon, a pose or a track, which only the others lines tell apart. Sources:
the formats of labels in the documentation of Ultralytics (detect, segment, pose, OBB), and what its `save_txt` writes
(the confidence and the number of the track behind the shape).
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.yolo.labels import MAX_FRACTION, Line, LineForm

MIN_PART = 0.1  # lines of a length that is rarer than this, among those of more than five numbers, decide nothing
MIN_POSES = 10  # fewer lines do not prove that they are poses and no polygons of equally many points
MAX_POLYGON = 11  # so many numbers often are a polygon of the same number of points in every line: a box, closed
TOLERANCE = 0.02  # fractions of the image by which rounded and clipped boxes and points may be off
MIN_OUTSIDE = 0.2  # the part of the boxes that must reach out of their images to prove that they are corners
BOX_OR_POLYGON = LineForm()

FileLines = Sequence[Sequence[Line] | None]


def decide_form(
    lines_of: FileLines, source: str, keypoints: tuple[int, int] | None = None, task: str = ""
) -> tuple[LineForm, list[Finding]]:
    """Return what the numbers of a data set's lines mean, and a finding where some of them are ignored.

    Args:
        lines_of: The lines of each label file.
        source: The source, for messages.
        keypoints: The number of keypoints and of the numbers of each, as `kpt_shape` of a data.yaml gives them.
        task: "detect", "segment", "obb", "pose" or "", as `task` of a data.yaml gives it.

    Raises:
        RetinueError: The numbers can be read in two ways, or the boxes are corners.
    """
    files = [
        [line for line in lines if len(line) >= 5 and all(map(math.isfinite, line))] for lines in lines_of if lines
    ]
    lines = [line for file in files for line in file]
    _refuse_corners([line for line in lines if len(line) == 5], source)
    if keypoints:
        length = 5 + keypoints[0] * keypoints[1]
        form = LineForm(box_first=True, lengths=frozenset((5, length, length + 1, length + 2)))
        has_keypoints = any(len(line) > 5 for line in lines)
        return form, [_ignored(source, "the keypoints", length)] if has_keypoints else []
    if task in ("segment", "obb"):
        return BOX_OR_POLYGON, []
    counts = Counter(len(line) for line in lines if len(line) > 5)
    counts = Counter({length: count for length, count in counts.items() if count >= MIN_PART * counts.total()})
    if not counts:
        return BOX_OR_POLYGON, []
    length = counts.most_common(1)[0][0]
    if task == "pose":
        return LineForm(box_first=True), [_ignored(source, "the keypoints", length)]
    if task == "detect" or _are_tracks(files, counts):
        text = "the confidence or the number of the track"
        return LineForm(box_first=True, lengths=frozenset((5, 6, 7))), [_ignored(source, text, length)]
    if 6 in counts:
        raise RetinueError(
            f"{source}: {counts[6]:,} lines have 6 numbers, and the last one is neither a confidence nor the number of "
            "a track; are these rotated boxes? Write their four corners (class x1 y1 x2 y2 x3 y3 x4 y4), or class, "
            "center x, center y, width, height"
        )
    if len(counts) == 1:
        return _form_of_one_length([line for line in lines if len(line) == length], length, source)
    num_ignored = _num_ignored([line for line in lines if len(line) in counts], counts)
    if not num_ignored:
        return BOX_OR_POLYGON, []
    text = "the confidence or the number of the track"
    return LineForm(num_ignored=num_ignored), [_ignored(source, text, length)]


def _form_of_one_length(lines: list[Line], length: int, source: str) -> tuple[LineForm, list[Finding]]:
    """Decide between poses and polygons where all lines but those of boxes have the same number of numbers."""
    numbers = np.array(lines, np.float64)[:, 1:]
    num_ignored = _num_ignored(lines, Counter({length: len(lines)}))
    if length - 9 == num_ignored and are_four_corners(numbers[:, :8]):
        text = "the confidence or the number of the track"
        findings = [_ignored(source, text, length)] if num_ignored else []
        return LineForm(num_ignored=num_ignored), findings
    visibility_given = (length - 5) % 3 == 0 and bool(np.isin(numbers[:, 6::3], (0, 1, 2)).all())
    if visibility_given and _can_be_poses(numbers, 3):
        return LineForm(box_first=True, lengths=frozenset((5, length))), [_ignored(source, "the keypoints", length)]
    if length % 2 == 0 or not _can_be_poses(numbers, 2):
        return BOX_OR_POLYGON, []  # an even number of numbers is reported line by line
    if length > MAX_POLYGON and len(lines) >= MIN_POSES:
        return LineForm(box_first=True, lengths=frozenset((5, length))), [_ignored(source, "the keypoints", length)]
    shape = f"[{(length - 5) // 2}, 2]"
    raise RetinueError(
        f"{source}: all lines with more than a box have {length} numbers ({len(lines):,} lines), which can be a pose "
        f"(a box and keypoints) or a polygon; write a data.yaml with `kpt_shape: {shape}` if they are poses, or with "
        "`task: segment` if they are polygons"
    )


def _are_tracks(files: Sequence[Sequence[Line]], counts: Counter[int]) -> bool:
    """Return whether the numbers behind the boxes are confidences, numbers of tracks, or both."""
    if not counts.keys() <= {6, 7}:
        return False
    scored = [line[5] for file in files for line in file if len(line) == 7]
    if not all(0 <= score <= 1 for score in scored) or not all(
        _are_track_numbers([line[6] for line in file if len(line) == 7]) for file in files
    ):
        return False
    if counts.keys() == {7} and not any(line[6] > 1 for file in files for line in file if len(line) == 7):
        return False  # the y of a triangle's corner can be 0 or 1, too
    last = [[line[5] for line in file if len(line) == 6] for file in files]
    return all(0 <= value <= 1 for values in last for value in values) or all(map(_are_track_numbers, last))


def _are_track_numbers(values: list[float]) -> bool:
    """Return whether these can be the numbers of the tracks in one image: whole numbers, each once."""
    return all(value >= 0 and value == int(value) for value in values) and len(set(values)) == len(values)


def _num_ignored(lines: list[Line], counts: Counter[int]) -> int:
    """Return how many numbers follow the polygons of lines of several lengths."""
    parities = {length % 2 for length in counts}
    last = np.array([line[-2:] for line in lines], np.float64)
    whole = bool((last[:, 1] == np.round(last[:, 1])).all()) and bool((last[:, 1] >= 0).all())
    if parities == {0} and (whole or (last[:, 1] >= 0).all() and (last[:, 1] <= 1).all()):
        return 1
    if parities == {1} and whole and last[:, 1].max() > MAX_FRACTION and ((last[:, 0] >= 0) & (last[:, 0] <= 1)).all():
        return 2
    return 0


def are_four_corners(numbers: np.ndarray) -> bool:
    """Return whether numbers, float `[m, 8]` or less, are the corners of rectangles, also rotated ones.

    A rotated rectangle is a parallelogram in fractions of the image: the sums of opposite corners are equal.
    """
    if numbers.shape[1] < 8 or numbers.max() > MAX_FRACTION:
        return False
    first, second, third, fourth = numbers.reshape(-1, 4, 2).swapaxes(0, 1)
    off = np.abs(first + third - second - fourth).max(axis=1)
    return bool((off <= TOLERANCE).all())


def _can_be_poses(numbers: np.ndarray, size: int) -> bool:
    """Return whether a box that lies in the image, with the keypoints in it or at 0, begins every line.

    Args:
        numbers: float `[m, n]`, the lines without the class.
        size: The number of numbers of a keypoint, 2 or 3.
    """
    center, half = numbers[:, :2], numbers[:, 2:4] / 2
    low, high = center - half - TOLERANCE, center + half + TOLERANCE
    points = numbers[:, 4:].reshape(len(numbers), -1, size)[:, :, :2]
    slack = half[:, None]  # annotators place keypoints outside of the box, too
    inside = (points >= low[:, None] - slack) & (points <= high[:, None] + slack)
    inside |= (points <= 0).all(axis=2, keepdims=True)
    return bool(
        (half > 0).all() and (low >= -2 * TOLERANCE).all() and (high <= 1 + 2 * TOLERANCE).all() and inside.all()
    )


def _refuse_corners(lines: list[Line], source: str) -> None:
    """Raise RetinueError if boxes are x1, y1, x2, y2: all are ordered so, and as centers and sizes they reach out."""
    boxes = np.array([line[1:5] for line in lines], np.float64).reshape(-1, 4)
    boxes = boxes[(boxes <= MAX_FRACTION).all(axis=1)]
    if not len(boxes) or not (boxes[:, 2:] > boxes[:, :2]).all() or boxes.max() > 1 + TOLERANCE:
        return
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    outside = ((low < -TOLERANCE) | (high > 1 + TOLERANCE)).any(axis=1)
    if outside.mean() >= MIN_OUTSIDE:
        raise RetinueError(
            f"{source}: the boxes are corners x1 y1 x2 y2, not center x, center y, width and height: in all "
            f"{len(boxes):,} boxes the last two numbers are larger than the first two, and {outside.sum():,} would "
            "reach out of the image; write class, center x, center y, width, height"
        )


def _ignored(source: str, what: str, length: int) -> Finding:
    reason = f"lines of {length} numbers hold {what} besides the box"
    return Finding(NOTE, "numbers that are not used", source, "", reason, "only the class and the box are read")
