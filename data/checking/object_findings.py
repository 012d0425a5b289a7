"""What a detector would not find in a dataset however well it is trained: too many objects, and odd shapes."""

import numpy as np

from retinue.data.checking.anchor_iou import NEGATIVE_IOU_THRESHOLD
from retinue.data.dataset import Dataset
from retinue.data.finding import WARNING, Finding
from retinue.data.readers.objects import object_location


def crowded_findings(dataset: Dataset, rows: np.ndarray, max_detections: int | None) -> list[Finding]:
    """Return a finding for each image with more objects than a detector returns.

    Args:
        dataset: The dataset.
        rows: int `[m]`, the row of each object.
        max_detections: The largest number of detections of an image, None for no limit.
    """
    counts = np.bincount(rows, minlength=len(dataset))
    findings = []
    for row in np.flatnonzero(counts > max_detections).tolist() if max_detections is not None else ():
        reason = f"it has {counts[row]:,} objects, but a detector returns at most {max_detections:,} in one image"
        action = f"kept; set detection.max_detections to at least {counts.max():,}, or cut images into tiles"
        findings.append(Finding(WARNING, "more objects than detections", dataset.files[row], "", reason, action))
    return findings


def anchor_findings(dataset: Dataset, indices: np.ndarray, ious: np.ndarray) -> list[Finding]:
    """Return a finding for each class with objects that no anchor comes near to, with the farthest of them.

    Args:
        dataset: The dataset.
        indices: int `[m]`, the index of each object among the objects of the dataset.
        ious: float `[m]`, the largest IoU of each object with an anchor.
    """
    boxes, row = dataset.columns["boxes"].values, dataset.columns["boxes"].value_rowids()
    labels = dataset.columns["labels"].values[indices]
    findings = []
    for label, name in enumerate(dataset.classes):
        of_class = labels == label
        far = np.flatnonzero(of_class & (ious < NEGATIVE_IOU_THRESHOLD))
        if not len(far):
            continue
        worst = far[np.argmin(ious[far])]
        index = int(indices[worst])
        image = int(row[index])
        object_id = int(dataset.columns["object_id"].values[index])
        item = object_location(dataset.format, object_id, dataset.columns["location"][image])
        x1, y1, x2, y2 = boxes[index].tolist()
        reason = (
            f"the class {name}: {len(far):,} of {of_class.sum():,} objects are far from every anchor, the farthest is "
            f"{item} with {x2 - x1:.4g} x {y2 - y1:.4g} pixels (IoU {ious[worst]:.2f})"
        )
        action = (
            "kept, but hardly trained on; change detection.anchor_sizes, detection.anchor_ratios or model.input_size"
        )
        findings.append(Finding(WARNING, "far from every anchor", dataset.files[image], name, reason, action))
    return findings
