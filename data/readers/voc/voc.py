"""Pascal VOC: an XML file for each image, in the folders of VOCdevkit, beside the images, or anywhere else."""

import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.archives import unpack_first
from retinue.data.readers.coco.drawings import drawing_findings, drawing_folders
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree, common_folder
from retinue.data.readers.image_finder import ImageFinder
from retinue.data.readers.objects import object_columns, relative_location
from retinue.data.readers.voc.file import ParsedObject, VocFile, parse_voc_file
from retinue.data.readers.voc.layout import VocPart, find_voc_parts

MAX_LABELS = 3  # folders that are named in messages


@dataclasses.dataclass
class _Rows:
    """The rows of a dataset as they are collected, one entry for each image."""

    files: list[str] = dataclasses.field(default_factory=list)
    splits: list[str] = dataclasses.field(default_factory=list)
    image_ids: list[str] = dataclasses.field(default_factory=list)
    locations: list[str] = dataclasses.field(default_factory=list)
    sizes: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    objects: list[tuple[int, ParsedObject]] = dataclasses.field(default_factory=list)


def explain(tree: FileTree) -> list[Explanation]:
    """Return what the XML files of Pascal VOC explain of a source."""
    parts = find_voc_parts(tree)
    if not parts:
        return []
    root = parts[0].tree
    images = {root.path(folder, name) for part in parts for folder, name in part.image_of.values()}
    for part in parts:
        images.update(root.path(folder, name) for folder in part.named_folders for name in root.images[folder].values())
    images.update(root.path(folder, name) for folder in _drawings(parts) for name in root.images[folder].values())

    def read(options: ReadOptions) -> Dataset:
        return _read_parts(tree.root, parts)

    problem = _shape_problem(tree.root, parts)
    if not images:
        path = root.path(parts[0].folder, next(iter(parts[0].xml_of.values())))
        image = parse_voc_file(path, path).image_name or next(iter(parts[0].xml_of))
        problem = (
            f"{tree.root}: it has annotations of Pascal VOC, but none of their images is there, the first is {image}; "
            f"{unpack_first(tree) or 'put the images beside the XML files, or give the folder that holds both'}"
        )
    folders = [part.folder for part in parts if problem or not part.shape]
    above = common_folder([*folders, *(folder for part in parts for folder in part.image_folders())])
    labels = [relative_location(root.path(folder, "*.xml"), tree.root) for folder in folders]
    return [
        Explanation(
            format="voc",
            tasks=("detection",),
            source=root.path(above) if above or root is not tree else tree.root,
            images=frozenset(images),
            labels=", ".join(labels[:MAX_LABELS])
            + f" and {len(labels) - MAX_LABELS} more" * (len(labels) > MAX_LABELS),
            read=read,
            num_annotations=sum(len(part.xml_of) for part in parts),
            problem=problem,
        )
    ]


def read_voc(source: str | os.PathLike[str]) -> Dataset:
    """Read Pascal VOC annotations into a `Dataset` for detection.

    The images are those of the lists in `ImageSets/Main` (train, val, test; trainval without a split), or without lists
    all that have an XML file; then the names of folders give the splits. Classes are the names of the objects in sorted
    order. `difficult` is kept. `image_id` is the file name without its suffix. An XML file or an object that can't be
    understood is a finding.

    Args:
        source: A folder as `find_voc_parts` describes it.

    Raises:
        RetinueError: There is no image with an annotation.
    """
    source = os.fspath(source)
    return _read_parts(source, find_voc_parts(FileTree(source)))


def _shape_problem(source: str, parts: Sequence[VocPart]) -> str:
    """Return why XML files can't be read whose objects have other shapes than boxes; "" if some have boxes."""
    if not all(part.shape for part in parts):
        return ""
    kind = "polygons of the old LabelMe" if parts[0].shape == "polygon" else "rotated boxes (robndbox)"
    return (
        f"{source}: its XML files have {kind} in place of a bndbox, which are not read; convert them to COCO, or list "
        "the boxes around them in a CSV with the columns file,label,x1,y1,x2,y2"
    )


def _without_other_shapes(parts: Sequence[VocPart], findings: list[Finding]) -> list[VocPart]:
    """Return the parts with boxes, with a finding for each of the others.

    Raises:
        RetinueError: No part has boxes.
    """
    problem = _shape_problem(parts[0].tree.root, parts) if parts else ""
    if problem:
        raise RetinueError(problem)
    for part in parts:
        if part.shape:
            reason = f"the objects of its {len(part.xml_of):,} XML files have a {part.shape}, but no bndbox"
            action = "ignored; the boxes of the other folders are read"
            findings.append(Finding(NOTE, "other shapes", part.tree.path(part.folder), "", reason, action))
    return [part for part in parts if not part.shape]


def _read_parts(source: str, parts: Sequence[VocPart]) -> Dataset:
    """Read the folders of annotations of a source into a `Dataset`."""
    findings: list[Finding] = []
    parts = _without_other_shapes(parts, findings)
    rows = _Rows()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for part in parts:
            stems = _stems_to_read(part, source, findings)
            paths = [part.tree.path(part.folder, part.xml_of[stem]) for stem in stems]
            locations = [relative_location(path, source) for path in paths]
            parsed = list(pool.map(parse_voc_file, paths, locations))
            _add_part(rows, part, stems, locations, parsed, findings)
    if not rows.files:
        raise RetinueError(f"{source}: there is no image with an annotation; looked for XML files of Pascal VOC")
    findings += _unannotated(parts, rows.files)
    findings += drawing_findings(parts[0].tree, _drawings(parts))
    numbers, objects = zip(*rows.objects, strict=True) if rows.objects else ((), ())
    names, boxes, difficult, object_ids = zip(*objects, strict=True) if objects else ((),) * 4
    classes = sorted(set(names))
    label_of = {name: index for index, name in enumerate(classes)}
    return Dataset(
        task="detection",
        files=np.array(rows.files, dtype=object),
        classes=tuple(classes),
        columns=object_columns(
            numbers,
            boxes,
            [label_of[name] for name in names],
            object_ids,
            rows.image_ids,
            location=rows.locations,
            difficult=difficult,
            size=rows.sizes,
        ),
        splits=np.array(rows.splits, dtype=object),
        source=source,
        format="voc",
        findings=tuple(findings),
    )


def _drawings(parts: Sequence[VocPart]) -> list[str]:
    """Return the folders that hold drawings of the annotated images, such as VOC's own masks."""
    stems = {stem for part in parts for stem in part.xml_of}
    return drawing_folders(parts[0].tree, stems, [folder for part in parts for folder in part.image_folders()])


def _stems_to_read(part: VocPart, source: str, findings: list[Finding]) -> list[str]:
    """Return the names without suffix of the images to read: the listed ones, or all."""
    if not part.split_of:
        return sorted(part.xml_of)
    folder = part.tree.path(part.folder)
    missing = [stem for stem in part.split_of if stem not in part.xml_of]
    if missing:
        reason = f"{len(missing):,} listed images have no XML file, the first is {missing[0]}"
        findings.append(Finding(WARNING, "no annotation", folder, "", reason, "skipped; add it"))
    num_unlisted = len(set(part.xml_of) - set(part.split_of))
    if num_unlisted:
        reason = f"{num_unlisted:,} annotations are in no list of ImageSets/Main"
        findings.append(Finding(NOTE, "not listed", folder, "", reason, "ignored"))
    return [stem for stem in part.split_of if stem in part.xml_of]


def _add_part(
    rows: _Rows,
    part: VocPart,
    stems: Sequence[str],
    locations: Sequence[str],
    parsed: Sequence[VocFile],
    findings: list[Finding],
) -> None:
    """Add the images of a folder of annotations to the rows."""
    paths = {stem: part.tree.path(*part.image_of[stem]) for stem in stems if stem in part.image_of}
    others = [(stem, file) for stem, file in zip(stems, parsed, strict=True) if stem not in paths and file.image_name]
    if others:
        found = ImageFinder(part.tree).find([file.image_name for _, file in others], part.folder)
        paths |= {stem: path for (stem, _), path in zip(others, found, strict=True) if path}
    findings += _other_file_names(part, stems, parsed)
    folder = next(iter(part.image_folders()), part.folder)
    for stem, location, file in zip(stems, locations, parsed, strict=True):
        path = paths.get(stem) or part.tree.path(folder, file.image_name or f"{stem}.jpg")
        if file.is_other:
            findings.append(Finding(NOTE, "other XML", file.path, "", file.problem, "ignored"))
            continue
        if file.problem:
            findings.append(Finding(INVALID, "broken annotation", path, "", file.problem, "skipped; write it again"))
            continue
        findings += [dataclasses.replace(finding, file=path) for finding in file.findings]
        rows.objects += [(len(rows.files), entry) for entry in file.objects]
        rows.files.append(path)
        rows.splits.append(part.split(stem))
        rows.image_ids.append(stem)
        rows.locations.append(location)
        rows.sizes.append(file.size)


def _other_file_names(part: VocPart, stems: Sequence[str], parsed: Sequence[VocFile]) -> list[Finding]:
    """Return a finding if XML files name other images, which are there, than those that they are named after."""
    others = []
    for stem, file in zip(stems, parsed, strict=True):
        named = os.path.splitext(file.image_name)[0]
        folder, name = part.image_of.get(stem, ("", ""))
        if name and named not in ("", stem) and part.tree.images[folder].get(named) == file.image_name:
            others.append((part.xml_of[stem], file.image_name, name))
    if not others:
        return []
    xml, named, name = others[0]
    reason = f"{len(others):,} XML files name another image in <filename>, the first is {xml} with {named}"
    action = f"read as the annotation of the image with the name of the XML file, {name}; correct <filename>"
    return [Finding(WARNING, "other file name", part.tree.path(part.folder), "", reason, action)]


def _unannotated(parts: Sequence[VocPart], files: Sequence[str]) -> list[Finding]:
    """Return a finding for each folder of images some of which have no annotation."""
    annotated = set(files)
    annotated.update(part.tree.path(*image) for part in parts for image in part.image_of.values())
    findings = []
    for folder in dict.fromkeys(folder for part in parts for folder in part.image_folders()):
        tree = parts[0].tree
        without = [path for name in tree.images[folder].values() if (path := tree.path(folder, name)) not in annotated]
        if without:
            reason = f"{len(without):,} images have no XML file, the first is {os.path.basename(without[0])}"
            action = "ignored; annotate them, or remove them"
            findings.append(Finding(NOTE, "image without XML", tree.path(folder), "", reason, action))
    return findings
