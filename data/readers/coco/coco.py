"""COCO's annotations: a JSON file with images, annotations and categories, or several in a folder."""

import dataclasses
import json
import os

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import WARNING, Finding
from retinue.data.readers.archives import unpack_first
from retinue.data.readers.coco.boxes import read_coco_boxes
from retinue.data.readers.coco.classes import read_coco_classes
from retinue.data.readers.coco.drawings import drawing_findings, drawing_folders
from retinue.data.readers.coco.file import parse_coco_file
from retinue.data.readers.coco.folds import describe_folds
from retinue.data.readers.coco.layout import (
    CLASSES,
    PARSED_SIZE,
    CocoLayout,
    find_images,
    layout_of_file,
    layout_of_folder,
    look_into,
    may_be_coco,
    problem_of,
)
from retinue.data.readers.coco.masks import read_coco_masks
from retinue.data.readers.explanation import Explanation, ReadOptions, relative_to
from retinue.data.readers.file_tree import FileTree, common_folder

TASKS = ("detection", "segmentation")
MAX_LABELS = 3  # files that are named in messages


def explain(tree: FileTree) -> list[Explanation]:
    """Return what COCO's files explain of a folder."""
    layout = layout_of_folder(tree)
    return [_explanation(layout, tree)] if layout else []


def explain_file(path: str) -> Explanation | None:
    """Return what a JSON file explains, if it is a COCO file or meant to be one."""
    if not path.lower().endswith(".json"):
        return None
    content = look_into(path)
    if content:
        return _explanation(layout_of_file(path, content), None)
    problem = _why_not_coco(path)
    return Explanation("coco", TASKS, path, frozenset(), path, _refuse_to_read, problem=problem) if problem else None


def read_coco(source: str | os.PathLike[str], task: str = "detection") -> Dataset:
    """Read a COCO file, or a folder with several, into a `Dataset`.

    Args:
        source: The JSON file or the folder.
        task: "detection" or "segmentation".

    Raises:
        RetinueError: There is no COCO file, or it can't be understood; see `read_coco_boxes` and `read_coco_masks`.
    """
    source = os.fspath(source)
    explanation = next(iter(explain(FileTree(source))), None) if os.path.isdir(source) else explain_file(source)
    if not explanation or explanation.problem:
        raise RetinueError(explanation.problem if explanation else f"{source}: there is no COCO file")
    return explanation.read(ReadOptions(task))


def _explanation(layout: CocoLayout, tree: FileTree | None) -> Explanation:
    """Return what the files of a layout explain; `tree` is that of the source, None if the source is a file."""
    layout = _without_absent(layout)
    folds = describe_folds(layout)
    images, problems, fitting = set[str](), list[str](), list[str]()
    for part in layout.parts:
        paths = find_images(layout, part, part.content.names)
        problem = problem_of(part, paths)
        if problem:
            problems.append(problem)
        else:
            fitting.append(part.path)
        images.update(path for path in paths if path)
        if not part.content.is_complete and tree:
            folders = {os.path.dirname(path) for path in paths if path}
            images.update(path for path in tree.image_paths if os.path.dirname(path) in folders)

    if tree:
        stems = {os.path.splitext(os.path.basename(path))[0] for path in images}
        folders = {os.path.relpath(os.path.dirname(path), tree.root) for path in images}
        drawings = drawing_folders(tree, stems, folders)
        images.update(tree.path(folder, name) for folder in drawings for name in tree.images[folder].values())
        layout = dataclasses.replace(layout, findings=(*layout.findings, *drawing_findings(tree, drawings)))

    tasks = ("classification",) if layout.parts[0].content.kind == CLASSES else TASKS

    def read(options: ReadOptions) -> Dataset:
        if folds:
            raise RetinueError(folds)
        if options.task == "classification":
            return read_coco_classes(layout)
        return read_coco_masks(layout) if options.task == "segmentation" else read_coco_boxes(layout)

    problem = problems[0] if problems else ""
    if tree and problem and not images:
        problem += "".join(f"; {cure}" for cure in [unpack_first(tree)] if cure)
    if fitting and problem:
        problem += f", or give {fitting[0]}, whose images are there"
    source = _source(layout, tree, images) if tree else layout.source
    labels = [relative_to(layout.source, part.path) for part in layout.parts] if tree else [layout.source]
    return Explanation(
        format="coco",
        tasks=tasks,
        source=source,
        images=frozenset(images),
        labels=", ".join(labels[:MAX_LABELS]) + (f" and {len(labels) - MAX_LABELS} more" * (len(labels) > MAX_LABELS)),
        read=read,
        num_annotations=len(layout.parts),
        problem=problem,
    )


def _without_absent(layout: CocoLayout) -> CocoLayout:
    """Return a layout without the files that are no split and none of whose images is there, if others have theirs."""
    is_there = [any(find_images(layout, part, part.content.names)) for part in layout.parts]
    parts, findings = [], list(layout.findings)
    for part, there in zip(layout.parts, is_there, strict=True):
        if there or part.split or not part.content.is_complete or not any(is_there):
            parts.append(part)
            continue
        reason = f"none of its {len(part.content.names):,} images is there, the first is {part.content.names[0]}"
        findings.append(Finding(WARNING, "no image", part.path, "", reason, "skipped; add the images"))
    return dataclasses.replace(layout, parts=tuple(parts), findings=tuple(findings))


def _source(layout: CocoLayout, tree: FileTree, images: set[str]) -> str:
    """Return what to give on the command line to read exactly the files of a layout."""
    if len(layout.parts) == 1:
        return layout.parts[0].path
    folders = {os.path.dirname(part.path) for part in layout.parts}
    if len(folders) == 1 and not any(path.startswith(os.path.join(*folders, "")) for path in images):
        return folders.pop()
    folders |= {os.path.dirname(path) for path in images}
    return tree.path(common_folder(os.path.relpath(folder, tree.root) for folder in folders))


def _refuse_to_read(options: ReadOptions) -> Dataset:
    raise AssertionError("an explanation with a problem is not read")


def _why_not_coco(path: str) -> str:
    """Return why a file that is meant to be a COCO file can't be read; "" for a file of another kind."""
    try:
        if os.path.getsize(path) <= PARSED_SIZE:
            with open(path, encoding="utf-8-sig") as file:
                content = json.load(file)
            if isinstance(content, list) and content and isinstance(content[0], dict) and "image_id" in content[0]:
                return (
                    f"{path}: this is a list of annotations or detections without the images that they belong to; give "
                    "the COCO file that has the images, too"
                )
        if may_be_coco(path):
            parse_coco_file(path)
    except RetinueError as error:
        return str(error)
    except OSError as error:
        return f"{path}: this file can't be read ({error.strerror})"
    except (ValueError, RecursionError) as error:
        return f"{path}: this is not JSON ({error}); export the annotations again"
    return ""
