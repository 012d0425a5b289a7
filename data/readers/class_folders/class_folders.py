"""Class folders: `DATA/<class>/**.jpg`, or the same below `DATA/train`, `DATA/val` and `DATA/test`."""

import os

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.class_folders.data_sets import problem_with_data_sets, problem_with_parts
from retinue.data.readers.class_folders.groups import folders_of_groups
from retinue.data.readers.class_folders.initials import problem_with_initials
from retinue.data.readers.class_folders.label_files import problem_with_annotations, problem_with_clips
from retinue.data.readers.class_folders.layout import (
    ClassLayout,
    filled_classes,
    find_class_layout,
    folders_above,
    is_collection,
    layout_path,
)
from retinue.data.readers.class_folders.versions import problem_with_versions
from retinue.data.readers.clips.clip_folders import read_clip_folders
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree, is_below
from retinue.data.readers.folders import class_name
from retinue.data.readers.image_lists.listed_images import list_paths_beside
from retinue.data.readers.image_lists.listed_labels import with_lists
from retinue.data.readers.unknown_source import describe_unknown
from retinue.data.storage.file_names import looks_like_image, split_of_name


def explain(tree: FileTree) -> list[Explanation]:
    """Return what class folders explain of a source without videos; the problem with it, if nothing is explained.

    Where they hold folders of frames, these are clips; if it is not certain that they are, both are explanations.
    """
    if tree.has_videos:
        return []
    layout, problem = ClassLayout(), ""
    try:
        layout = find_class_layout(tree)
        problem = _problem(tree, layout)
    except RetinueError as error:
        problem = str(error)
    frames = None if problem or _problem_with_classes(tree, layout) else layout.frames
    images = frozenset(
        file
        for folder, names in ({} if problem else layout.images).items()
        if _candidates(layout, folder)
        for file in tree.paths(folder, names)
    )

    def read(options: ReadOptions) -> Dataset:
        return read_clip_folders(layout_path(tree, layout)) if options.task == "video" else _read(tree, layout)

    def explanation(name: str, *tasks: str) -> Explanation:
        path = layout_path(tree, layout)
        labels = f"the names of the folders in {path}"
        return Explanation(name, tasks, path, images, labels, read, implicit=True, problem=problem)

    if not frames:
        return [explanation("class folders", "classification", "video")]
    if frames.certain:
        return [explanation("clip folders", "video", "classification")]
    return [explanation("clip folders", "video"), explanation("class folders", "classification")]


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
    tree = FileTree(os.fspath(folder))
    layout = find_class_layout(tree)
    if problem := _problem(tree, layout):
        raise RetinueError(problem)
    return _read(tree, layout)


def _read(tree: FileTree, layout: ClassLayout) -> Dataset:
    if problem := _problem_with_classes(tree, layout):
        raise RetinueError(problem)
    findings = _findings(tree, layout)
    class_of = {folder: class_name(os.path.basename(folder)) for folder in layout.classes}
    split_of = {parent: split for split, parent in layout.parents.items()}
    folder_of = _class_folders_of_images(layout)
    group_of = folders_of_groups(folder_of, layout.frames is not None)
    if group_of:
        findings.append(_groups_finding(tree, set(group_of.values())))
    rows: list[tuple[str, str, str, str]] = []  # path, class, split, group
    for folder, class_folder in folder_of.items():
        split = split_of[os.path.dirname(class_folder)]
        if layout.splits_inside:
            split = split_of_name(folder[len(class_folder) + 1 :].split(os.sep)[0])
        group, label = group_of.get(folder, ""), class_of[class_folder]
        rows += [(file, label, split, group) for file in tree.paths(folder, layout.images[folder])]
    rows.sort()
    classes = sorted(set(class_of.values()))
    index_of = {name: index for index, name in enumerate(classes)}
    dataset = Dataset(
        task="classification",
        files=np.array([row[0] for row in rows], dtype=object),
        classes=tuple(classes),
        columns={"label": np.array([index_of[row[1]] for row in rows], np.int64)},
        splits=np.array([row[2] for row in rows], dtype=object),
        groups=np.array([row[3] for row in rows], dtype=object) if group_of else None,
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


def _class_folders_of_images(layout: ClassLayout) -> dict[str, str]:
    """Return the class folder of each folder of images that is in one."""
    known = set(layout.classes)
    found = {
        folder: next((name for name in _candidates(layout, folder) if name in known), None) for folder in layout.images
    }
    return {folder: class_folder for folder, class_folder in found.items() if class_folder is not None}


def _problem(tree: FileTree, layout: ClassLayout) -> str:
    """Return why there are no class folders, or ""."""
    names = {os.path.basename(folder) for folder in filled_classes(layout)}
    if len(names) < 2 or all(map(is_collection, names)):
        return describe_unknown(tree, layout)
    problem = problem_with_annotations(tree, layout) or problem_with_clips(tree, layout)
    if layout.frames and layout.frames.mixed:
        return (
            f"{tree.path(layout.frames.folders[0])}: this folder of frames also holds other images with the same "
            "numbers, such as optical flow, and so do others; move those of each kind into folders of their own"
        )
    if problem or _problem_with_classes(tree, layout):
        return problem
    return problem_with_versions(tree, layout)


def _problem_with_classes(tree: FileTree, layout: ClassLayout) -> str:
    """Return why the folders hold images, or clips, but are no classes of images, or ""."""
    frames = layout.frames
    if frames and frames.certain:
        return ""
    problem = problem_with_initials(tree, layout) or problem_with_data_sets(tree, layout)
    problem = problem or problem_with_parts(layout_path(tree, layout), layout.classes)
    return f"{problem}. If they hold folders of frames, add --task video" if problem and frames else problem


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
                reason = "a folder of images without a class, by its name or since train has no such class"
                findings.append(_unused(tree.path(name), reason))
            elif name not in layout.classes:
                note = Finding(NOTE, "not used", tree.path(name), "", "a folder without images", "ignored")
                findings.append(note)
        outside = layout.images.get(parent, [])
        if outside:
            several = f"{len(outside):,} images" if len(outside) > 1 else "an image"
            reason = f"{several} outside the class folders of {tree.path(parent)}, so without a class"
            findings.append(_unused(tree.path(parent, outside[0] if len(outside) == 1 else ""), reason))
    if parents != {root}:
        for name in tree.subfolders(root):
            if not any(is_below(parent, name) for parent in parents):
                findings.append(_unused(tree.path(name), "a folder beside train, val and test"))
    if layout.num_masks:
        reason = f"{layout.num_masks:,} images are masks of others"
        action = "ignored; --task segmentation reads them"
        findings.append(Finding(NOTE, "masks", tree.root, "", reason, action))
    return findings


def _groups_finding(tree: FileTree, groups: set[str]) -> Finding:
    first = tree.path(min(groups))
    reason = f"the images lie in {len(groups):,} folders below the classes, such as {first}"
    action = "the images of one folder stay in one split; each may be a patient, an object or a clip"
    return Finding(NOTE, "groups", tree.root, "", reason, action)


def _unused(file: str, reason: str) -> Finding:
    return Finding(WARNING, "not used", file, "", reason, "ignored")
