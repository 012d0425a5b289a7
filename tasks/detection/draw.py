"""Drawings of detections: boxes with labels and, beside the ground truth, which of them are right."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from retinue.data.dataset import Dataset
from retinue.tasks import drawing
from retinue.tasks.detection.error_summary import FALSE_POSITIVE, IGNORED, assign_detections, false_negatives
from retinue.tasks.drawing import Color
from retinue.tasks.scores import counted

SCORE_THRESHOLD = 0.4  # boxes with a lower score are not drawn
MIN_SIDE, MIN_SIDE_CROWDED = 400, 800  # pixels of the longer side; a smaller image is enlarged to make labels readable
CROWDED = 12  # an image with more boxes than this is crowded
# Okabe and Ito's colors, which color-blind people can distinguish, and on which black text is readable.
COLORS: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 190, 140),
    (240, 228, 66),
    (213, 120, 30),
    (204, 121, 167),
    (120, 160, 255),
)
FALSE_NEGATIVE_COLOR: Color = (204, 51, 17)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
MIN_BRIGHTNESS = 330  # red, green and blue together; on brighter colors, black letters are readable

Corners = tuple[int, int, int, int]


def draw(
    image: np.ndarray,
    prediction: Mapping[str, Any],
    classes: Sequence[str],
    truth: Mapping[str, Any] | None = None,
    threshold: float = SCORE_THRESHOLD,
) -> np.ndarray:
    """Draw the detections that score `threshold` or more.

    Without ground truth each class has its color. With ground truth, true positives are green, boxes of the wrong class
    blue, false positives red, and false negatives dashed red, each with a label that says so. Objects that were
    detected are not drawn again.

    Args:
        image: uint8 `[h, w, 3]`, RGB, of any size.
        prediction: `{"detections": [{"label", "score", "box"}, ...]}`, with the box x1, y1, x2, y2 in pixels.
        classes: the class names.
        truth: None, or what `truth_of_record` returned.
        threshold: smallest score.

    Returns:
        uint8 `[h', w', 3]`: the drawing. A small image is enlarged by a whole factor.
    """
    detections = _select(prediction, threshold)
    canvas = _Canvas(image, len(detections))
    if truth is None:
        index_of_class = {name: index for index, name in enumerate(classes)}
        for detection in detections:
            color = COLORS[index_of_class.get(detection["label"], 0) % len(COLORS)]
            canvas.box(detection["box"], color, _caption(detection))
        return canvas.pixels()
    names = truth["labels"]
    assigned, missing = _assign(detections, truth)
    for index in np.flatnonzero(missing):
        canvas.dashed_box(truth["boxes"][index], FALSE_NEGATIVE_COLOR, f"false negative: {names[index]}")
    for detection, index in zip(detections, assigned.tolist(), strict=True):
        if index == IGNORED:
            canvas.box(detection["box"], drawing.FAINT, "")
        elif index == FALSE_POSITIVE:
            canvas.box(detection["box"], drawing.WRONG, f"✗ {_caption(detection)}")
        elif names[index] == detection["label"]:
            canvas.box(detection["box"], drawing.RIGHT, f"✓ {_caption(detection)}")
        else:
            canvas.box(detection["box"], drawing.NEUTRAL, f"{_caption(detection)}, truth: {names[index]}")
    return canvas.pixels()


def draw_objects(image: np.ndarray, boxes: ArrayLike, labels: Sequence[int], classes: Sequence[str]) -> np.ndarray:
    """Draw annotated objects only, to check what the model is trained on.

    Args:
        image: uint8 `[h, w, 3]`, RGB.
        boxes: float `[n, 4]` in pixels.
        labels: `[n]`; negative ones, which the model is not trained on, are gray.
        classes: the class names.

    Returns:
        uint8 `[h', w', 3]`. A small image is enlarged by a whole factor.
    """
    boxes = np.asarray(boxes)
    canvas = _Canvas(image, len(boxes))
    for box, label in zip(boxes, labels, strict=True):
        if label >= 0:
            canvas.box(box, COLORS[label % len(COLORS)], classes[label])
        else:
            canvas.box(box, drawing.FAINT, "")
    return canvas.pixels()


def truth_of_record(dataset: Dataset, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ground truth of a record, as `draw` and `summarize_errors` take it.

    Args:
        dataset: a detection dataset.
        record: one of its records.

    Returns:
        A dict of boxes float32 `[n, 4]`, labels, str objects `[n]`, and ignored bool `[n]` (crowds and difficult
        objects).
    """
    names = np.array([dataset.classes[label] for label in record["labels"]], dtype=object)
    return {"boxes": record["boxes"], "labels": names, "ignored": record["crowd"] | record["difficult"]}


def summarize_errors(
    prediction: Mapping[str, Any], truth: Mapping[str, Any], threshold: float = SCORE_THRESHOLD
) -> tuple[list[str], list[dict[str, Any]]]:
    """Count true positives, confusions, false negatives and false positives of an image, for a report.

    Args:
        prediction: see `draw`.
        truth: what `truth_of_record` returned.
        threshold: smallest score of a detection.

    Returns:
        For example `(["5 objects"], [{"label": "4 true positives", "score": None, "right": True}, ...])`. Counts of 0
        are left out.
    """
    detections = _select(prediction, threshold)
    assigned, missing = _assign(detections, truth)
    right = sum(
        index >= 0 and truth["labels"][index] == detection["label"]
        for detection, index in zip(detections, assigned, strict=True)
    )
    counts = {
        "true positive": int(right),
        "confusion": int((assigned >= 0).sum() - right),
        "false negative": int(missing.sum()),
        "false positive": int((assigned == FALSE_POSITIVE).sum()),
    }
    rows = [
        {"label": counted(count, noun), "score": None, "right": noun == "true positive"}
        for noun, count in counts.items()
        if count
    ]
    return [counted(int((~truth["ignored"]).sum()), "object")], rows


def _select(prediction: Mapping[str, Any], threshold: float) -> list[Mapping[str, Any]]:
    """Return the detections that score `threshold` or more, the best last, because it is drawn on top."""
    detections = [detection for detection in prediction["detections"] if detection["score"] >= threshold]
    return sorted(detections, key=lambda detection: detection["score"])


def _assign(detections: Sequence[Mapping[str, Any]], truth: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return what `assign_detections` returns, int64 `[m]`, and which objects are false negatives, bool `[n]`."""
    boxes = np.array([detection["box"] for detection in detections], np.float64).reshape(-1, 4)
    scores, labels = (np.array([detection[name] for detection in detections]) for name in ("score", "label"))
    assigned = assign_detections(boxes, scores, labels, truth["boxes"], truth["labels"], truth["ignored"])
    return assigned, false_negatives(assigned, truth["ignored"])


def _caption(detection: Mapping[str, Any]) -> str:
    return f"{detection['label']} {detection['score']:.0%}"


class _Canvas:
    """An image on which boxes and their labels are drawn. The widths of lines and letters follow its size."""

    def __init__(self, image: np.ndarray, box_count: int) -> None:
        """Initialize the canvas.

        Args:
            image: uint8 `[h, w, 3]`. A small image is enlarged, the more so for many boxes.
            box_count: number of boxes that will be drawn.
        """
        enlarged = drawing.enlarge(image, MIN_SIDE if box_count <= CROWDED else MIN_SIDE_CROWDED)
        self._factor = enlarged.shape[0] // image.shape[0]
        self._image = Image.fromarray(np.ascontiguousarray(enlarged))
        self._draw = ImageDraw.Draw(self._image)
        side = max(enlarged.shape[:2])
        self._line_width = max(2, round(side / 400))
        self._font_size = max(12, round(side / 60))
        self._labels: list[tuple[str, Corners, Color]] = []

    def pixels(self) -> np.ndarray:
        """Return uint8 `[h, w, 3]` with all labels on top, the last box's first.

        A label that would overlap others at every position is left out.
        """
        used: list[Corners] = []
        for text, corners, color in reversed(self._labels):
            position = self._free_position(text, corners, used)
            if position:
                used.append(position)
                left, top, _, bottom = position
                self._draw.rectangle(position, fill=color)
                middle = (left + self._font_size // 6 + 1, (top + bottom) / 2)
                text_color = BLACK if sum(color) > MIN_BRIGHTNESS else WHITE
                self._draw.text(middle, text, text_color, drawing.font_of(text, self._font_size), anchor="lm")
        return np.asarray(self._image)

    def box(self, box: Sequence[float] | np.ndarray, color: Color, text: str) -> None:
        """Draw a box with a white outline, so that it is visible on any background."""
        x1, y1, x2, y2 = corners = self._corners(box)
        width = self._line_width
        self._draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=WHITE, width=width + 2)
        self._draw.rectangle(corners, outline=color, width=width)
        self._add_label(text, corners, color)

    def dashed_box(self, box: Sequence[float] | np.ndarray, color: Color, text: str) -> None:
        """Draw a box with a dashed line."""
        x1, y1, x2, y2 = corners = self._corners(box)
        dash = 4 * self._line_width
        for first, last in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
            start, end = np.array(first, float), np.array(last, float)
            length = max(np.abs(end - start).max(), 1.0)
            for offset in np.arange(0, length, 2 * dash):
                stops = (offset, min(offset + dash, length))
                line = [tuple(start + (end - start) * (stop / length)) for stop in stops]
                self._draw.line(line, fill=WHITE, width=self._line_width + 2)
                self._draw.line(line, fill=color, width=self._line_width)
        self._add_label(text, corners, color)

    def _corners(self, box: Sequence[float] | np.ndarray) -> Corners:
        """Return the corners of a box in pixels of the canvas, inclusive."""
        x1, y1, x2, y2 = (round(float(value) * self._factor) for value in box)
        return x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)

    def _add_label(self, text: str, corners: Corners, color: Color) -> None:
        if text:
            self._labels.append((drawing.shorten(text, self._font_size, self._image.width // 2), corners, color))

    def _free_position(self, text: str, corners: Corners, used: Sequence[Corners]) -> Corners | None:
        """Find a position for a label: above the box, below it, or in its upper corner.

        It must be within the image and must not overlap another label. None if there is no such position.
        """
        x1, y1, _, y2 = corners
        margin = self._font_size // 6 + 1
        width = round(drawing.font_of(text, self._font_size).getlength(text)) + 2 * margin
        height = self._font_size + 2 * margin
        left = max(min(x1, self._image.width - width), 0)
        for top in (y1 - height, y2, max(y1, 0)):
            position = (left, top, left + width, top + height)
            is_inside = 0 <= top <= self._image.height - height
            if is_inside and not any(_do_overlap(position, other) for other in used):
                return position
        return None


def _do_overlap(first: Corners, second: Corners) -> bool:
    """Check whether two rectangles (left, top, right, bottom) overlap."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
