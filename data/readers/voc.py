"""Pascal VOC: an XML file for each image, in the folders of VOCdevkit or beside the images as LabelImg writes them."""

import os
import xml.etree.ElementTree as ElementTree

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.objects import object_columns, object_location, relative_location
from retinue.data.storage.file_names import looks_like_image

SPLIT_LISTS = ("train", "val", "test", "trainval")  # trainval last: it only adds what is in none of the others

Box = tuple[float, float, float, float]
ParsedObject = tuple[str, Box, bool, int]  # class name, box, difficult, number in its file


def explain(tree: FileTree) -> list[Explanation]:
    """Return what the XML files of Pascal VOC explain of a source."""
    folders = voc_folders(tree.root)
    if not folders:
        return []

    def read(options: ReadOptions) -> Dataset:
        from retinue.data.readers.mask_folders import read_mask_folders

        return read_mask_folders(tree.root) if options.task == "segmentation" else read_voc(tree.root)

    labels = ", ".join(os.path.join(_subfolders(folder)[0], "*.xml") for folder in folders)
    return [Explanation("voc", ("detection", "segmentation"), tree.root, tree.image_paths, labels, read)]


def voc_folders(folder: str) -> list[str]:
    """Return the folders with VOC annotations in `folder`: itself, or those of the years in a VOCdevkit.

    Such a folder has `Annotations/*.xml` and `JPEGImages`, or XML files beside images of the same names. The list is
    empty when there is no such folder.
    """
    inner = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    devkit = [path for path in inner if os.path.basename(path) == "VOCdevkit" and os.path.isdir(path)]
    if devkit:
        return voc_folders(devkit[0])
    if _is_voc(folder):
        return [folder]
    return [path for path in inner if os.path.isdir(path) and os.path.isdir(os.path.join(path, "JPEGImages"))]


def read_voc(source: str | os.PathLike[str]) -> Dataset:
    """Read Pascal VOC annotations into a `Dataset` for detection.

    The images are those of the lists in `ImageSets/Main` (train, val, test; trainval without a split), or without lists
    all that have an XML file. Classes are the names of the objects in sorted order. VOC counts pixels from 1 and
    includes the last one, so xmin, ymin, xmax, ymax become xmin - 1, ymin - 1, xmax, ymax. `difficult` is kept. The
    parts of an object are not read as objects. `image_id` is the file name without its suffix. An XML file or an object
    that can't be understood is a finding.

    Args:
        source: A folder as `voc_folders` describes it.

    Raises:
        RetinueError: There is no image with an annotation.
    """
    source = os.fspath(source)
    findings: list[Finding] = []
    files: list[str] = []
    splits: list[str] = []
    image_ids: list[str] = []
    locations: list[str] = []
    sizes: list[tuple[float, float]] = []
    objects: list[tuple[int, str, Box, bool, int]] = []
    for folder in voc_folders(source):
        annotation_folder, image_folder = _subfolders(folder)
        image_of = {
            os.path.splitext(name)[0]: name for name in sorted(os.listdir(image_folder)) if looks_like_image(name)
        }
        stems, split_of = _listed_stems(folder, annotation_folder, findings)
        for stem in stems:
            file = os.path.join(image_folder, image_of.get(stem, f"{stem}.jpg"))
            path = os.path.join(annotation_folder, f"{stem}.xml")
            location = relative_location(path, source)
            parsed = _parse(path, file, location, findings)
            if parsed is None:
                continue
            size, parsed_objects = parsed
            objects += [(len(files), *entry) for entry in parsed_objects]
            files.append(file)
            splits.append(split_of.get(stem, ""))
            image_ids.append(stem)
            locations.append(location)
            sizes.append(size)
    if not files:
        raise RetinueError(
            f"{source}: there is no image with an annotation; looked for Annotations/*.xml and JPEGImages"
        )
    rows, names, boxes, difficult, numbers = zip(*objects, strict=True) if objects else ((),) * 5
    classes = sorted(set(names))
    label_of = {name: index for index, name in enumerate(classes)}
    return Dataset(
        task="detection",
        files=np.array(files, dtype=object),
        classes=tuple(classes),
        columns=object_columns(
            rows,
            boxes,
            [label_of[name] for name in names],
            numbers,
            image_ids,
            location=locations,
            difficult=difficult,
            size=sizes,
        ),
        splits=np.array(splits, dtype=object),
        source=source,
        format="voc",
        findings=tuple(findings),
    )


def read_split_lists(folder: str) -> dict[str, str]:
    """Return the split of each image that the lists in a folder of `ImageSets` name.

    Args:
        folder: The folder of `train.txt`, `val.txt`, `test.txt` and `trainval.txt`, each optional.

    Returns:
        {file name without suffix: split}; the split is "" for images that only trainval lists.
    """
    split_of: dict[str, str] = {}
    for name in SPLIT_LISTS:
        path = os.path.join(folder, f"{name}.txt")
        if os.path.isfile(path):
            with open(path, encoding="utf-8-sig") as lines:
                for stem in (line.split()[0] for line in lines if line.strip()):
                    split_of.setdefault(stem, "" if name == "trainval" else name)
    return split_of


def _is_voc(folder: str) -> bool:
    annotation_folder, image_folder = _subfolders(folder)
    if not os.path.isdir(annotation_folder) or not os.path.isdir(image_folder):
        return False
    stems = {os.path.splitext(name)[0] for name in os.listdir(annotation_folder) if name.lower().endswith(".xml")}
    return any(looks_like_image(name) and os.path.splitext(name)[0] in stems for name in os.listdir(image_folder))


def _subfolders(folder: str) -> tuple[str, str]:
    """Return the folders of the annotations and of the images."""
    annotation_folder = os.path.join(folder, "Annotations")
    image_folders = [os.path.join(folder, name) for name in ("JPEGImages", "images")]
    image_folder = next((path for path in image_folders if os.path.isdir(path)), folder)
    return annotation_folder if os.path.isdir(annotation_folder) else folder, image_folder


def _listed_stems(folder: str, annotation_folder: str, findings: list[Finding]) -> tuple[list[str], dict[str, str]]:
    """Return the names without suffix of the images to read, and the split of each that a list names."""
    annotated = sorted(
        os.path.splitext(name)[0] for name in os.listdir(annotation_folder) if name.lower().endswith(".xml")
    )
    split_of = read_split_lists(os.path.join(folder, "ImageSets", "Main"))
    if not split_of:
        return annotated, {}
    known = set(annotated)
    missing = [stem for stem in split_of if stem not in known]
    if missing:
        reason = f"{len(missing):,} listed images have no XML file, the first is {missing[0]}"
        findings.append(Finding(WARNING, "no annotation", folder, "", reason, "skipped; add it"))
    num_unlisted = len(known - set(split_of))
    if num_unlisted:
        reason = f"{num_unlisted:,} annotations are in no list of ImageSets/Main"
        findings.append(Finding(NOTE, "not listed", folder, "", reason, "ignored"))
    return [stem for stem in split_of if stem in known], split_of


def _parse(
    path: str, file: str, location: str, findings: list[Finding]
) -> tuple[tuple[float, float], list[ParsedObject]] | None:
    """Return the size (height, width) and the objects of an XML file, or None when it is not XML."""
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        reason = f"its annotation {path} can't be read ({error})"
        findings.append(Finding(INVALID, "broken annotation", file, "", reason, "skipped; write it again"))
        return None
    height, width = (_parse_number(root.findtext(f"size/{side}")) or 0 for side in ("height", "width"))
    objects = []
    for number, entry in enumerate(root.findall("object"), 1):
        name = (entry.findtext("name") or "").strip()
        corners = [_parse_number(entry.findtext(f"bndbox/{corner}")) for corner in ("xmin", "ymin", "xmax", "ymax")]
        x1, y1, x2, y2 = corners
        if not name or x1 is None or y1 is None or x2 is None or y2 is None:
            problem = "its bndbox lacks a number" if name else "it has no name"
            item = object_location("voc", number, location)
            findings.append(Finding(INVALID, "not a box", file, item, f"{item}: {problem}", "skipped; correct it"))
            continue
        difficult = _parse_number(entry.findtext("difficult")) == 1
        objects.append((name, (x1 - 1, y1 - 1, x2, y2), difficult, number))
    return (height, width), objects


def _parse_number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
