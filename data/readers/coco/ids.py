"""The ids of a COCO file: annotations matched with their images and their classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from retinue.data.finding import INVALID, WARNING, Finding
from retinue.data.readers.coco.file import CocoFile, Id, json_text, number_of


def match_ids(
    file: CocoFile, key: str, ids: Sequence[Id], known: Mapping[Id, int], findings: list[Finding]
) -> np.ndarray:
    """Return the value of each id, int64 `[m]`, -1 for an id that is not known.

    An id that is text in one place and a number in another is matched by its number, unless two ids have this number.

    Args:
        file: The file, for findings.
        key: The name of the ids, for findings.
        ids: The ids of the annotations, `[m]`.
        known: {id: value}.
        findings: Receives a finding if ids are matched by their number.
    """
    values = np.fromiter((known.get(number, -1) for number in ids), np.int64, len(ids))
    unknown = np.flatnonzero(values < 0).tolist()
    if not unknown:
        return values
    of_number: dict[int, int] = {}
    for number, value in known.items():
        whole = number_of(number)
        if whole is not None:
            of_number[whole] = -1 if whole in of_number else value
    matched = []
    for index in unknown:
        whole = number_of(ids[index])
        if whole is not None and ids[index] not in file.ambiguous_ids:
            values[index] = of_number.get(whole, -1)
            if values[index] >= 0:
                matched.append(index)
    if matched:
        item = f"annotation {file.annotation_ids[matched[0]]}"
        written = json_text(ids[matched[0]])
        reason = (
            f"{len(matched):,} annotations write their {key} in another way than the file does elsewhere, the first is "
            f"{item} with {written}"
        )
        findings.append(Finding(WARNING, "ids of unlike types", file.path, "", reason, "matched by their numbers"))
    return values


def report_unknown_ids(
    file: CocoFile, paths: Sequence[str], image_of: np.ndarray, labels: np.ndarray, findings: list[Finding]
) -> None:
    """Add a finding for each annotation of an unknown image or class, and for each id of several annotations."""
    is_ambiguous = np.fromiter((image in file.ambiguous_ids for image in file.image_id_of), bool, len(file.image_id_of))
    for index in np.flatnonzero((image_of < 0) & ~is_ambiguous).tolist():
        item = f"annotation {file.annotation_ids[index]}"
        reason = f"{item}: its image_id {json_text(file.image_id_of[index])} is none of the images"
        findings.append(Finding(INVALID, "unknown image", file.path, item, reason, "skipped; add the image"))
    for index in np.flatnonzero((image_of >= 0) & (labels < 0)).tolist():
        item = f"annotation {file.annotation_ids[index]}"
        category = json_text(file.category_ids[index])
        reason = f"{item}: unknown class, its category_id {category} is none of the categories"
        action = "skipped; add the category, or correct the id"
        findings.append(Finding(INVALID, "unknown class", paths[image_of[index]], item, reason, action))
    unique, first, counts = np.unique(object_ids(file), return_index=True, return_counts=True)
    for number, index, repetitions in zip(*(column[counts > 1] for column in (unique, first, counts)), strict=True):
        path = paths[image_of[index]] if image_of[index] >= 0 else file.path
        reason = f"annotation {number}: duplicate id, {repetitions} annotations have it"
        action = "all are used; other programs only keep one, so number them anew"
        findings.append(Finding(WARNING, "duplicate annotation id", path, f"annotation {number}", reason, action))


def object_ids(file: CocoFile) -> np.ndarray:
    """Return the id of each annotation as a column can hold it, int64 `[m]`: its index where it is no such number."""
    return np.array(
        [
            number if isinstance(number, int) and abs(number) < 2**63 else index
            for index, number in enumerate(file.annotation_ids)
        ],
        np.int64,
    )
