"""The part of the check that compares files: duplicates, leaks over splits, and groups in several splits."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from retinue.data.checking.file_info import FileInfo
from retinue.data.dataset import SPLITS, Dataset
from retinue.data.finding import NOTE, WARNING, Finding

SPLIT_ORDER = {name: index for index, name in enumerate(("train", "", "val", "test"))}  # the first is the original


def duplicate_groups(files: Sequence[FileInfo]) -> list[np.ndarray]:
    """Return int64 arrays of rows whose files have the same bytes. Invalid files are ignored."""
    rows_of = defaultdict(list)
    for row, file in enumerate(files):
        if file.problem is None:
            rows_of[file.file_size, file.content_id].append(row)
    return [np.array(rows, np.int64) for rows in rows_of.values() if len(rows) > 1]


def duplicate_findings(dataset: Dataset, groups: Sequence[np.ndarray]) -> list[Finding]:
    """Return the findings about each copy: a leak over splits, a contradicting label, or else a plain duplicate."""
    findings = []
    for rows in groups:
        original, *copies = sorted(rows.tolist(), key=lambda row: (SPLIT_ORDER[str(dataset.splits[row])], row))
        for row in copies:
            findings += _copy_findings(dataset, row, original)
    return findings


def group_findings(dataset: Dataset) -> list[Finding]:
    """Return a finding for each group that the splits of the source tear apart."""
    if dataset.groups is None:
        return []
    splits_of: dict[str, set[str]] = defaultdict(set)
    file_of: dict[str, str] = {}
    for group, split, file in zip(dataset.groups, dataset.splits, dataset.files, strict=True):
        if group and split:
            splits_of[group].add(split)
            file_of.setdefault(group, file)
    return [
        Finding(
            WARNING,
            "group across splits",
            file_of[group],
            group,
            f"the group {group} is in {' and '.join(name for name in SPLITS if name in splits)}",
            "kept; the score will look too good: give the group one split",
        )
        for group, splits in splits_of.items()
        if len(splits) > 1
    ]


def _copy_findings(dataset: Dataset, row: int, original: int) -> list[Finding]:
    """Return the findings about the file `row`, which has the same bytes as the file `original`."""
    findings, file, original_file = [], dataset.files[row], dataset.files[original]
    split, original_split = dataset.splits[row] or "no split", dataset.splits[original] or "no split"
    if split != original_split:
        reason = f"in {split}, and the same bytes are in {original_split} as {original_file}"
        action = "kept; the score will look too good: delete one of the two"
        findings.append(Finding(WARNING, "duplicate across splits", file, "", reason, action))
    if _label_set(dataset, row) != _label_set(dataset, original):
        names, original_names = _label_names(dataset, row), _label_names(dataset, original)
        reason = f"labeled {names}, and the same bytes are labeled {original_names} as {original_file}"
        action = "kept; correct one of the two labels"
        findings.append(Finding(WARNING, "same image, other label", file, names, reason, action))
    if not findings:
        reason = f"the same bytes as {original_file}"
        findings.append(Finding(NOTE, "duplicate", file, "", reason, "kept, in the same split"))
    return findings


def _label_set(dataset: Dataset, row: int) -> frozenset[int]:
    if not dataset.classes:
        return frozenset()
    labels = dataset.columns["labels"][row] if "labels" in dataset.columns else [dataset.columns["label"][row]]
    return frozenset(int(label) for label in labels)


def _label_names(dataset: Dataset, row: int) -> str:
    return "+".join(sorted(dataset.classes[label] for label in _label_set(dataset, row))) or "nothing"
