"""Class folders: `DATA/<class>/**.jpg`, or the same below `DATA/train`, `DATA/val` and `DATA/test`."""

import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.clip_folders import read_clip_folders
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree, is_below
from retinue.data.readers.folders import (
    class_name,
    files_below,
    files_in,
    folders_in,
    result_findings,
    split_folders_in,
)
from retinue.data.storage.file_names import IMAGE_SUFFIXES, looks_like_image, split_of_name

# A folder with one of these files, of any suffix, is a repository. Its images in these folders are not data.
REPOSITORY_FILES = ("readme", "license", "licence", "requirements", "setup", "pyproject", "makefile", "dockerfile")
REPOSITORY_FOLDERS = (
    *("doc", "docs", "documentation", "assets", "media", "static", "figures", "figure", "figs", "screenshots"),
    *("src", "scripts", "notebooks", "examples", "example", "demo", "demos", "readme", "paper", "results", "outputs"),
)

ImageRow = tuple[str, str, str]  # path, name of the class folder, split


def explain(tree: FileTree) -> list[Explanation]:
    """Return what class folders explain of a source without videos: the images in two or more folders."""
    if tree.has_videos:
        return []
    root = _class_root(tree)
    path = tree.path(root) if root else tree.root
    try:
        split_folders = split_folders_in(path)
        if not split_folders:
            _refuse_splits(path, tree, root)
        problem = ""
    except RetinueError as error:
        split_folders, problem = {}, str(error)
    parents = [_unwrap_split(os.path.join(path, name)) for name in split_folders.values()] or [path]
    folders = {
        os.path.relpath(os.path.join(parent, name), tree.root)
        for parent in parents
        for name in _class_folders_in(parent)
    }
    images = frozenset(
        tree.path(folder, name)
        for folder, names in tree.images.items()
        if len(folders) > 1 and any(is_below(folder, class_folder) for class_folder in folders)
        for name in names.values()
    )

    def read(options: ReadOptions) -> Dataset:
        return read_clip_folders(tree.root) if options.task == "video" else read_class_folders(tree.root)

    return [
        Explanation(
            format="class folders",
            tasks=("classification", "video"),
            source=path,
            images=images,
            labels=f"the names of the folders in {path}",
            read=read,
            implicit=True,
            problem=problem,
        )
    ]


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
    tree = FileTree(folder)
    inner = _class_root(tree)
    root, findings = tree.path(inner) if inner else folder, list[Finding]()
    if inner:
        for above in _folders_above(inner):
            findings += result_findings(tree.path(above))
        findings.append(Finding(NOTE, "folder in a folder", root, "", "the classes are further down", "read there"))
        findings += _unused_beside(tree, inner)
    split_folders = split_folders_in(root)
    if not split_folders:
        _refuse_splits(root, tree, inner)
    if split_folders:
        findings += result_findings(root)
        rows, class_folders = list[ImageRow](), set[str]()
        for split, name in split_folders.items():
            path = _unwrap_split(os.path.join(root, name))
            rows += _read_classes(path, split, findings)
            class_folders.update(_class_folders_in(path))
        for name in sorted(set(folders_in(root)) - set(split_folders.values())):
            findings.append(_unused(os.path.join(root, name), "a folder beside train, val and test"))
    else:
        rows, class_folders = _read_classes(root, "", findings), set(_class_folders_in(root))
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
    for name in sorted(set(folders_in(folder)) - set(_class_folders_in(folder))):
        findings.append(Finding(NOTE, "not used", os.path.join(folder, name), "", "a folder without images", "ignored"))
    for name in _class_folders_in(folder):
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


def _class_folders_in(folder: str) -> list[str]:
    """Return the sorted names of the folders that are classes: those with images, and empty ones.

    A folder that only holds other files, such as annotations or code, is not a class.
    """
    return [name for name in folders_in(folder) if _has_images_or_is_empty(os.path.join(folder, name))]


def _has_images_or_is_empty(folder: str) -> bool:
    files = list(files_below(folder, []))
    return not files or any(map(looks_like_image, files))


def _class_root(tree: FileTree) -> str:
    """Return the folder with the class folders, or with the folders of the splits.

    It is the root, or the first folder below it that has several folders with images, if there is only one way down to
    it. In a repository, folders that usually hold the images of its documentation are passed over.
    """
    folder = ""
    while True:
        if folder in tree.images or folder and split_of_name(os.path.basename(folder)):
            return ""
        inner = _folders_with_images(tree, folder)
        if len(inner) > 1:
            return folder
        if not inner or (not folder and split_of_name(inner[0])):
            return ""
        folder = inner[0]


def _folders_with_images(tree: FileTree, folder: str) -> list[str]:
    inner = [name for name in tree.subfolders(folder) if tree.images_below(name)]
    if any(os.path.splitext(name)[0].lower() in REPOSITORY_FILES for name in tree.names[folder]):
        inner = [name for name in inner if os.path.basename(name).lower() not in REPOSITORY_FOLDERS] or inner
    return inner


def _folders_above(folder: str) -> list[str]:
    """Return every folder above a folder of a `FileTree`, the root first."""
    parts = folder.split(os.sep)
    return [os.sep.join(parts[:count]) for count in range(len(parts))]


def _unused_beside(tree: FileTree, root: str) -> list[Finding]:
    """Return a finding for each folder with images that is passed over on the way down to the class folders."""
    return [
        _unused(tree.path(name), "a folder beside the dataset")
        for above in _folders_above(root)
        for name in tree.subfolders(above)
        if tree.images_below(name) and not is_below(root, name)
    ]


def _unwrap_split(folder: str) -> str:
    """Return the folder of the classes of a split, which may lie one folder down, as in seg_train/seg_train."""
    inner = folders_in(folder)
    if len(inner) == 1 and split_of_name(inner[0]) == split_of_name(os.path.basename(folder)):
        return os.path.join(folder, inner[0])
    return folder


def _refuse_splits(path: str, tree: FileTree, root: str) -> None:
    """Raise RetinueError when the folders of `root` all hold the same folders: they may be splits instead of classes.

    Args:
        path: The path of the root, for the message.
        tree: The files of the source.
        root: The folder of the supposed classes.
    """
    names = [name for name in tree.subfolders(root) if tree.images_below(name)]
    inner = [
        {os.path.basename(name) for name in tree.subfolders(folder) if tree.images_below(name)} for folder in names
    ]
    common = set.intersection(*inner) if inner else set()
    if len(names) < 2 or len(common) < 2 or any(name in tree.images for name in names):
        return
    if all(len(common) > len(folders) / 2 for folders in inner):
        found = " and ".join(os.path.basename(name) for name in names[:2])
        raise RetinueError(
            f"{path}: {found} hold the same folders ({', '.join(sorted(common)[:3])}, ...), so they seem to be splits "
            "instead of classes; rename them to train, val and test. If they are the classes, list the images in a CSV "
            "with the columns file,label"
        )


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
