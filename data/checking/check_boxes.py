"""The part of the check that looks at boxes: which can't be right, and what is done with each."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retinue.data.checking.anchor_iou import AnchorLayout, best_anchor_iou, iou_summary
from retinue.data.checking.file_info import FileInfo, upright_size
from retinue.data.checking.object_findings import anchor_findings, crowded_findings
from retinue.data.checking.upright_boxes import FRACTION_FORMATS, bring_upright
from retinue.data.dataset import Dataset, Ragged
from retinue.data.finding import INVALID, WARNING, Finding
from retinue.data.readers.objects import keep_objects, object_location

ROUNDING = 1.0  # pixels; a box that reaches out by no more is clipped silently
SMALL, LARGE = 32**2, 96**2  # pixels: COCO's bounds of small, medium and large objects
FRACTIONS = "fractions where pixels are expected"
SIDES = {  # the formats that give the sides of boxes
    "coco": "x, y, width, height",
    "yolo": "class, center x, center y, width, height",
}


@dataclass
class BoxReport:
    """What was found out about the objects of a dataset.

    Attributes:
        dataset: The dataset with boxes in the upright images, clipped to them, and without those that can't be right.
        invalid_files: bool `[n]`, the files whose boxes belong to another image.
        findings: What is wrong or odd.
        would_fail: The reasons why training would fail.
        summary: Plain values for the report, of the usable files. `objects`, `crowds`, `difficult`: their numbers
            (`objects` without crowds). `images_without_objects`, `max_per_image`: numbers of images and of objects.
            `side`: percentiles of the square root of the boxes' areas in pixels. `small`, `medium`, `large`: numbers of
            objects by COCO's bounds. `anchors`: see `anchor_iou.iou_summary`. `left_out`, `clipped`: numbers of boxes.
    """

    dataset: Dataset
    invalid_files: np.ndarray
    findings: list[Finding]
    would_fail: list[str]
    summary: dict[str, Any]


@dataclass(frozen=True)
class _BoxProblem:
    """A kind of problem of boxes.

    Attributes:
        kind: The kind of the finding.
        mask: bool `[m]`, the boxes that have it.
        reason: What is wrong, with `{box}` for the numbers of the box.
        cure: What the user can do.
    """

    kind: str
    mask: np.ndarray
    reason: str
    cure: str


def check_boxes(
    dataset: Dataset,
    files: Sequence[FileInfo],
    *,
    on_invalid: str = "stop",
    max_invalid_fraction: float = 0.03,
    anchors: AnchorLayout | None = None,
    max_detections: int | None = None,
    cure: str = "fix them",
) -> BoxReport:
    """Look at every box of a detection dataset.

    Boxes are those of the upright image, as people see it, unless the annotation gives the size of the stored image:
    then they are rotated with it. Where the size can't decide (orientations that keep the size, square images, no size)
    a warning is given.

    Args:
        dataset: The dataset.
        files: What is known of each image, `[n]`. Boxes of images that can't be read stay as they are.
        on_invalid: As for files, in `check.check`.
        max_invalid_fraction: As for files, in `check.check`.
        anchors: The anchors of the model, for the IoU that they can reach.
        max_detections: The largest number of detections of an image, None for no limit.
        cure: What the user can do when too many boxes are invalid.
    """
    as_read = dataset  # messages show boxes as they were written
    dataset, findings, invalid_files = bring_upright(dataset, files)
    usable = np.array([file.problem is None for file in files], bool) & ~invalid_files
    boxes = dataset.columns["boxes"]
    row = boxes.value_rowids()
    sizes = np.array([upright_size(file) for file in files], np.float64).reshape(-1, 2)[row]
    checked = usable[row]
    keep = np.ones(len(row), bool)
    for problem in _problems(boxes.values, sizes, dataset.format):
        wrong = problem.mask & checked & keep
        findings += [
            _box_finding(as_read, sizes, row, index, INVALID, problem.kind, problem.reason, problem.cure)
            for index in np.flatnonzero(wrong).tolist()
        ]
        keep &= ~wrong
    num_wrong = int((~keep).sum())
    clipped = np.clip(boxes.values, 0, sizes[:, [1, 0, 1, 0]])
    reaches_out = checked & keep & (np.abs(clipped - boxes.values).max(axis=1, initial=0) > ROUNDING)
    for index in np.flatnonzero(reaches_out).tolist():
        kind, reason = "box reaches out of the image", "{box} reaches out of the image"
        finding = _box_finding(as_read, sizes, row, index, WARNING, kind, reason)
        findings.append(dataclasses.replace(finding, action="clipped at the edge; is it of another image?"))
    values = np.where((checked & keep)[:, None], clipped, boxes.values).astype(np.float32)
    dataset = dataclasses.replace(dataset, columns=dataset.columns | {"boxes": Ragged(values, boxes.offsets)})
    repeated = checked & keep & _repeated(dataset, row)
    for index in np.flatnonzero(repeated).tolist():
        reason = "{box} repeats an earlier box with this class"
        finding = _box_finding(as_read, sizes, row, index, WARNING, "duplicate box", reason)
        findings.append(dataclasses.replace(finding, action="skipped"))
    by_reader = [finding for finding in dataset.findings if finding.severity == INVALID and finding.item]
    without_objects = usable & _lost_all_objects(as_read, row, keep, by_reader)
    for file in dataset.files[without_objects].tolist():
        reason = "all of its objects are left out, and without them it would be an image of nothing"
        findings.append(Finding(INVALID, "no object is left", file, "", reason, "skipped"))
    invalid_files |= without_objects
    would_fail = _too_many_invalid(
        int(checked.sum()), num_wrong, by_reader, findings, on_invalid, max_invalid_fraction, cure
    )
    cleaned = dataclasses.replace(dataset, columns=keep_objects(dataset, keep & ~repeated))
    objects = _UsableObjects(cleaned, usable, files)
    ious = best_anchor_iou(objects.boxes, objects.sizes, anchors or AnchorLayout())
    findings += crowded_findings(cleaned, objects.rows, max_detections)
    findings += anchor_findings(cleaned, objects.indices, ious)
    summary = _summary(cleaned, objects, ious)
    summary |= {"left_out": num_wrong + int(repeated.sum()) + len(by_reader), "clipped": int(reaches_out.sum())}
    return BoxReport(cleaned, invalid_files, findings, would_fail, summary)


def _lost_all_objects(dataset: Dataset, row: np.ndarray, keep: np.ndarray, by_reader: Sequence[Finding]) -> np.ndarray:
    """Return which images had objects that are all left out, bool `[n]`; none if no object of any image is left.

    Args:
        dataset: The dataset as it was read.
        row: int `[m]`, the image of each of its objects.
        keep: bool `[m]`, whether the object can be right.
        by_reader: What the reader says of objects that it left out.
    """
    left_out = np.isin(dataset.files, [finding.file for finding in by_reader])
    left_out[row[~keep]] = True
    kept = np.bincount(row[keep], minlength=len(dataset.files)) > 0
    return left_out & ~kept & kept.any()


def _problems(boxes: np.ndarray, sizes: np.ndarray, source_format: str) -> Iterator[_BoxProblem]:
    """Yield the problems of boxes, the plainest first: the first one that a box has is its problem.

    Args:
        boxes: float `[m, 4]`, x1, y1, x2, y2 in pixels of the upright image.
        sizes: float `[m, 2]`, height and width of each box's image.
        source_format: The format of the dataset.
    """
    x1, y1, x2, y2 = boxes.T
    height, width = sizes.T
    not_finite = ~np.isfinite(boxes).all(axis=1)
    yield _BoxProblem("not a box", not_finite, "{box} has a value that is not a number", "correct it")
    if source_format not in FRACTION_FORMATS:
        fractions = (np.abs(boxes) <= 1).all(axis=1) & (x2 > x1) & (y2 > y1)
        reason = "{box} is less than a pixel, so these seem to be fractions of the image"
        yield _BoxProblem(FRACTIONS, fractions, reason, "multiply by the width and height of the image")
    negative = (x2 < x1) | (y2 < y1)
    if source_format in SIDES:
        reason, cure = "{box} has a negative width or height", f"write {SIDES[source_format]}"
        yield _BoxProblem("negative width or height", negative, reason, cure)
    else:
        yield _BoxProblem("corners swapped", negative, "{box} ends before it begins", "write the smaller corner first")
    yield _BoxProblem("box without size", (x2 == x1) | (y2 == y1), "{box} has no area", "draw it again")
    outside = (x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height)
    reason = "{box} lies completely outside of the image"
    yield _BoxProblem("outside the image", outside, reason, "is it of another image?")


def _box_finding(
    dataset: Dataset,
    sizes: np.ndarray,
    row: np.ndarray,
    index: int,
    severity: str,
    kind: str,
    reason: str,
    cure: str = "",
) -> Finding:
    """Return a finding about one box.

    Args:
        dataset: The dataset as it was read.
        sizes: float `[m, 2]`, height and width of each box's upright image.
        row: int `[m]`, the row of each box's image.
        index: The index of the box.
        severity: Of the finding.
        kind: Of the finding.
        reason: Of the finding; `{box}` becomes the numbers of the box.
        cure: What the user can do.
    """
    boxes, image = dataset.columns["boxes"], row[index]
    object_id = dataset.columns["object_id"].values[index]
    item = object_location(dataset.format, object_id, dataset.columns["location"][image])
    name = dataset.classes[dataset.columns["labels"].values[index]]
    count = boxes.offsets[image + 1] - boxes.offsets[image]
    reason = reason.format(box=f"the box {_as_written(boxes.values[index], sizes[index], dataset.format)}")
    action = f"skipped, the image has {count} {'box' if count == 1 else 'boxes'}; {cure}"
    return Finding(severity, kind, dataset.files[image], item, f"{item} ({name}): {reason}", action)


def _as_written(box: np.ndarray, size: np.ndarray, source_format: str) -> str:
    """Return the numbers of a box as its source has them, for messages.

    Args:
        box: float32 `[4]`, x1, y1, x2, y2 in pixels.
        size: float `[2]`, height and width of the upright image.
        source_format: The format of the dataset.
    """
    x1, y1, x2, y2 = box.tolist()
    if source_format == "coco":
        numbers = [x1, y1, x2 - x1, y2 - y1]
    elif source_format == "voc":  # which counts from 1
        numbers = [x1 + 1, y1 + 1, x2, y2]
    elif source_format == "yolo":
        height, width = size.tolist()
        numbers = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
        return " ".join(f"{value:.4g}" for value in numbers)
    else:
        numbers = [x1, y1, x2, y2]
    return ", ".join(f"{round(value, 3):g}" for value in numbers)


def _repeated(dataset: Dataset, row: np.ndarray) -> np.ndarray:
    """Return bool `[m]`, whether an earlier box of the same image has the same corners and class."""
    labels = dataset.columns["labels"].values
    table = np.column_stack([row, labels, dataset.columns["boxes"].values]).astype(np.float64)
    repeated = np.ones(len(row), bool)
    repeated[np.unique(table, axis=0, return_index=True)[1]] = False
    return repeated


def _too_many_invalid(
    num_checked: int,
    num_wrong: int,
    by_reader: Sequence[Finding],
    findings: Sequence[Finding],
    on_invalid: str,
    max_invalid_fraction: float,
    cure: str,
) -> list[str]:
    """Return the reasons why the boxes can't be trained on.

    Args:
        num_checked: The number of boxes that were checked.
        num_wrong: The number of those that can't be right.
        by_reader: The findings about boxes that the reader skipped.
        findings: The other findings.
        on_invalid: As in `check_boxes`.
        max_invalid_fraction: As in `check_boxes`.
        cure: As in `check_boxes`.
    """
    count, wrong = num_checked + len(by_reader), num_wrong + len(by_reader)
    if not wrong or (on_invalid == "skip" and wrong < count):
        return []
    if wrong == count:
        kinds = Counter(finding.kind for finding in [*by_reader, *findings] if finding.severity == INVALID)
        return [f"no box can be used; the most frequent reason: {kinds.most_common(1)[0][0]}"]
    if wrong / count <= max_invalid_fraction:
        return []
    fraction = f"{wrong / count:.1%}, more than {max_invalid_fraction:.0%}"
    return [f"{wrong:,} of {count:,} boxes are invalid ({fraction}); {cure}"]


class _UsableObjects:
    """The objects of usable files that are not crowds.

    Attributes:
        usable_rows: int `[k]`, the usable rows of the dataset.
        indices: int `[m]`, the index of each object among the objects of the dataset.
        rows: int `[m]`, the row of each object.
        boxes: float32 `[m, 4]`.
        sizes: float64 `[m, 2]`, height and width of each object's upright image.
    """

    def __init__(self, dataset: Dataset, usable: np.ndarray, files: Sequence[FileInfo]) -> None:
        row = dataset.columns["boxes"].value_rowids()
        self.usable_rows = np.flatnonzero(usable)
        self.indices = np.flatnonzero(usable[row] & ~dataset.columns["crowd"].values)
        self.rows = row[self.indices]
        self.boxes = dataset.columns["boxes"].values[self.indices]
        self.sizes = np.array([upright_size(file) for file in files], np.float64).reshape(-1, 2)[self.rows]


def _summary(dataset: Dataset, objects: _UsableObjects, ious: np.ndarray) -> dict[str, Any]:
    """Return the counts, sizes and reachable IoU of the objects of usable files; ious: float `[m]`."""
    rows, boxes = objects.usable_rows, objects.boxes
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    percentiles = np.percentile(np.sqrt(areas), [0, 5, 50, 95, 100]).round(1).tolist() if len(boxes) else []
    return {
        "objects": len(boxes),
        "crowds": int(dataset.columns["crowd"].take(rows).values.sum()),
        "difficult": int(dataset.columns["difficult"].take(rows).values.sum()),
        "images_without_objects": int((np.diff(dataset.columns["boxes"].take(rows).offsets) == 0).sum()),
        "max_per_image": int(np.bincount(objects.rows).max(initial=0)),
        "side": dict(zip(("min", "5%", "median", "95%", "max"), percentiles, strict=False)),
        "small": int((areas < SMALL).sum()),
        "medium": int(((areas >= SMALL) & (areas <= LARGE)).sum()),
        "large": int((areas > LARGE).sum()),
        "anchors": iou_summary(ious),
    }
