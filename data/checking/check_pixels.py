"""The part of the check that finds the scale of images of more than 8 bits: one range of values for the dataset."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from retinue.configs.machine import usable_cores
from retinue.data.checking.file_info import FileInfo
from retinue.data.dataset import Dataset
from retinue.data.decoding.deep_image import decode_deep_image
from retinue.data.decoding.image_file import ImageInfo
from retinue.data.decoding.pixel_range import (
    EIGHT_BITS,
    FileValues,
    PixelRange,
    find_pixel_range,
    fraction_outside,
    range_problem,
    sample_values,
)
from retinue.data.finding import INVALID, NOTE, WARNING, Finding

SAMPLED_FILES = 100
MAX_OUTSIDE = 0.05  # fraction of the values outside the range that causes a warning
MIN_USED = 0.1  # of the range; a warning if the values use less


@dataclass(frozen=True)
class PixelReport:
    """What was found out about the scale of a dataset.

    Attributes:
        pixel_range: The values that become 0 and 255 in images of more than 8 bits. None if there are no such images
            and data.pixel_range is not set, or if no range could be found.
        text: The scale in words, "" if there are no images of more than 8 bits or no range.
        invalid_files: bool `[n]`, the rows that can't be used because there is no range.
        findings: What is wrong or odd.
    """

    pixel_range: PixelRange | None
    text: str
    invalid_files: np.ndarray
    findings: list[Finding]


def check_pixels(
    dataset: Dataset, files: Sequence[FileInfo], pixel_range: PixelRange | None, training: bool
) -> PixelReport:
    """Find the scale of the images of more than 8 bits, or compare them with the scale that is set.

    Args:
        dataset: The dataset.
        files: What is known of each file, `[n]`.
        pixel_range: data.pixel_range in the configuration.
        training: Whether a range is found if none is set. A trained model has none if it was trained without images of
            more than 8 bits; then such images can't be used.
    """
    depths = np.array([_depth(file) for file in files], dtype=object)
    rows = np.flatnonzero((depths != EIGHT_BITS) & (depths != ""))
    invalid = np.zeros(len(files), bool)
    if not len(rows):
        return PixelReport(pixel_range, "", invalid, [])
    findings = _mixed_depth_findings(dataset, depths)
    is_found = pixel_range is None and training
    sample = _sample(dataset, rows) if training or pixel_range else []
    if is_found:
        is_integer = not any("float" in depth for depth in depths[rows])
        pixel_range = find_pixel_range(sample, is_integer)
    if pixel_range is None:
        for row in rows:
            kind, reason, cure = range_problem(depths[row], None) or ("", "", "")
            findings.append(Finding(INVALID, kind, dataset.files[row], "", reason, f"skipped; {cure}"))
        invalid[rows] = True
        return PixelReport(None, "", invalid, findings)
    findings += _range_findings(dataset, sample, pixel_range)
    names = " and ".join(depth for depth, _ in Counter(depths[rows]).most_common())
    low, high = pixel_range
    text = f"{names} values {_number(low)} to {_number(high)} become 0 to 255"
    text += "" if is_found else " (set by data.pixel_range)"
    return PixelReport(pixel_range, text, invalid, findings)


def _depth(file: FileInfo) -> str:
    """Return the depth of an image, "" if it can't be used or is a clip."""
    return file.depth if isinstance(file, ImageInfo) and not file.problem else ""


def _sample(dataset: Dataset, rows: np.ndarray) -> list[FileValues]:
    """Return the values of some files, evenly spaced over `rows`, so that they are the same in every check."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, SAMPLED_FILES).astype(int))]
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(lambda row: sample_values(decode_deep_image(str(dataset.files[row]))), chosen.tolist()))


def _mixed_depth_findings(dataset: Dataset, depths: np.ndarray) -> list[Finding]:
    counts = Counter(depth for depth in depths if depth)
    if len(counts) == 1:
        return []
    text = ", ".join(f"{count:,} of {depth}" for depth, count in counts.most_common())
    reason = f"the images have different depths: {text}"
    if EIGHT_BITS in counts:
        reason += "; those of 8 bits are used as they are"
    action = "used as they are; check in samples.jpg that they look alike, or convert them to one depth"
    return [Finding(WARNING, "mixed depths", dataset.source, "", reason, action)]


def _range_findings(dataset: Dataset, sample: Sequence[FileValues], pixel_range: PixelRange) -> list[Finding]:
    findings = []
    num_missing = sum(file.num_missing for file in sample)
    if num_missing:
        fraction = num_missing / (num_missing + sum(file.values.size for file in sample))
        reason = f"{fraction:.1%} of the values are missing (NaN, infinite or no data); they become black"
        findings.append(Finding(NOTE, "missing values", dataset.source, "", reason, "used as they are"))
    action = "used as they are; set data.pixel_range to the values that should become black and white"
    outside = fraction_outside(sample, pixel_range)
    low, high = pixel_range
    if outside > MAX_OUTSIDE:
        reason = f"{outside:.0%} of the values lie outside {_number(low)} to {_number(high)} and become black or white"
        findings.append(Finding(WARNING, "outside the scale", dataset.source, "", reason, action))
    found = find_pixel_range(sample, is_integer=False)
    if found and found[1] - found[0] < MIN_USED * (high - low):
        reason = (
            f"the values use only {_number(found[0])} to {_number(found[1])} of {_number(low)} to {_number(high)}, so "
            "that the images are nearly uniform"
        )
        findings.append(Finding(WARNING, "small part of the scale", dataset.source, "", reason, action))
    return findings


def _number(value: float) -> str:
    """Return a value as text: "4,071", "0.0132"."""
    return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"
