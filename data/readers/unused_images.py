"""Images of a source that are in no label, so that they are not read: one finding for each folder."""

import os
from collections.abc import Iterable
from pathlib import PurePath

from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.explanation import Explanation

MAX_FOLDERS = 4  # more folders are one finding
# The kinds of findings by which readers mention such images themselves.
KINDS = (
    *("not used", "images without label files", "not annotated", "no annotation", "image without XML", "not listed"),
    *("drawings of masks", "several kinds of masks"),
)


def unused_images(explanation: Explanation, dataset: Dataset) -> list[Finding]:
    """Return a finding for each folder with images that the labels don't name and the reader has not mentioned.

    Args:
        explanation: How the source was understood, with its `unexplained` images. Class folders tell themselves what
            they leave out.
        dataset: What was read.
    """
    if explanation.implicit or not explanation.unexplained:
        return []
    used = set(map(os.path.normpath, dataset.files)) | _masks(dataset) | _mentioned(dataset.findings)
    folders: dict[str, list[str]] = {}
    for path in sorted(explanation.unexplained - used):
        if not any(str(above) in used for above in PurePath(path).parents):
            folders.setdefault(os.path.dirname(path), []).append(path)
    if len(folders) > MAX_FOLDERS:
        folders = {os.path.commonpath(folders): [path for paths in folders.values() for path in paths]}
    return [
        Finding(
            NOTE,
            "not used",
            folder or os.curdir,
            "",
            f"{len(paths):,} images have no label ({explanation.format}), for example {os.path.basename(paths[0])}",
            "ignored",
        )
        for folder, paths in folders.items()
    ]


def _masks(dataset: Dataset) -> set[str]:
    return {os.path.normpath(path) for path in dataset.columns.get("mask", ())}


def _mentioned(findings: Iterable[Finding]) -> set[str]:
    return {os.path.normpath(finding.file) for finding in findings if finding.kind in KINDS}
