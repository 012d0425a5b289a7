"""labelme: a JSON file for each image, beside it or in a folder of its own."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from retinue.configs.machine import usable_cores
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.annotated_images import (
    BACKGROUND_NAME,
    VOID_NAME,
    AnnotatedImage,
    AnnotatedObject,
    AnnotationFile,
    Bitmap,
    clean_name,
    describe_shape_error,
    make_bitmap_object,
    make_object,
    merge_group,
    parse_size,
)
from retinue.data.readers.labeling_tools.annotation_files import Tool, explain_annotations
from retinue.data.readers.labeling_tools.json_files import describe_json_error, json_files, json_kind, load_json
from retinue.data.readers.labeling_tools.listed_images import ListedImageFinder
from retinue.data.readers.labeling_tools.outlines import bounds, ellipse_outline, parse_points, rectangle_outline

MAX_SAMPLES = 50  # files of a folder that are read before it is known whether all are needed
EMBEDDED_HINT = "; their pixels are in the JSON files, from which labelme_export_json writes them out"
CLASS_FILES = ("labels.txt", "label.txt", "classes.txt", "class_names.txt")
OPEN_SHAPES = ("line", "linestrip")
POINTS = ("point", "points")
CLOSED_SHAPES = ("polygon", "rotation", "oriented_rectangle", "quadrilateral")  # the others are of labelme's relatives


def explain(tree: FileTree) -> list[Explanation]:
    """Return what labelme's files explain of a source.

    Of very many files only some are read for this, since they may hold the images themselves.
    """
    folders = {os.path.dirname(path) for path in json_files(tree, "labelme")}
    paths_of: dict[str, list[str]] = {}  # by the folder
    for folder, names in tree.names.items():
        paths = [tree.path(folder, name) for name in names if _is_json(name)]
        if paths and os.path.dirname(paths[0]) in folders:
            paths_of[tree.path(folder)] = paths
    if not paths_of:
        return []
    samples = {folder: paths[:: max(1, len(paths) // MAX_SAMPLES)] for folder, paths in paths_of.items()}
    explanation = explain_annotations(TOOL, tree.root, tree, _read_folders(samples))
    if samples == paths_of or explanation.problem:
        return [explanation]

    def read(options: ReadOptions) -> Dataset:
        return explain_annotations(TOOL, tree.root, tree, _read_folders(paths_of)).read(options)

    images = explanation.images | _images_of_stems(tree, paths_of)
    count = sum(map(len, paths_of.values()))
    return [replace(explanation, images=images, read=read, num_annotations=count)]


def explain_file(path: str) -> Explanation | None:
    """Return what one JSON file of labelme explains, or None if it is not one."""
    if not _is_json(path) or json_kind(path) != "labelme":
        return None
    folder = os.path.dirname(path) or os.curdir
    return explain_annotations(TOOL, path, FileTree(folder), [_read_files(path, folder, [path])])


def parse_image(path: str, content: Any) -> tuple[AnnotatedImage, AnnotationFile] | None:
    """Parse the content of a JSON file of labelme.

    Shapes of one label and one group id are one object.

    Args:
        path: The file.
        content: Its content.

    Returns:
        The image, and what was noticed about its shapes; or None if this is not a file of labelme.
    """
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        return None
    location = os.path.basename(path)
    stem = os.path.splitext(location)[0]
    listed = str(content.get("imagePath") or stem).replace("\\", "/")
    notes = AnnotationFile(path)
    grouped: dict[Any, list[AnnotatedObject]] = {}
    num_points = 0
    for number, shape in enumerate(content["shapes"], 1):
        if isinstance(shape, dict) and shape.get("shape_type") in POINTS:
            num_points += 1
            continue
        try:
            entry = _parse_shape(shape, number)
        except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
            notes.add_invalid_object(path, f"shape {number} of {location}", describe_shape_error(error))
            continue
        group = shape.get("group_id")
        key = number if group is None else (entry.name, str(group))
        grouped.setdefault(key, []).append(entry)
    notes.add_shapes_without_size("points", num_points)
    if content.get("imageData"):
        notes.missing_image_hint = EMBEDDED_HINT
    image = AnnotatedImage(
        # A file that was renamed together with its image still lists the old name.
        name=os.path.join(os.path.dirname(listed), stem + os.path.splitext(listed)[1]),
        objects=tuple(map(merge_group, grouped.values())),
        labels=_true_flags(content.get("flags")) if not content["shapes"] else (),
        image_id=stem,
        location=location,
        size=parse_size(content.get("imageHeight"), content.get("imageWidth")),
        other_names=(listed, stem),
    )
    return image, notes


def _read_files(path: str, folder: str, json_paths: Sequence[str]) -> AnnotationFile:
    """Return the images of JSON files of one folder.

    Args:
        path: The folder, or the only file.
        folder: The folder.
        json_paths: The files, some of which may not be labelme's.
    """
    result = AnnotationFile(path)
    with ThreadPoolExecutor(usable_cores()) as pool:
        parsed = list(pool.map(_load, json_paths))
    num_others = sum(entry is None for entry in parsed)
    for json_path, entry in zip(json_paths, parsed, strict=True):
        if isinstance(entry, Exception):
            reason, _, cure = describe_json_error(entry).partition("; ")
            result.findings.append(Finding(INVALID, "broken annotation", json_path, "", reason, f"skipped; {cure}"))
        elif entry is not None:
            result.images.append(entry[0])
            result.findings += entry[1].findings
            result.missing_image_hint = result.missing_image_hint or entry[1].missing_image_hint
    if num_others:
        reason = f"{num_others:,} JSON files beside those of labelme are something else"
        result.findings.append(Finding(NOTE, "not labelme", path, "", reason, "ignored"))
    if not result.images:
        broken = [(name, entry) for name, entry in zip(json_paths, parsed, strict=True) if isinstance(entry, Exception)]
        result.problem = f"{broken[0][0]}: {describe_json_error(broken[0][1])}" if broken else ""
    _add_class_file(result, folder)
    return result


def _read_folders(paths_of: Mapping[str, Sequence[str]]) -> list[AnnotationFile]:
    """Return the images of the JSON files of each folder."""
    return [_read_files(folder, folder, paths) for folder, paths in paths_of.items()]


def _images_of_stems(tree: FileTree, paths_of: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the images that have the names of JSON files."""
    finder = ListedImageFinder.of_tree(tree)
    found: set[str] = set()
    for folder, paths in paths_of.items():
        stems = [(os.path.splitext(os.path.basename(path))[0],) for path in paths]
        found.update(path for path in finder.find_all(folder, stems, [""] * len(stems), stems=True) if path)
    return frozenset(found)


def _load(path: str) -> tuple[AnnotatedImage, AnnotationFile] | Exception | None:
    try:
        return parse_image(path, load_json(path))
    except (OSError, ValueError) as error:
        return error


def _add_class_file(file: AnnotationFile, folder: str) -> None:
    """Order the classes as a file of names does, beside the annotations or one folder up, if it names some of them."""
    used = {entry.name for image in file.images for entry in image.objects} - {VOID_NAME, BACKGROUND_NAME}
    for path in (os.path.join(inner, name) for inner in (folder, _above(folder)) for name in CLASS_FILES):
        names = _read_names(path)
        if not used & set(names):
            continue
        kept = [(name, index) for index, name in enumerate(names) if name not in (VOID_NAME, BACKGROUND_NAME)]
        file.classes = tuple(name for name, _ in kept)
        if names[0] == VOID_NAME:  # labelme's own scripts count from this line, which is -1
            file.class_ids = tuple(index - 1 for _, index in kept)
        unlisted = sorted(used - set(names))
        if unlisted:
            reason = f"it does not name {', '.join(unlisted[:5])}, which {len(unlisted)} labels of shapes are"
            file.findings.append(Finding(WARNING, "unlisted class", path, "", reason, "used as classes all the same"))
        return


def _read_names(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig") as lines:
            return list(dict.fromkeys(clean_name(line) for line in lines if line.strip()))
    except (OSError, UnicodeDecodeError):
        return []


def _parse_shape(shape: Any, number: int) -> AnnotatedObject:
    """Return the object of a shape.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, OSError: It is not one.
    """
    kind = shape.get("shape_type") or "polygon"
    name, points = shape["label"], parse_points(shape["points"])
    if not isinstance(name, str | int) or not str(name).strip():
        raise ValueError("it has no label")
    crowd = shape.get("iscrowd") is True
    if kind == "rectangle" and len(points) in (2, 4):
        outline = rectangle_outline(*bounds([points]))
        return make_object(str(name), number, [outline], is_rectangle=True, crowd=crowd)
    if kind == "circle" and len(points) == 2:
        radius = float(np.hypot(*(points[1] - points[0])))
        return make_object(str(name), number, [ellipse_outline(points[0, 0], points[0, 1], radius, radius)])
    if kind in OPEN_SHAPES and len(points) >= 2:
        return make_object(str(name), number, [points], is_open=True)
    if kind == "mask" and len(points) == 2:
        return make_bitmap_object(str(name), number, _decode_mask(shape["mask"], points))
    if kind in CLOSED_SHAPES and len(points) >= 3:
        return make_object(str(name), number, [points], crowd=crowd)
    raise ValueError(f"{kind!r} with {len(points)} points is not a shape that is read")


def _decode_mask(text: str, points: np.ndarray) -> Bitmap:
    """Return the pixels of a mask, a PNG in base64 that fills the box between two points."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            pixels = np.asarray(image.convert("L")) > 0
    except UnidentifiedImageError:
        raise ValueError("its mask is not an image") from None
    x, y = points.min(axis=0).astype(int).tolist()
    return Bitmap(x, y, pixels)


def _true_flags(flags: Any) -> tuple[str, ...]:
    """Return the flags that are set for a whole image: its classes, where it has no shapes."""
    return tuple(str(name) for name, value in flags.items() if value is True) if isinstance(flags, dict) else ()


def _is_json(name: str) -> bool:
    return name.lower().endswith(".json")


def _above(folder: str) -> str:
    return os.path.normpath(os.path.join(folder, os.pardir))


TOOL = Tool("labelme", "annotations of labelme", stems=True)
