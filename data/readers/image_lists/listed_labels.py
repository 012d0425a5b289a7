"""Lists beside class folders: the official splits, and the labels of images that lie outside the class folders.

Such are the validation images of Tiny ImageNet (`val/val_annotations.txt`) and of ImageNet (`LOC_val_solution.csv`).
"""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.readers.image_lists.listed_images import (
    UNREAD_SUFFIXES,
    ImageList,
    ImagesByName,
    list_paths,
    read_image_list,
)
from retinue.data.readers.image_lists.splits import with_official_splits


def with_lists(dataset: Dataset, tree: FileTree, beside: Sequence[str] = ()) -> Dataset:
    """Return a dataset of class folders with what the lists in its source tell.

    Args:
        dataset: The images in class folders.
        tree: The files of the source.
        beside: Further files that may be lists of splits.
    """
    paths = list_paths(tree)
    dataset = with_official_splits(dataset, list(dict.fromkeys((*paths, *beside))))
    others = tree.image_paths - set(dataset.files)
    if not others or "train" not in dataset.splits:
        return dataset
    images = ImagesByName(others)
    for path in paths:
        listed = None if path.lower().endswith(UNREAD_SUFFIXES) else read_image_list(path, images)
        if listed:
            dataset = _with_labels(dataset, tree, listed)
    return dataset


def _with_labels(dataset: Dataset, tree: FileTree, listed: ImageList) -> Dataset:
    """Return a dataset with the images of a list whose values are its classes; otherwise with a warning."""
    known = set(dataset.files)
    label_of = {image: _label(values, dataset.classes) for image, values in listed.values.items() if image not in known}
    if not any(listed.values.values()) or not label_of:
        return dataset
    split_of = {image: split_in_path(os.path.relpath(os.path.dirname(image), tree.root)) for image in label_of}
    if "" in label_of.values() or "" in split_of.values():
        reason = f"it names {len(label_of):,} images outside the class folders, but not all with a class and a split"
        action = "not used, so these images have no class"
        finding = Finding(WARNING, "list not used", listed.path, "", reason, action)
        return dataclasses.replace(dataset, findings=(*dataset.findings, finding))
    files = sorted(label_of)
    labels = [dataset.classes.index(label_of[file]) for file in files]
    reason = f"it gives {len(files):,} images outside the class folders their classes"
    finding = Finding(NOTE, "labels of a list", listed.path, "", reason, "used")
    folders = {os.path.dirname(file) for file in files}
    groups = None
    if dataset.groups is not None:
        groups = np.concatenate([dataset.groups, np.full(len(files), "", dtype=object)])
    return dataclasses.replace(
        dataset,
        files=np.concatenate([dataset.files, np.array(files, dtype=object)]),
        columns={"label": np.concatenate([dataset.columns["label"], np.array(labels, np.int64)])},
        splits=np.concatenate([dataset.splits, np.array([split_of[file] for file in files], dtype=object)]),
        groups=groups,
        findings=(*(one for one in dataset.findings if not _is_about(one, folders, set(files))), finding),
    )


def _label(values: Sequence[str], classes: Sequence[str]) -> str:
    """Return the class that the values of an image name, also once for each of its boxes, or ""."""
    words = {word for value in values for word in (value, *value.split())}
    found = words & set(classes)
    return found.pop() if len(found) == 1 else ""


def _is_about(finding: Finding, folders: set[str], files: set[str]) -> bool:
    """Return whether a finding reports that images are not used which a list gives a class."""
    path = os.path.normpath(finding.file)
    return finding.kind == "not used" and (
        path in files or any(folder == path or folder.startswith(path + os.sep) for folder in folders)
    )
