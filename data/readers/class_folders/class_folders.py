"""Class folders: `DATA/<class>/**.jpg`, or the same below `DATA/train`, `DATA/val` and `DATA/test`."""

import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.class_folders.layout import (
    ClassLayout,
    find_class_layout,
    folders_above,
    is_collection,
    is_one_collection,
    problem_with_folders,
    problem_with_label_files,
    problem_with_names,
)
from retinue.data.readers.clips.clip_folders import read_clip_folders
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree, is_below
from retinue.data.readers.folders import class_name
from retinue.data.readers.image_lists.listed_images import list_paths_beside
from retinue.data.readers.image_lists.listed_labels import with_lists
from retinue.data.readers.unknown_source import describe_unknown
from retinue.data.storage.file_names import looks_like_image, split_of_name


def explain(tree: FileTree) -> list[Explanation]:
    """Return what class folders explain of a source without videos; the problem with it, if nothing is explained."""
    if tree.has_videos:
        return []
    layout, problem = ClassLayout(), ""
    try:
        layout = find_class_layout(tree)
        problem = _problem(tree, layout)
    except RetinueError as error:
        problem = str(error)
    path = tree.path(layout.root) if layout.root else tree.root
    images = frozenset(
        file
        for folder, names in ({} if problem else layout.images).items()
        if _candidates(layout, folder)
        for file in tree.paths(folder, names)
    )

    def read(options: ReadOptions) -> Dataset:
        return read_clip_folders(tree.root) if options.task == "video" else _read(tree)

    return [
        Explanation(
            format="class folders",
            tasks=("classification", "video"),
            source=path,
            images=images if len({os.path.basename(folder) for folder in layout.classes}) > 1 else frozenset(),
            labels=f"the names of the folders in {path}",
            read=read,
            implicit=True,
            problem=problem,
        )
    ]


def read_class_folders(folder: str | os.PathLike[str]) -> Dataset:
    """Read a folder of class folders into a `Dataset` for classification; classes and files are in sorted order.

    Below a class folder any depth of folders is read. Hidden files, the metadata files of operating systems and masks
    are left out. Other files that are not images, and folders that retinue wrote, are ignored with a finding.

    Args:
        folder: The folder of the class folders, or of the folders of the splits, or one above.

    Returns:
        The dataset, with the column `label`.

    Raises:
        RetinueError: There is no image or no class, or the folders seem to be something else than classes.
    """
    return _read(FileTree(os.fspath(folder)))


def _read(tree: FileTree) -> Dataset:
    layout = find_class_layout(tree)
    problem = _problem(tree, layout) or problem_with_folders(tree, layout)
    if problem:
        raise RetinueError(problem)
    findings = _findings(tree, layout)
    class_of = {folder: class_name(os.path.basename(folder)) for folder in layout.classes}
    split_of = {parent: split for split, parent in layout.parents.items()}
    rows: list[tuple[str, str, str]] = []  # path, class, split
    for folder, names in layout.images.items():
        class_folder = next((name for name in _candidates(layout, folder) if name in class_of), None)
        if class_folder is None:
            continue
        split = split_of[os.path.dirname(class_folder)]
        if layout.splits_inside:
            split = split_of_name(folder[len(class_folder) + 1 :].split(os.sep)[0])
        rows += [(file, class_of[class_folder], split) for file in tree.paths(folder, names)]
    rows.sort()
    classes = sorted(set(class_of.values()))
    index_of = {name: index for index, name in enumerate(classes)}
    dataset = Dataset(
        task="classification",
        files=np.array([file for file, _, _ in rows], dtype=object),
        classes=tuple(classes),
        columns={"label": np.array([index_of[name] for _, name, _ in rows], np.int64)},
        splits=np.array([split for _, _, split in rows], dtype=object),
        source=tree.root,
        format="class folders",
        findings=tuple(findings),
    )
    is_only_images = is_collection(os.path.basename(os.path.abspath(tree.root)))
    return with_lists(dataset, tree, list_paths_beside(tree.root) if is_only_images else ())


def _candidates(layout: ClassLayout, folder: str) -> list[str]:
    """Return the folders that can be the class folder of an image: those directly in the folder of a split or class."""
    found = []
    for parent in layout.parents.values():
        if folder != parent and is_below(folder, parent):
            inner = folder[len(parent) + 1 if parent else 0 :].split(os.sep)[0]
            found.append(os.path.join(parent, inner))
    return found


def _problem(tree: FileTree, layout: ClassLayout) -> str:
    """Return why there are no class folders, or ""."""
    if is_one_collection(layout) or not any(layout.below[folder] for folder in layout.classes):
        return describe_unknown(tree, layout)
    return problem_with_label_files(tree, layout) or problem_with_names(tree, layout)


def _findings(tree: FileTree, layout: ClassLayout) -> list[Finding]:
    """Return what is not read, and where the classes were found."""
    findings = list(tree.findings)
    root, parents = layout.root, set(layout.parents.values())
    if root:
        path = tree.path(root)
        findings.append(Finding(NOTE, "folder in a folder", path, "", "the classes are further down", "read there"))
    for above in folders_above(root):
        for name in tree.subfolders(above):
            if layout.below[name] and not is_below(root, name):
                findings.append(_unused(tree.path(name), "a folder beside the dataset"))
    for folder, names in tree.names.items():
        if any(name in layout.classes for name in _candidates(layout, folder)):
            findings += [
                _unused(tree.path(folder, name), "not an image") for name in names if not looks_like_image(name)
            ]
    for parent in layout.parents.values():
        for name in tree.subfolders(parent):
            if name in layout.unlabeled:
                findings.append(_unused(tree.path(name), "a folder of test images whose name is not a class of train"))
            elif name not in layout.classes:
                note = Finding(NOTE, "not used", tree.path(name), "", "a folder without images", "ignored")
                findings.append(note)
        for name in layout.images.get(parent, ()):
            reason = f"an image outside the class folders of {tree.path(parent)}, so it has no class"
            findings.append(_unused(tree.path(parent, name), reason))
    if parents != {root}:
        for name in tree.subfolders(root):
            if not any(is_below(parent, name) for parent in parents):
                findings.append(_unused(tree.path(name), "a folder beside train, val and test"))
    if layout.num_masks:
        reason = f"{layout.num_masks:,} images are masks of others"
        action = "ignored; --task segmentation reads them"
        findings.append(Finding(NOTE, "masks", tree.root, "", reason, action))
    return findings


def _unused(file: str, reason: str) -> Finding:
    return Finding(WARNING, "not used", file, "", reason, "ignored")
