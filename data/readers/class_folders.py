"""Class folders: `DATA/<class>/**.jpg`, or the same below `DATA/train`, `DATA/val` and `DATA/test`."""

import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.folders import (
    class_name,
    files_below,
    files_in,
    folders_in,
    result_findings,
    split_folders_in,
)
from retinue.data.storage.file_names import IMAGE_SUFFIXES, SPLIT_NAMES, looks_like_image

ImageRow = tuple[str, str, str]  # path, name of the class folder, split


def read_class_folders(folder: str | os.PathLike[str]) -> Dataset:
    """Read a folder of class folders into a `Dataset` for classification; classes and files are in sorted order.

    Below a class folder any depth of folders is read. Hidden files and the metadata files of operating systems are
    ignored silently. Other files that are not images, and folders that retinue wrote, are ignored with a finding.

    Args:
        folder: The folder of the class folders, or of the folders of the splits.

    Returns:
        The dataset, with the column `label`.

    Raises:
        RetinueError: There is no image or no class.
    """
    folder = os.fspath(folder)
    root, findings = folder, list[Finding]()
    while _only_wraps_class_folders(root):
        findings += result_findings(root)
        root = os.path.join(root, folders_in(root)[0])
        findings.append(Finding(NOTE, "folder in a folder", root, "", "the classes are one level down", "read there"))
    split_folders = split_folders_in(root)
    if split_folders:
        findings += result_findings(root)
        rows, class_folders = list[ImageRow](), set[str]()
        for split, name in split_folders.items():
            rows += _read_classes(os.path.join(root, name), split, findings)
            class_folders.update(folders_in(os.path.join(root, name)))
        for name in sorted(set(folders_in(root)) - set(split_folders.values())):
            findings.append(_unused(os.path.join(root, name), "a folder beside train, val and test"))
    else:
        rows, class_folders = _read_classes(root, "", findings), set(folders_in(root))
    if not rows:
        raise RetinueError(_reason_for_no_images(folder, root))
    classes = sorted({class_name(name) for name in class_folders})
    table = _first_table(root)
    if len(classes) == 1 and table:  # the images are in one folder, and a table beside it describes them
        raise RetinueError(
            f"{folder}: there is one folder of images and a table beside it; name the table instead: {table}"
        )
    index_of = {name: index for index, name in enumerate(classes)}
    rows.sort()
    return Dataset(
        task="classification",
        files=np.array([file for file, _, _ in rows], dtype=object),
        classes=tuple(classes),
        columns={"label": np.array([index_of[class_name(name)] for _, name, _ in rows], np.int64)},
        splits=np.array([split for _, _, split in rows], dtype=object),
        source=folder,
        format="class folders",
        findings=tuple(findings),
    )


def _read_classes(folder: str, split: str, findings: list[Finding]) -> list[ImageRow]:
    """Return a row for every image in the class folders of `folder`."""
    rows = []
    findings += result_findings(folder)
    for name in folders_in(folder):
        for file in files_below(os.path.join(folder, name), findings):
            if looks_like_image(file):
                rows.append((file, name, split))
            else:
                findings.append(_unused(file, "not an image"))
    for name in files_in(folder):
        if looks_like_image(name):
            reason = f"an image outside the class folders of {folder}, so it has no class"
            findings.append(_unused(os.path.join(folder, name), reason))
    return rows


def _unused(file: str, reason: str) -> Finding:
    return Finding(WARNING, "not used", file, "", reason, "ignored")


def _only_wraps_class_folders(root: str) -> bool:
    """Return whether `root` only holds one folder of class folders, as an archive often unpacks."""
    folders = folders_in(root)
    if len(folders) != 1 or folders[0].lower() in SPLIT_NAMES or any(map(looks_like_image, files_in(root))):
        return False
    inner = os.path.join(root, folders[0])
    return len(folders_in(inner)) > 1 and not any(map(looks_like_image, files_in(inner)))


def _first_table(root: str) -> str | None:
    """Return the path of the first table in a folder, or None."""
    names = [name for name in files_in(root) if name.lower().endswith((".csv", ".tsv"))]
    return os.path.join(root, names[0]) if names else None


def _reason_for_no_images(folder: str, root: str) -> str:
    table = _first_table(root)
    if table:
        return f"{folder}: there are no class folders, but a table; name it instead: {table}"
    count = sum(map(looks_like_image, files_in(root)))
    for name in folders_in(root):
        count += sum(map(looks_like_image, files_in(os.path.join(root, name))))
    if count:
        example = os.path.join(folder, "cat", "1.jpg")
        return (
            f"{folder}: there are {count} images but no class folders; give each class a folder of its own (as in "
            f"{example}), or list the images in a CSV with the columns file,label"
        )
    return (
        f"{folder}: there are no images in it; looked for {' '.join(IMAGE_SUFFIXES)} in folders that are named after "
        "the classes"
    )
