"""Bringing boxes upright: which image they were drawn on, the stored one or the one that EXIF turns."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from retinue.data.checking.exif_boxes import rotate_boxes_upright
from retinue.data.checking.file_info import FileInfo, upright_size
from retinue.data.dataset import Dataset, Ragged
from retinue.data.finding import INVALID, NOTE, WARNING, Finding

FRACTION_FORMATS = ("yolo", "tfds")  # whose readers multiply by the size of the upright image
TOLERANCE = 1.0  # pixels by which boxes may reach out of an image that they belong to


def bring_upright(dataset: Dataset, files: Sequence[FileInfo]) -> tuple[Dataset, list[Finding], np.ndarray]:
    """Rotate boxes that were drawn on stored images, and compare sizes.

    Where annotations give height and width in the wrong order, the boxes decide: if the boxes of all such images fit
    their files, only the sizes are wrong.

    Args:
        dataset: The dataset.
        files: What is known of each image, `[n]`.

    Returns:
        The dataset with all boxes in the upright images; the findings; and bool `[n]`, the files that are no longer the
        images that were annotated.
    """
    findings, invalid = list[Finding](), np.zeros(len(dataset), bool)
    boxes = dataset.columns["boxes"]
    values = boxes.values.copy()
    only_size_is_wrong = _boxes_fit_files(dataset, files)
    for row, (image, annotated) in enumerate(zip(files, dataset.columns["size"].tolist(), strict=True)):
        if image.problem:
            continue
        upright, stored = upright_size(image), (image.height, image.width)
        file, has_size = dataset.files[row], 0 not in annotated
        if _is_swapped(annotated, image) and only_size_is_wrong:
            reason = f"annotated as {_size_text(annotated)} pixels, but the file has {_size_text(upright)}"
            action = "its boxes fit the file and are used; correct the size"
            findings.append(Finding(WARNING, "width and height swapped", file, "", reason, action))
        elif has_size and tuple(annotated) not in (upright, stored):
            invalid[row] = True
            reason = f"annotated as {_size_text(annotated)} pixels, but the file has {_size_text(upright)}"
            action = "skipped; use the image that was annotated, or correct the annotation"
            findings.append(Finding(INVALID, "other size than annotated", file, "", reason, action))
        elif has_size and tuple(annotated) != upright:
            rotated = rotate_boxes_upright(boxes[row], stored, image.orientation)
            values[boxes.offsets[row] : boxes.offsets[row + 1]] = rotated
            reason = f"annotated as stored, {_size_text(annotated)}, and EXIF rotates it"
            findings.append(Finding(NOTE, "boxes rotated by EXIF", file, "", reason, "its boxes are rotated with it"))
        elif image.orientation != 1 and len(boxes[row]) and (not has_size or upright == stored):
            if dataset.format not in FRACTION_FORMATS:
                reason = "EXIF rotates it, and nothing tells whether it was annotated before or after"
                action = "assumed to be annotated upright; check samples.jpg"
                findings.append(Finding(WARNING, "rotated by EXIF", file, "", reason, action))
    columns = dataset.columns | {"boxes": Ragged(values, boxes.offsets)}
    return dataclasses.replace(dataset, columns=columns), findings, invalid


def _is_swapped(annotated: Sequence[int], image: FileInfo) -> bool:
    """Return whether the annotated height and width are those of the file in the wrong order, and EXIF turns none."""
    upright = upright_size(image)
    is_other = tuple(annotated) not in (upright, (image.height, image.width))
    return is_other and tuple(annotated) == upright[::-1]


def _boxes_fit_files(dataset: Dataset, files: Sequence[FileInfo]) -> bool:
    """Return whether the boxes of all images whose annotated height and width are swapped lie in their files.

    If those of one image do not, the images were rotated after they were annotated.
    """
    boxes = dataset.columns["boxes"]
    for row, (image, annotated) in enumerate(zip(files, dataset.columns["size"].tolist(), strict=True)):
        if not image.problem and _is_swapped(annotated, image) and len(boxes[row]):
            height, width = upright_size(image)
            x2, y2 = boxes[row][:, 2:].max(axis=0)
            if x2 > width + TOLERANCE or y2 > height + TOLERANCE:
                return False
    return True


def _size_text(size: Sequence[int]) -> str:
    """Return (height, width) as text, width first."""
    return f"{size[1]} x {size[0]}"
