"""What the readers of labeling tools share: files of annotations that name their images, explained and read."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions, relative_to
from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.readers.labeling_tools.annotated_dataset import annotated_dataset
from retinue.data.readers.labeling_tools.annotated_images import AnnotatedImage, AnnotationFile, merge_images
from retinue.data.readers.labeling_tools.listed_images import ListedImageFinder, path_parts
from retinue.data.storage.file_names import split_in_words

# Reads a file; None if it is not one of the tool. It raises nothing: what can't be read is a `problem`.
Parser = Callable[[str], AnnotationFile | None]

MIN_FOUND_NEARBY = 0.9  # fraction of the images that must be there, where they are looked for beside the source
MAX_LABELS = 3  # files that are named where the labels are


@dataclass(frozen=True)
class Tool:
    """A labeling tool whose files are read.

    Attributes:
        format: The name of the format.
        title: What its files are, for messages: "annotations of CVAT".
        stems: Whether an image may have another suffix than the file lists.
    """

    format: str
    title: str
    stems: bool = False


def explain_tool(tool: Tool, tree: FileTree, paths: Sequence[str], parse: Parser) -> list[Explanation]:
    """Return what files of a tool in a folder explain, in a list.

    Args:
        tool: The tool.
        tree: The folder.
        paths: The files that may be of this tool.
        parse: Reads one.
    """
    parsed = [file for path in paths if (file := parse(path))]
    return [explain_annotations(tool, tree.root, tree, parsed)] if parsed else []


def explain_tool_file(tool: Tool, path: str, parse: Parser) -> Explanation | None:
    """Return what a file of a tool explains, or None if it is not one."""
    file = parse(path)
    if file is None:
        return None
    return explain_annotations(tool, path, FileTree(os.path.dirname(path) or os.curdir), [file])


def explain_annotations(tool: Tool, source: str, tree: FileTree, parsed: Sequence[AnnotationFile]) -> Explanation:
    """Return what the parsed files of a tool explain.

    Args:
        tool: The tool.
        source: What the user gave.
        tree: The folder in which the images are looked for; if none is there, they are looked for near it.
        parsed: The files, at least one.
    """
    paths = [os.path.join(file.path, "*.json") if os.path.isdir(file.path) else file.path for file in parsed]
    names = [relative_to(source, path) if source == tree.root else path for path in paths]
    labels = ", ".join(names[:MAX_LABELS]) + (f" and {len(names) - MAX_LABELS} more" if len(names) > MAX_LABELS else "")
    usable = [file for file in parsed if not file.problem]
    if not usable:
        return _unreadable(tool, source, labels, len(parsed), parsed[0].problem)
    located, found, root = _locate_all(tool, tree, usable)
    if not found:
        return _unreadable(tool, source, labels, len(parsed), _no_image_problem(tool, usable, tree))
    tasks = _tasks_of([image for file in located for image in file.images if image.file in found])
    if not tasks:
        return _unreadable(tool, source, labels, len(parsed), _no_object_problem(tool, usable))

    def read(options: ReadOptions) -> Dataset:
        return _read(tool, source, root, options.task, parsed, located, found)

    return Explanation(tool.format, tasks, source, frozenset(found), labels, read, len(parsed))


def _locate_all(
    tool: Tool, tree: FileTree, files: Sequence[AnnotationFile]
) -> tuple[list[AnnotationFile], set[str], str]:
    """Find the images of files.

    Returns:
        The files, whose images have a path; the paths of those that are there; and the folder that holds them.
    """
    finder = ListedImageFinder.of_tree(tree)
    located = [_locate(tool, file, finder) for file in files]
    found = {image.file for file in located for image in file.images if os.path.isfile(image.file)}
    count = sum(len(file.images) for file in files)
    if len(found) == count or tree.image_paths:
        return located, found, finder.root
    finder = ListedImageFinder.near(tree.root)
    near = [_locate(tool, file, finder) for file in files]
    found_near = {image.file for file in near for image in file.images if os.path.isfile(image.file)}
    if len(found_near) < max(MIN_FOUND_NEARBY * count, len(found)):  # these may be other images of the same names
        return located, found, tree.root
    return near, found_near, finder.root


def _locate(tool: Tool, file: AnnotationFile, finder: ListedImageFinder) -> AnnotationFile:
    folder = file.path if os.path.isdir(file.path) else os.path.dirname(file.path)
    listed = [(image.name, *image.other_names) for image in file.images]
    paths = finder.find_all(folder, listed, [image.split for image in file.images], tool.stems)
    images = [
        replace(image, file=path or os.path.normpath(os.path.join(folder, *path_parts(image.name))))
        for image, path in zip(file.images, paths, strict=True)
    ]
    return replace(file, images=images)


def _read(
    tool: Tool,
    source: str,
    root: str,
    task: str,
    parsed: Sequence[AnnotationFile],
    located: Sequence[AnnotationFile],
    found: set[str],
) -> Dataset:
    """Read located files into a dataset; `parsed` are all files, with those that have a problem."""
    findings = [finding for file in located for finding in file.findings]
    for file in parsed:
        if file.problem:
            findings.append(Finding(WARNING, "not read", file.path, "", file.problem, "skipped"))
    used = [file for file in located if any(image.file in found for image in file.images)]
    for file in located:
        if file not in used:
            first = f", the first is {file.images[0].name}" if file.images else ""
            reason = f"none of its {len(file.images):,} images is there{first}"
            findings.append(Finding(WARNING, "no image", file.path, "", reason, "skipped; add them"))
    names = [os.path.splitext(os.path.basename(file.path))[0] for file in used]
    name_splits = [split_in_words(name) if len(used) > 1 else "" for name in names]
    used = [
        replace(file, images=_with_splits(file, root, split)) for file, split in zip(used, name_splits, strict=True)
    ]
    images = merge_images(used, findings)
    num_unlabeled = len(_images_beside(images) - {image.file for image in images})
    if num_unlabeled:
        reason = f"{num_unlabeled:,} images lie beside them that no annotation names"
        findings.append(Finding(NOTE, "not annotated", source, "", reason, "ignored"))
    findings += _other_labels(source, task, images)
    ids: dict[str, int] = {}
    classes = list(dict.fromkeys(name for file in used for name in file.classes))
    for file in used:
        ids |= dict(zip(file.classes, file.class_ids, strict=False))
    class_ids = [ids[name] for name in classes] if set(classes) <= ids.keys() else []
    if len(set(class_ids)) < len(class_ids):  # two files number their classes on their own
        class_ids = []
    return annotated_dataset(source, tool.format, task, images, classes, class_ids, findings)


def _other_labels(source: str, task: str, images: Sequence[AnnotatedImage]) -> list[Finding]:
    """Return a finding each for lines that are read as boxes, and for labels of whole images that are not read."""
    if task != "detection":
        return []
    findings = []
    objects = [entry for image in images for entry in image.objects]
    num_lines = sum(not entry.polygons and not entry.bitmaps and not entry.is_rectangle for entry in objects)
    if num_lines:
        reason = f"{num_lines:,} of {len(objects):,} objects are lines or cuboids"
        findings.append(Finding(NOTE, "lines", source, "", reason, "the boxes around them are read"))
    num_labeled = sum(bool(image.labels) for image in images)
    if num_labeled:
        reason = f"{num_labeled:,} images have labels of the whole image, too"
        findings.append(
            Finding(NOTE, "labels of images", source, "", reason, "ignored; --task classification reads them")
        )
    return findings


def _with_splits(file: AnnotationFile, root: str, name_split: str) -> list[AnnotatedImage]:
    """Return the images with their splits: what the file gives, or their folder, or the file's folder or name."""
    folders = {os.path.dirname(image.file) for image in file.images}
    split_of = {folder: split_in_path(os.path.relpath(folder or os.curdir, root)) for folder in folders}
    own_folder = file.path if os.path.isdir(file.path) else os.path.dirname(file.path)
    own = split_in_path(os.path.relpath(own_folder or os.curdir, root)) or name_split
    return [replace(image, split=image.split or split_of[os.path.dirname(image.file)] or own) for image in file.images]


def _images_beside(images: Sequence[AnnotatedImage]) -> set[str]:
    """Return the paths of all images in the folders of some images."""
    names: dict[str, list[str]] = {}
    for folder in {os.path.dirname(image.file) for image in images}:
        if os.path.isdir(folder or os.curdir):
            names[folder] = [name for name in os.listdir(folder or os.curdir) if name[0] != "."]
    return ListedImageFinder("", names).paths


def _tasks_of(images: Sequence[AnnotatedImage]) -> tuple[str, ...]:
    objects = [entry for image in images for entry in image.objects]
    tasks = ["detection"] if objects else []
    if any((entry.polygons or entry.bitmaps) and not entry.is_rectangle for entry in objects):
        tasks.append("segmentation")
    if any(image.labels for image in images):
        tasks.append("classification")
    return tuple(tasks)


def _no_image_problem(tool: Tool, files: Sequence[AnnotationFile], tree: FileTree) -> str:
    """Return the message that names the first missing image."""
    first = next((file for file in files if file.images), files[0])
    if not first.images:
        return f"{first.path}: these are {tool.title}, but they name no image; export them with their images"
    number = sum(len(file.images) for file in files)
    which = f"none of its {number:,} images is there, the first is" if number > 1 else "its image is not there:"
    return (
        f"{first.path}: these are {tool.title}, but {which} {first.images[0].name}; looked in {tree.root} and in "
        f"images/ beside it; put the images there{first.missing_image_hint}"
    )


def _no_object_problem(tool: Tool, files: Sequence[AnnotationFile]) -> str:
    """Return the message that no image has an object, with the first one that can't be understood."""
    for file in files:
        for finding in file.findings:
            if finding.severity == INVALID:
                return f"{file.path}: these are {tool.title}, but no object is usable, the first: {finding.reason}"
    return f"{files[0].path}: these are {tool.title}, but no image has an object or a label; label them first"


def _unreadable(tool: Tool, source: str, labels: str, num_annotations: int, problem: str) -> Explanation:
    def read(options: ReadOptions) -> Dataset:
        raise AssertionError(problem)  # nobody reads what has a problem

    tasks = ("detection", "segmentation", "classification")
    return Explanation(tool.format, tasks, source, frozenset(), labels, read, num_annotations, problem=problem)
