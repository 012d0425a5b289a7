"""The part of the check that looks at masks: which can't be right, and how many pixels each class has."""

import dataclasses
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.dataset import Ragged
from retinue.data.decoding.mask_file import COLOR, fitted, mask_values, to_ids, value_name
from retinue.data.finding import BAD, NOTE, WARNING, Finding
from retinue.data.storage.content import content_ids
from retinue.data.void_label import VOID

RARE = 0.0001  # share of the pixels; of a class with fewer, that is worth a word


@dataclass
class MaskReport:
    """What was found out about the masks of a dataset.

    dataset: with the columns `labels` (`Ragged` of int64: the classes in each mask, each once), `pixels` (int64
    `[n, classes]`: how many of each class) and `mask_id` (what each mask file holds, see `data.content`).
    bad_files: bool `[n]`, those whose mask can't be used. findings. summary: plain values for the report.
    """

    dataset: object
    bad_files: np.ndarray
    findings: list
    summary: dict


def check_masks(dataset, images, workers=None):
    """Look at every mask of a segmentation dataset. images: an `ImageFile` a row. Gives a `MaskReport`.

    Bad: a mask that is missing, can't be decoded, is a JPEG, has another size than its photo, or a value that is no
    class. A mask of the stored photo's size is turned with the photo.
    """
    count, masks, values = len(dataset.classes), dataset.columns["mask"], dataset.columns["values"]
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(workers or usable_cores()) as pool:
        looked = list(pool.map(lambda row: _look(masks[row], values[row], count, images[row]), range(len(dataset))))
    bad, findings = np.zeros(len(dataset), bool), []
    histogram, pixels, void = Counter(), np.zeros((len(dataset), count), np.int64), 0
    for row, (found, problem, was_turned) in enumerate(looked):
        file = dataset.files[row]
        for value, number in (found or {}).items():
            histogram[value] += number
        if problem:
            bad[row] = True
            kind, reason, cure = problem
            findings.append(Finding(BAD, kind, file, "", f"{masks[row]}: {reason}", f"left out; {cure}"))
            continue
        if found is None:  # the photo is bad, and is told already
            continue
        if was_turned:
            reason = "its mask is drawn on the photo as stored, and EXIF turns it"
            findings.append(Finding(NOTE, "mask turned by EXIF", file, "", reason, "the mask is turned with it"))
        elif images[row].orientation != 1 and dataset.format != "tfds":
            reason = "EXIF turns it, and its mask is taken as drawn on the upright photo"
            findings.append(Finding(WARNING, "turned by EXIF", file, "", reason, "look at samples.jpg"))
        raw = np.array(list(found), np.int64)
        ids, _ = to_ids(raw, values[row], count)
        numbers = np.array(list(found.values()), np.int64)
        pixels[row] = np.bincount(ids[ids != VOID], numbers[ids != VOID], minlength=count)[:count]
        void += int(numbers[ids == VOID].sum())
        if not pixels[row].sum():
            reason = "all of its mask is void: there is nothing to learn or to score"
            findings.append(Finding(WARNING, "all void", file, "", reason, "kept; draw its mask"))
    labels = Ragged.from_rows([np.flatnonzero(row) for row in pixels], np.int64)
    columns = {"labels": labels, "pixels": pixels, "mask_id": np.array(content_ids(masks), dtype=object)}
    total = pixels.sum(axis=0)
    for index, number in enumerate(total):
        if 0 < number < RARE * total.sum():
            reason = f"the class {dataset.classes[index]} has {number / total.sum():.4%} of the pixels"
            action = "kept; --set train.class_balance=sqrt_weights weighs rare classes"
            findings.append(Finding(NOTE, "rare class", dataset.source, dataset.classes[index], reason, action))
    summary = {
        "values": {value_name(value): int(number) for value, number in sorted(histogram.items())[:300]},
        "pixels": dict(zip(dataset.classes, total.tolist(), strict=True)),
        "void": void,
    }
    return MaskReport(dataclasses.replace(dataset, columns=dataset.columns | columns), bad, findings, summary)


def _look(path, values, classes, image):
    """({pixel value: count} or None, (kind, reason, cure) or None, whether it was turned) of one mask."""
    if image.bad:
        return None, None, False
    size = (image.width, image.height) if image.orientation >= 5 else (image.height, image.width)
    try:
        raw = mask_values(path, values[0] >= COLOR)
    except RetinueError as error:
        return None, _problem(path, error), False
    found = dict(zip(*(part.tolist() for part in np.unique(raw, return_counts=True)), strict=True))
    was_turned = raw.shape != size
    try:
        fitted(path, raw, size, image.orientation)
    except RetinueError as error:
        return found, _problem(path, error), False
    _, unknown = to_ids(np.array(list(found)), values, classes)
    if unknown.any():
        odd = [value for value, is_odd in zip(found, unknown, strict=True) if is_odd]
        share = sum(found[value] for value in odd) / raw.size
        names = ", ".join(value_name(value) for value in odd[:5]) + (", ..." if len(odd) > 5 else "")
        what = "ids out of range" if values[0] < COLOR else "unknown colours"
        reason = f"{share:.1%} of its pixels have values that are no class: {names}"
        cure = "correct the mask, or name these classes (255 is void)"
        if values[0] >= COLOR:
            cure = "correct the mask, or add these colours to the colour table"
        return found, (what, reason, cure), was_turned
    return found, None, was_turned


def _problem(path, error):
    """(kind, reason, cure) of a message of mask_file.py: "PATH: REASON; CURE"."""
    reason, _, cure = str(error).removeprefix(f"{path}: ").partition("; ")
    kinds = {"JPEG": "mask saved as JPEG", "colours": "coloured mask", "its photo": "sizes differ"}
    kind = next((kind for words, kind in kinds.items() if words in reason), "mask unreadable")
    return kind, reason, cure
