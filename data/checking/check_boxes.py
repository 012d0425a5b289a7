"""The part of the check that looks at boxes: which can't be right, and what is done with each."""

import dataclasses
from collections import Counter
from dataclasses import dataclass

import numpy as np

from retinue.data.checking.anchor_iou import AnchorGrid, best_anchor_overlap, overlap_summary
from retinue.data.checking.exif_boxes import turn_upright
from retinue.data.dataset import Ragged
from retinue.data.finding import BAD, NOTE, WARNING, Finding
from retinue.data.readers.objects import keep_objects, object_place

ROUNDING = 1.0  # pixels; a box that reaches out by no more is cut without a word
SMALL, LARGE = 32**2, 96**2  # pixels: COCO's bounds of small, medium and large objects
SHARES = "shares where pixels are expected"
SIDES = {"coco": "x, y, width, height", "yolo": "class, centre x, centre y, width, height"}  # formats that give sides


@dataclass
class BoxReport:
    """What was found out about the objects of a dataset.

    dataset: with boxes upright, cut to their pictures, and without those that can't be right. bad_files: bool `[n]`,
    files whose boxes belong to another picture. findings; would_fail: reasons. summary: plain values for the report.
    """

    dataset: object
    bad_files: np.ndarray
    findings: list
    would_fail: list
    summary: dict


def check_boxes(dataset, images, *, on_invalid="stop", max_invalid_fraction=0.03, anchors=None, way_out="mend them"):
    """Look at every box of a detection dataset.

    images: an `ImageFile` a row; boxes of files that can't be read are left as they are. on_invalid,
    max_invalid_fraction: as for
    files. anchors: the `AnchorGrid` of the model, for the overlaps that it can reach. Gives a `BoxReport`.

    Boxes are those of the upright picture, as people see it, unless the annotation gives the size of the stored one:
    then they are turned with it. Where the size can't tell (half turns, square pictures, no size) a warning says so.
    """
    read = dataset  # messages show boxes as they were written
    dataset, findings, bad_files = _turn_and_compare_sizes(dataset, images)
    usable = np.array([image.bad is None for image in images], bool) & ~bad_files
    boxes = dataset.columns["boxes"]
    row = boxes.value_rowids()
    sizes = np.array([_upright(image) for image in images], np.float64).reshape(-1, 2)[row]
    looked_at = usable[row]
    kept = np.ones(len(row), bool)
    for kind, wrong, reason, cure in _problems(boxes.values, sizes, dataset.format):
        for index in np.flatnonzero(wrong & looked_at & kept):
            findings.append(_finding(BAD, read, sizes, row, index, kind, reason, cure))
        kept &= ~(wrong & looked_at)
    wrong_boxes = int((~kept).sum())
    clipped = _clip(boxes.values, sizes)
    reaching = looked_at & kept & (np.abs(clipped - boxes.values).max(axis=1, initial=0) > ROUNDING)
    for index in np.flatnonzero(reaching):
        kind, reason = "box reaches out of the image", "{box} reaches out of the picture"
        finding = _finding(WARNING, read, sizes, row, index, kind, reason, "")
        findings.append(dataclasses.replace(finding, action="cut at the edge; is it of another picture?"))
    values = np.where((looked_at & kept)[:, None], clipped, boxes.values).astype(np.float32)
    dataset = dataclasses.replace(dataset, columns=dataset.columns | {"boxes": Ragged(values, boxes.offsets)})
    again = looked_at & kept & _repeated(dataset, row)
    for index in np.flatnonzero(again):
        reason = "{box} is there before, with this class"
        finding = _finding(WARNING, read, sizes, row, index, "duplicate box", reason, "")
        findings.append(dataclasses.replace(finding, action="left out"))
    by_reader = [finding for finding in dataset.findings if finding.severity == BAD and finding.item]
    would_fail = _too_many(looked_at.sum(), wrong_boxes, by_reader, findings, on_invalid, max_invalid_fraction, way_out)
    cleaned = dataclasses.replace(dataset, columns=keep_objects(dataset, kept & ~again))
    summary = _summary(cleaned, usable, images, anchors or AnchorGrid())
    summary |= {"left_out": wrong_boxes + int(again.sum()) + len(by_reader), "cut": int(reaching.sum())}
    return BoxReport(cleaned, bad_files, findings, would_fail, summary)


def _turn_and_compare_sizes(dataset, images):
    """The dataset with all boxes upright; findings; and bool `[n]`, the files that are no longer what was annotated."""
    findings, bad = [], np.zeros(len(dataset), bool)
    boxes = dataset.columns["boxes"]
    values = boxes.values.copy()
    for row, (image, annotated) in enumerate(zip(images, dataset.columns["size"].tolist(), strict=True)):
        if image.bad:
            continue
        upright, stored = _upright(image), (image.height, image.width)
        file, known = dataset.files[row], 0 not in annotated
        if known and tuple(annotated) not in (upright, stored):
            bad[row] = True
            reason = f"annotated as {_by(annotated)} pixels, but the file has {_by(upright)}"
            action = "left out; take the picture that was annotated, or correct the annotation"
            findings.append(Finding(BAD, "other size than annotated", file, "", reason, action))
        elif known and tuple(annotated) != upright:
            values[boxes.offsets[row] : boxes.offsets[row + 1]] = turn_upright(boxes[row], stored, image.orientation)
            reason = f"annotated as stored, {_by(annotated)}, and EXIF turns it"
            findings.append(Finding(NOTE, "boxes turned by EXIF", file, "", reason, "its boxes were turned with it"))
        elif image.orientation != 1 and len(boxes[row]) and (not known or upright == stored):
            if dataset.format not in ("yolo", "tfds"):
                reason = "EXIF turns it, and nothing tells whether it was annotated before or after"
                action = "taken as annotated upright; look at samples.jpg"
                findings.append(Finding(WARNING, "turned by EXIF", file, "", reason, action))
    return (
        dataclasses.replace(dataset, columns=dataset.columns | {"boxes": Ragged(values, boxes.offsets)}),
        findings,
        bad,
    )


def _problems(boxes, sizes, form):
    """(kind, bool `[m]`, reason, cure), the plainest first: each box gets one."""
    x1, y1, x2, y2 = boxes.T
    height, width = sizes.T
    finite = np.isfinite(boxes).all(axis=1)
    yield "not a box", ~finite, "{box} has a value that is no number", "correct it"
    if form not in ("yolo", "tfds"):  # whose readers multiply
        shares = (np.abs(boxes) <= 1).all(axis=1) & (x2 > x1) & (y2 > y1)
        cure = "multiply by the width and height of the picture"
        yield SHARES, shares, "{box} is less than a pixel, so these seem to be shares of the picture", cure
    negative = (x2 < x1) | (y2 < y1)
    if form in SIDES:
        yield "negative width or height", negative, "{box} has a negative width or height", f"write {SIDES[form]}"
    else:
        yield "corners swapped", negative, "{box} ends before it begins", "write the smaller corner first"
    yield "box without size", (x2 == x1) | (y2 == y1), "{box} has no area", "draw it again"
    outside = (x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height)
    yield "outside the image", outside, "{box} lies wholly outside of the picture", "is it of another picture?"


def _finding(severity, dataset, sizes, row, index, kind, reason, cure):
    """A `Finding` about the box `index`; reason may name its `{box}`. sizes: [m, 2], of the pictures, upright."""
    boxes, here = dataset.columns["boxes"], row[index]
    item = object_place(dataset.format, dataset.columns["object_id"].values[index], dataset.columns["place"][here])
    name = dataset.classes[dataset.columns["labels"].values[index]]
    count = boxes.offsets[here + 1] - boxes.offsets[here]
    reason = reason.format(box=f"the box {_as_written(boxes.values[index], sizes[index], dataset.format)}")
    action = f"left out, the picture has {count} {'box' if count == 1 else 'boxes'}; {cure}"
    return Finding(severity, kind, dataset.files[here], item, f"{item} ({name}): {reason}", action)


def _as_written(box, size, form):
    """The numbers of a box, float32 `[4]`, as its source has them, for messages; size: (height, width)."""
    x1, y1, x2, y2 = box.tolist()
    if form == "coco":
        numbers = [x1, y1, x2 - x1, y2 - y1]
    elif form == "voc":  # which counts from 1
        numbers = [x1 + 1, y1 + 1, x2, y2]
    elif form == "yolo":
        height, width = size.tolist()
        numbers = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
        return " ".join(f"{value:.4g}" for value in numbers)
    else:
        numbers = [x1, y1, x2, y2]
    return ", ".join(f"{round(value, 3):g}" for value in numbers)


def _clip(boxes, sizes):
    limits = sizes[:, [1, 0, 1, 0]]
    return np.clip(boxes, 0, limits)


def _repeated(dataset, row):
    """bool `[m]`: whether the same box with the same class comes before it in the same picture."""
    labels = dataset.columns["labels"].values
    table = np.column_stack([row, labels, dataset.columns["boxes"].values]).astype(np.float64)
    again = np.ones(len(row), bool)
    again[np.unique(table, axis=0, return_index=True)[1]] = False
    return again


def _too_many(count, wrong, by_reader, findings, on_invalid, max_invalid_fraction, way_out):
    """Reasons why the boxes can't be trained on."""
    count, wrong = int(count) + len(by_reader), wrong + len(by_reader)
    if not wrong or (on_invalid == "skip" and wrong < count):
        return []
    if wrong == count:
        kind = Counter(finding.kind for finding in [*by_reader, *findings] if finding.severity == BAD).most_common(1)
        return [f"no box can be used; most: {kind[0][0]}"]
    if wrong / count <= max_invalid_fraction:
        return []
    return [
        f"{wrong:,} of {count:,} boxes are bad ({wrong / count:.1%}, more than {max_invalid_fraction:.0%}); {way_out}"
    ]


def _summary(dataset, usable, images, anchors):
    """Counts, sizes and reachable overlaps of the objects of usable files."""
    rows = np.flatnonzero(usable)
    boxes, crowd = (dataset.columns[name].take(rows) for name in ("boxes", "crowd"))
    values, row = boxes.values[~crowd.values], boxes.value_rowids()[~crowd.values]
    sizes = np.array([_upright(images[index]) for index in rows], np.float64).reshape(-1, 2)
    area = (values[:, 2:] - values[:, :2]).prod(axis=1)
    edges = np.percentile(np.sqrt(area), [0, 5, 50, 95, 100]).round(1).tolist() if len(values) else []
    counts = np.bincount(row, minlength=len(rows))
    return {
        "objects": len(values),
        "crowds": int(crowd.values.sum()),
        "difficult": int(dataset.columns["difficult"].take(rows).values.sum()),
        "pictures_without": int((np.diff(boxes.offsets) == 0).sum()),
        "most_in_a_picture": int(counts.max(initial=0)),
        "side": dict(zip(("min", "5%", "median", "95%", "max"), edges, strict=False)),
        "small": int((area < SMALL).sum()),
        "medium": int(((area >= SMALL) & (area <= LARGE)).sum()),
        "large": int((area > LARGE).sum()),
        "anchors": overlap_summary(best_anchor_overlap(values, sizes[row], anchors)),
    }


def _upright(image):
    """(height, width) as one looks at it."""
    return (image.width, image.height) if image.orientation >= 5 else (image.height, image.width)


def _by(size):
    return f"{size[1]} x {size[0]}"
