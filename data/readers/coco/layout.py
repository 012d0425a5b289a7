"""Which COCO files a source has, what they hold, which split each of them is, and where its images are."""

import json
import mmap
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from retinue.data.finding import NOTE, Finding
from retinue.data.readers.coco.file import image_name
from retinue.data.readers.file_tree import DEPTH_AROUND, FileTree, split_in_path, tree_around
from retinue.data.readers.image_finder import ImageFinder
from retinue.data.storage.file_names import SPLIT_NAMES

HEAD = 64 * 1024  # bytes that are looked at to find out whether a file may be COCO's
PARSED_SIZE = 8 * 1024 * 1024  # bytes; smaller files are parsed to find out what they hold
MAX_ENTRIES = 200  # images of a larger file that are looked at
ENTRY_BYTES = 4 * 1024 * 1024  # in which the first entries of a list of a larger file are

INSTANCES, KEYPOINTS, CAPTIONS, PANOPTIC, UNLABELED = "instances", "keypoints", "captions", "panoptic", "images only"
CLASSES = "classes"  # of whole images, without boxes
# Files of COCO that list the images of its files of instances once more. Their contents don't always tell.
OTHER_NAMES = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")
PROBLEMS = {
    CAPTIONS: "it holds captions, which retinue doesn't train on; give the file of instances",
    PANOPTIC: "it holds panoptic segments, whose pixels are in other files; give the file of instances, or folders of "
    "images and masks",
    UNLABELED: "it lists images, but has no annotations; give the file of instances",
}

_TEXT_START = re.compile(rb"[\xef\xbb\xbf\s]*\{")
_LIST_START = re.compile(rb'"(images|annotations|categories)"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_WORD = re.compile("[a-z]+")


@dataclass(frozen=True)
class CocoContent:
    """What a look at a COCO file shows.

    Attributes:
        kind: `INSTANCES`, or one of the other kinds.
        names: The file names of its images, or only of the first ones of a large file.
        is_complete: Whether `names` are all of them.
    """

    kind: str
    names: tuple[str, ...]
    is_complete: bool


@dataclass(frozen=True)
class CocoPart:
    """A COCO file of a source.

    Attributes:
        path: The file.
        folder: Its folder, relative to the root of the finder's tree.
        split: "train", "val", "test" or "".
        content: What a look at it shows.
    """

    path: str
    folder: str
    split: str
    content: CocoContent


@dataclass(frozen=True)
class CocoLayout:
    """The COCO files of a source that are read together.

    Attributes:
        source: The source, a folder or a file.
        parts: The files.
        finder: Finds their images.
        findings: The files that are not read, and why.
    """

    source: str
    parts: tuple[CocoPart, ...]
    finder: ImageFinder
    findings: tuple[Finding, ...] = field(default=())


def look_into(path: str) -> CocoContent | None:
    """Return what a file holds if it is a COCO file, else None: it has images with a file name, and annotations.

    Small files are parsed. Of large ones only the beginning of each list is read.
    """
    try:
        if not may_be_coco(path):
            return None
        return _parse_small(path) if os.path.getsize(path) <= PARSED_SIZE else _look_into_large(path)
    except (OSError, ValueError, RecursionError):
        return None


def may_be_coco(path: str) -> bool:
    """Return whether the beginning of a file is that of an object with one of COCO's lists.

    Raises:
        OSError: The file can't be read.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
    return bool(_TEXT_START.match(head) and _LIST_START.search(head))


def layout_of_folder(tree: FileTree) -> CocoLayout | None:
    """Return the COCO files of a folder, None if there are none.

    Of several files about the same images, those of instances are read: files of captions and keypoints are ignored
    beside them. If there is no file of the training split and none without a split, the names of splits mean nothing.
    """
    found = [
        (folder, name, content)
        for folder, name in tree.files(".json")
        if (content := look_into(tree.path(folder, name))) is not None
    ]
    if not found:
        return None
    used, findings = _without_other_kinds(tree, found)
    splits = [_split_of_file(folder, name) for folder, name, _ in used]
    if not {"train", ""} & set(splits):
        splits = [""] * len(used)
    around = None if tree.image_paths else _tree_around(tree.root, [content for *_, content in used])
    inner = os.path.basename(os.path.abspath(tree.root)) if around else ""
    parts = [
        CocoPart(tree.path(folder, name), os.path.join(inner, folder).rstrip(os.sep), split, content)
        for (folder, name, content), split in zip(used, splits, strict=True)
    ]
    return CocoLayout(tree.root, tuple(parts), ImageFinder(around or tree), tuple(findings))


def layout_of_file(path: str, content: CocoContent) -> CocoLayout:
    """Return the layout of a file that is read alone; its images are below its folder, or below the folder above."""
    folder = os.path.dirname(path) or os.curdir
    split = _split_of_file("", os.path.basename(path))
    finder = ImageFinder(FileTree(folder))
    near = ""
    is_here = any(finder.find(content.names, near, split)) or any(finder.find_stems(content.names, near, split))
    if not is_here and (around := _tree_around(folder, [content])):
        near = os.path.basename(os.path.abspath(folder))
        finder = ImageFinder(around)
    return CocoLayout(path, (CocoPart(path, near, "", content),), finder)


def find_images(layout: CocoLayout, part: CocoPart, names: Sequence[str]) -> list[str | None]:
    """Return the path of each image of a part, None for one that is not there.

    If none is there, the images with other suffixes than their names are meant, also where the names have none.

    Args:
        layout: The layout.
        part: One of its parts.
        names: The file names that the part gives its images.
    """
    split = part.split or _split_of_file("", os.path.basename(part.path))
    found = layout.finder.find(names, part.folder, split)
    return found if any(found) else layout.finder.find_stems(names, part.folder, split)


def problem_of(part: CocoPart, paths: Sequence[str | None]) -> str:
    """Return why a part can't be read, with the cure; "" if it can be.

    Args:
        part: The part.
        paths: The path of each image of its content, None for one that is not there.
    """
    if part.content.kind in PROBLEMS:
        return f"{part.path}: {PROBLEMS[part.content.kind]}"
    if any(paths):
        return ""
    what = "COCO file with keypoints" if part.content.kind == KEYPOINTS else "COCO file"
    return (
        f"{part.path}: this is a {what}, but none of its images is there, the first is {part.content.names[0]}; put "
        "the images beside the file, or give the folder that holds both"
    )


def _tree_around(folder: str, contents: Sequence[CocoContent]) -> FileTree | None:
    """Return the tree of the folder above a folder of annotations, as deep as the names of images go."""
    return tree_around(folder, DEPTH_AROUND + max(name.count("/") for content in contents for name in content.names))


def _without_other_kinds(
    tree: FileTree, found: Sequence[tuple[str, str, CocoContent]]
) -> tuple[list[tuple[str, str, CocoContent]], list[Finding]]:
    """Return the files that are read, and a finding for each of the others."""
    best = next(
        kind
        for kind in (INSTANCES, KEYPOINTS, CLASSES, UNLABELED, PANOPTIC, CAPTIONS)
        if any(content.kind == kind for *_, content in found)
    )
    of_instances = {folder for folder, name, _ in found if "instances" in name.lower()}
    used, findings = [], []
    for folder, name, content in found:
        is_other = folder in of_instances and "instances" not in name.lower()
        is_other |= name.lower().startswith(OTHER_NAMES) and any(
            not other.lower().startswith(OTHER_NAMES) for _, other, _ in found
        )
        if content.kind == best and not is_other:
            used.append((folder, name, content))
            continue
        reason = f"it is a file of {content.kind}" if content.kind != best else "it is beside files of instances"
        action = "ignored; give this file itself to read it"
        findings.append(Finding(NOTE, "other COCO file", tree.path(folder, name), "", reason, action))
    return used, findings


def _split_of_file(folder: str, name: str) -> str:
    """Return the split that the name of a file contains ("instances_train2017.json"), or else a folder of its path."""
    words = [word.removeprefix("mini") for word in _WORD.findall(os.path.splitext(name)[0].lower())]
    if "trainval" in words:
        return ""
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "") or split_in_path(folder)


def _parse_small(path: str) -> CocoContent | None:
    with open(path, encoding="utf-8-sig") as file:
        content = json.load(file)
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        return None
    images, annotations = content["images"], content.get("annotations")
    if annotations is None and not isinstance(content.get("categories"), list):
        return None
    names = [name for entry in images if isinstance(entry, dict) and (name := image_name(entry))]
    if not names or not isinstance(annotations, list | None):
        return None
    return CocoContent(_kind_of(annotations), tuple(names), is_complete=True)


def _look_into_large(path: str) -> CocoContent | None:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        images = _first_entries(content, b"images") or []
        names = [name for entry in images if isinstance(entry, dict) and (name := image_name(entry))]
        if not names:
            return None
        return CocoContent(_kind_of(_first_entries(content, b"annotations")), tuple(names), is_complete=False)


def _first_entries(content: mmap.mmap, key: bytes) -> list[Any] | None:
    """Return the first entries of a list in the text of a JSON file, None if there is no such list."""
    begin = re.search(rb'"' + key + rb'"\s*:\s*\[\s*', content)
    if not begin:
        return None
    text = content[begin.end() : begin.end() + ENTRY_BYTES].decode("utf-8", "replace")
    decoder, position, entries = json.JSONDecoder(), 0, list[Any]()
    while len(entries) < MAX_ENTRIES:
        try:
            entry, end = decoder.raw_decode(text, position)
        except ValueError:  # the end of the list, or of what was read
            break
        entries.append(entry)
        position = _BETWEEN.match(text, end).end()  # type: ignore[union-attr]  # the pattern matches everywhere
    return entries


def _kind_of(annotations: Sequence[Any] | None) -> str:
    """Return which kind of COCO file has these annotations, or such as these; None is a file without a list of them."""
    if annotations is None:
        return UNLABELED
    keys: set[str] = set()
    for entry in annotations[:MAX_ENTRIES]:
        keys.update(entry if isinstance(entry, dict) else ())
    if "segments_info" in keys:
        return PANOPTIC
    if "category_id" in keys and not keys & {"bbox", "segmentation", "keypoints", "caption"}:
        return CLASSES
    if keys & {"bbox", "segmentation"} or not keys & {"caption", "keypoints"}:
        return KEYPOINTS if "keypoints" in keys else INSTANCES
    return CAPTIONS if "caption" in keys else KEYPOINTS
