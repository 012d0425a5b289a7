"""The part of the check that looks at masks: which can't be right, and how many pixels each class has."""

import dataclasses
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.checking.file_info import FileInfo, upright_size
from retinue.data.dataset import Dataset, Ragged
from retinue.data.decoding.jpeg_mask import THRESHOLD
from retinue.data.decoding.mask_file import (
    COLOR_FLAG,
    describe_value,
    is_jpeg,
    orient_mask,
    read_mask_values,
    to_class_ids,
)
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.storage.content import content_ids
from retinue.data.void_label import VOID

RARE_FRACTION = 0.0001  # of all pixels; a class with fewer is reported
SAME_ASPECT = "sizes differ, same aspect ratio"  # a kind of problem
RESIZE_SETTING = "segmentation.resize_masks=true"
MAX_VALUES = 300  # pixel values in the report's histogram


@dataclass
class MaskReport:
    """What was found out about the masks of a dataset.

    Attributes:
        dataset: The dataset with the columns `labels` (Ragged int64: the classes in each mask, each once), `pixels`
            (int64 `[n, classes]`: the number of pixels of each class) and `mask_id` (the content id of each mask file,
            see `data.storage.content`).
        invalid_files: bool `[n]`, the rows whose mask can't be used.
        findings: What is wrong or odd.
        summary: Plain values for the report. `values`: the number of pixels of each value in the masks. `pixels`: the
            number of pixels of each class. `void`: the number of void pixels. `resizable`: the number of masks of
            another size that segmentation.resize_masks would make usable. `resized`: the number of resized masks.
    """

    dataset: Dataset
    invalid_files: np.ndarray
    findings: list[Finding]
    summary: dict[str, Any]


@dataclass(frozen=True)
class _MaskInfo:
    """What is known of one mask.

    Attributes:
        histogram: {pixel value: count}; empty where the mask can't be decoded or its image is invalid.
        problem: Kind, reason and cure when the mask can't be used.
        is_rotated: Whether the mask is that of the stored image, which EXIF rotates.
        resized_from: Width and height in pixels of a mask that is resized to its image, or None.
        is_thresholded: Whether the mask is a JPEG of black and white.
    """

    histogram: dict[int, int] = dataclasses.field(default_factory=dict)
    problem: tuple[str, str, str] | None = None
    is_rotated: bool = False
    resized_from: tuple[int, int] | None = None
    is_thresholded: bool = False


def check_masks(
    dataset: Dataset, files: Sequence[FileInfo], num_workers: int | None = None, resize_masks: bool = False
) -> MaskReport:
    """Look at every mask of a segmentation dataset.

    Invalid is a mask that is missing, can't be decoded, is a JPEG of more than black and white, has another size than
    its image, or holds a value that is not a class. A mask of the stored image's size is rotated with the image.

    Args:
        dataset: The dataset.
        files: What is known of each image, `[n]`.
        num_workers: The number of threads, by default the number of cores.
        resize_masks: As segmentation.resize_masks in the configuration.
    """
    num_classes, masks, values = len(dataset.classes), dataset.columns["mask"], dataset.columns["values"]

    def probe_row(row: int) -> _MaskInfo:
        return _probe_mask(masks[row], values[row], num_classes, files[row], resize_masks)

    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(num_workers or usable_cores()) as pool:
        mask_infos = list(pool.map(probe_row, range(len(dataset))))
    invalid, findings = np.zeros(len(dataset), bool), list[Finding]()
    histogram, pixels, void = Counter[int](), np.zeros((len(dataset), num_classes), np.int64), 0
    for row, info in enumerate(mask_infos):
        histogram.update(info.histogram)
        findings += _mask_findings(dataset, row, info, files[row].orientation)
        if info.problem:
            invalid[row] = True
        elif info.histogram:
            pixels[row], num_void = _count_pixels(info.histogram, values[row], num_classes)
            void += num_void
            if not pixels[row].sum():
                reason = "all of its mask is void: there is nothing to train on or to score"
                findings.append(Finding(WARNING, "all void", dataset.files[row], "", reason, "kept; draw its mask"))
    columns = {
        "labels": Ragged.from_rows([np.flatnonzero(row) for row in pixels], np.int64),
        "pixels": pixels,
        "mask_id": np.array(content_ids(masks), dtype=object),
    }
    total = pixels.sum(axis=0)
    findings += _rare_class_findings(dataset, total)
    findings += _jpeg_findings(
        dataset, [mask for mask, info in zip(masks, mask_infos, strict=True) if info.is_thresholded]
    )
    summary = {
        "values": {describe_value(value): int(count) for value, count in sorted(histogram.items())[:MAX_VALUES]},
        "pixels": dict(zip(dataset.classes, total.tolist(), strict=True)),
        "void": void,
        "resizable": sum(info.problem is not None and info.problem[0] == SAME_ASPECT for info in mask_infos),
        "resized": sum(info.resized_from is not None for info in mask_infos),
    }
    return MaskReport(dataclasses.replace(dataset, columns=dataset.columns | columns), invalid, findings, summary)


def _mask_findings(dataset: Dataset, row: int, info: _MaskInfo, orientation: int) -> list[Finding]:
    file = dataset.files[row]
    if info.problem:
        kind, reason, cure = info.problem
        return [Finding(INVALID, kind, file, "", f"{dataset.columns['mask'][row]}: {reason}", f"skipped; {cure}")]
    if not info.histogram:  # the image is invalid, which is reported already
        return []
    if info.resized_from:
        width, height = info.resized_from
        reason = f"its mask has {width} x {height} pixels, the image another size of the same aspect ratio"
        return [Finding(NOTE, "mask resized", file, "", reason, "resized to the image (segmentation.resize_masks)")]
    if info.is_rotated:
        reason = "its mask is drawn on the image as stored, and EXIF rotates it"
        return [Finding(NOTE, "mask rotated by EXIF", file, "", reason, "the mask is rotated with it")]
    if orientation != 1 and dataset.format != "tfds":
        reason = "EXIF rotates it, and its mask is assumed to be drawn on the upright image"
        return [Finding(WARNING, "rotated by EXIF", file, "", reason, "check samples.jpg")]
    return []


def _count_pixels(histogram: dict[int, int], values: np.ndarray, num_classes: int) -> tuple[np.ndarray, int]:
    """Return the number of pixels of each class, int64 `[classes]`, and of void in a mask."""
    ids, _ = to_class_ids(np.array(list(histogram), np.int64), values, num_classes)
    counts = np.array(list(histogram.values()), np.int64)
    is_void = ids == VOID
    pixels = np.bincount(ids[~is_void], counts[~is_void], minlength=num_classes)[:num_classes]
    return pixels.astype(np.int64), int(counts[is_void].sum())


def _rare_class_findings(dataset: Dataset, pixels: np.ndarray) -> list[Finding]:
    """Return a finding for each class with few pixels; pixels: int64 `[classes]`."""
    findings = []
    for name, count in zip(dataset.classes, pixels, strict=True):
        if 0 < count < RARE_FRACTION * pixels.sum():
            reason = f"the class {name} has {count / pixels.sum():.4%} of the pixels"
            action = "kept; --set train.class_balance=sqrt_weights gives rare classes more weight"
            findings.append(Finding(NOTE, "rare class", dataset.source, name, reason, action))
    return findings


def _jpeg_findings(dataset: Dataset, masks: Sequence[str]) -> list[Finding]:
    """Return the finding for the masks that are JPEGs of black and white."""
    if not masks:
        return []
    reason = f"{len(masks):,} masks are JPEGs of black and white with gray levels at edges, the first is {masks[0]}"
    action = f"levels from {THRESHOLD} on are read as 255, others as 0; save the masks as PNG to keep ids"
    return [Finding(NOTE, "masks in JPEG", dataset.source, "", reason, action)]


def _probe_mask(path: str, values: np.ndarray, num_classes: int, file: FileInfo, resize: bool) -> _MaskInfo:
    """Decode one mask and compare it with its image and with the classes."""
    if file.problem:
        return _MaskInfo()
    try:
        raw = read_mask_values(path, values[0] >= COLOR_FLAG)
    except RetinueError as error:
        return _MaskInfo(problem=_problem_of(path, error))
    try:
        mask = orient_mask(path, raw, upright_size(file), file.orientation, resize)
    except RetinueError as error:
        return _MaskInfo(_histogram(raw), _problem_of(path, error))
    is_rotated, is_resized = raw.shape != mask.shape, sorted(raw.shape) != sorted(mask.shape)
    histogram = _histogram(mask)
    unique = np.array(list(histogram), np.int64)
    _, is_unknown = to_class_ids(unique, values, num_classes)
    problem = _unknown_values_problem(histogram, unique[is_unknown].tolist(), values) if is_unknown.any() else None
    resized_from = (raw.shape[1], raw.shape[0]) if is_resized else None
    return _MaskInfo(histogram, problem, is_rotated, resized_from, is_jpeg(path))


def _histogram(mask: np.ndarray) -> dict[int, int]:
    """Return {pixel value: count} of a mask, uint8 or int32 `[h, w]`."""
    unique, counts = np.unique(mask, return_counts=True)
    return dict(zip(unique.tolist(), counts.tolist(), strict=True))


def _unknown_values_problem(
    histogram: dict[int, int], unknown: Sequence[int], values: np.ndarray
) -> tuple[str, str, str]:
    """Return kind, reason and cure of a mask with pixel values that are not classes."""
    fraction = sum(histogram[value] for value in unknown) / sum(histogram.values())
    names = ", ".join(describe_value(value) for value in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    reason = f"{fraction:.1%} of its pixels have values that are not classes: {names}"
    if values[0] < COLOR_FLAG:
        return "ids out of range", reason, "correct the mask, or name these classes (255 is void)"
    return "unknown colors", reason, "correct the mask, or add these colors to the color table"


def _problem_of(path: str, error: RetinueError) -> tuple[str, str, str]:
    """Return kind, reason and cure of an error of `mask_file`, whose messages are "PATH: REASON; CURE"."""
    reason, _, cure = str(error).removeprefix(f"{path}: ").partition("; ")
    kinds = {
        "JPEG": "mask saved as JPEG",
        "colors": "colored mask",
        "same aspect ratio": SAME_ASPECT,
        "its image": "sizes differ",
    }
    kind = next((kind for words, kind in kinds.items() if words in reason), "mask unreadable")
    return kind, reason, cure
