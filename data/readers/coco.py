"""COCO's annotations: one JSON file with images, annotations and categories, or a folder with one for each split."""

import os
import re
from collections.abc import Sequence

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.coco_file import CocoFile, Id, json_text, parse_coco_file
from retinue.data.readers.explanation import Explanation, ReadOptions, relative_to
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.objects import object_columns, relative_location
from retinue.data.storage.file_names import SPLIT_NAMES

ROBOFLOW_FILE = "_annotations.coco.json"
OTHER_KINDS = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")  # of COCO's own annotation files
MAX_PROBES = 50  # files that are looked for, to find out which folder the images are in


def explain(tree: FileTree) -> list[Explanation]:
    """Return what COCO's files explain of a source."""
    files = coco_files(tree.root)
    if not files:
        return []
    names = [relative_to(tree.root, path) for path, _ in files]
    return [_explanation(tree.root, ", ".join(names), tree.image_paths, len(files))]


def explain_file(path: str) -> Explanation | None:
    """Return what a JSON file explains, if it is one."""
    return _explanation(path, path, frozenset(), 1) if path.lower().endswith(".json") else None


def _explanation(source: str, labels: str, images: frozenset[str], num_annotations: int) -> Explanation:
    def read(options: ReadOptions) -> Dataset:
        from retinue.data.readers.coco_masks import read_coco_masks

        return read_coco_masks(source) if options.task == "segmentation" else read_coco(source)

    return Explanation("coco", ("detection", "segmentation"), source, images, labels, read, num_annotations)


def coco_files(folder: str) -> list[tuple[str, str]]:
    """Find the COCO files of a folder as COCO, CVAT or Roboflow lay it out.

    These are `annotations/*.json` (those named "instances" where there are any), or Roboflow's `_annotations.coco.json`
    in the folder itself or in its split folders, or one COCO file beside its images.

    Returns:
        The path and the split of each JSON file; empty when the folder is not a COCO folder.
    """
    files = _annotation_folder_files(folder) or _roboflow_files(folder)
    if not files:  # one file beside its images
        beside = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".json")]
        beside = [path for path in beside if _looks_like_coco(path)]
        files = [(path, "") for path in beside] if len(beside) == 1 else []
    if not any(split == "train" for _, split in files):  # then "val" is only a name: there is nothing else to train on
        files = [(path, "") for path, _ in files]
    return files


def read_coco(source: str | os.PathLike[str]) -> Dataset:
    """Read a COCO file, or a folder with several, into a `Dataset` for detection.

    Images come in the file's order, including those without objects. Classes are ordered by their ids, which are kept
    in `class_ids`, as are the ids of the images in `image_id`. In a folder each file is a split, by its name; a file
    that is given itself has none. Boxes x, y, width, height become x1, y1, x2, y2. `iscrowd` is kept, `ignore` is read
    as difficult. Annotations that can't be understood are skipped with a finding each, and so are different images that
    share an id, since nobody can tell whose the boxes are.

    Args:
        source: The JSON file, or a folder as `coco_files` describes it.

    Raises:
        RetinueError: A file is not a COCO file, or none of its images is there.
    """
    source = os.fspath(source)
    paths = coco_files(source) if os.path.isdir(source) else [(source, "")]
    parsed = [parse_coco_file(path) for path, _ in paths]
    findings = [finding for file in parsed for finding in file.findings]
    classes, class_ids = _merge_categories(parsed, findings)
    files: list[str] = []
    splits: list[str] = []
    locations: list[str] = []
    columns: dict[str, list[np.ndarray]] = {}
    for file, (path, split) in zip(parsed, paths, strict=True):
        first_row, folder = len(files), _image_folder(path, file.file_names, split)
        files += [os.path.normpath(os.path.join(folder, name)) for name in file.file_names]
        splits += [split] * len(file.file_names)
        locations += [image_location(image, path, source) for image in file.image_ids]
        for name, values in _object_arrays(file, classes, files[first_row:], findings).items():
            columns.setdefault(name, []).append(values + first_row if name == "rows" else values)
    flat = {name: np.concatenate(values) for name, values in columns.items()}
    return Dataset(
        task="detection",
        files=np.array(files, dtype=object),
        classes=tuple(classes),
        class_ids=tuple(class_ids),
        columns=object_columns(
            **flat,
            image_id=[image for file in parsed for image in file.image_ids],
            location=locations,
            size=np.concatenate([file.sizes for file in parsed]),
        ),
        splits=np.array(splits, dtype=object),
        source=source,
        format="coco",
        findings=tuple(findings),
    )


def image_location(image_id: int | str | None, path: str, source: str) -> str:
    """Return where an image is listed, for messages: "image 7 of boxes.json"."""
    return f"image {image_id} of {relative_location(path, source)}"


def _annotation_folder_files(folder: str) -> list[tuple[str, str]]:
    """Return the path and the split of each JSON file of instances in the folder of annotations."""
    for folder_name in ("annotations", "Annotations"):
        inner = os.path.join(folder, folder_name)
        if os.path.isdir(inner):
            names = [name for name in sorted(os.listdir(inner)) if name.endswith(".json") and name[0] != "."]
            names = [name for name in names if not name.startswith(OTHER_KINDS)]
            names = [name for name in names if "instances" in name] or names
            return [(os.path.join(inner, name), _split_of(name)) for name in names]
    return []


def _roboflow_files(folder: str) -> list[tuple[str, str]]:
    """Return the path and the split of each of Roboflow's files in the split folders, or else in the folder itself."""
    files = [
        (os.path.join(folder, name, ROBOFLOW_FILE), SPLIT_NAMES[name.lower()])
        for name in sorted(os.listdir(folder))
        if name.lower() in SPLIT_NAMES and os.path.isfile(os.path.join(folder, name, ROBOFLOW_FILE))
    ]
    if not files and os.path.isfile(os.path.join(folder, ROBOFLOW_FILE)):
        return [(os.path.join(folder, ROBOFLOW_FILE), "")]
    return files


def _looks_like_coco(path: str) -> bool:
    """Return whether the beginning of a JSON file has one of COCO's lists."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") and any(
        name in head for name in (b'"images"', b'"annotations"', b'"categories"')
    )


def _merge_categories(files: Sequence[CocoFile], findings: list[Finding]) -> tuple[list[str], list[int]]:
    """Return the names and the ids of the categories of all files, ordered by id.

    Roboflow's category that only groups the others is omitted.
    """
    id_of: dict[str, int] = {}
    for file in files:
        used = set(file.category_ids)
        for number, name in file.category_names.items():
            if number not in used and name in file.supercategories:
                reason = f"the category {name} only groups others and has no object"
                findings.append(Finding(NOTE, "unused category", file.path, name, reason, "omitted"))
            elif id_of.setdefault(name, number) != number:
                reason = f"the category {name} has the id {number} here, but {id_of[name]} in {files[0].path}"
                action = f"matched by name; results are written with {id_of[name]}"
                findings.append(Finding(WARNING, "other category id", file.path, name, reason, action))
    names = sorted(id_of, key=lambda name: (id_of[name], name))
    return names, [id_of[name] for name in names]


def _object_arrays(
    file: CocoFile, classes: Sequence[str], image_files: Sequence[str], findings: list[Finding]
) -> dict[str, np.ndarray]:
    """Return flat arrays of the objects of one file, without those of unknown images and categories.

    Args:
        file: The parsed file.
        classes: The class names of the dataset.
        image_files: The path of each image of the file.
        findings: Receives a finding for each object that is omitted, and for ids that are there twice.
    """
    row_of = {image: row for row, image in enumerate(file.image_ids)}
    index_of = {name: index for index, name in enumerate(classes)}
    label_of: dict[Id, int] = {
        number: index_of[name] for number, name in file.category_names.items() if name in index_of
    }
    count = len(file.annotation_ids)
    rows = np.fromiter((row_of.get(image, -1) for image in file.image_id_of), np.int64, count)
    labels = np.fromiter((label_of.get(number, -1) for number in file.category_ids), np.int64, count)
    is_ambiguous = np.fromiter((image in file.ambiguous_ids for image in file.image_id_of), bool, count)
    for index in np.flatnonzero((rows < 0) & ~is_ambiguous):
        item = f"annotation {file.annotation_ids[index]}"
        reason = f"{item}: its image_id {json_text(file.image_id_of[index])} is none of the images"
        findings.append(Finding(INVALID, "unknown image", file.path, item, reason, "skipped; add the image"))
    for index in np.flatnonzero((rows >= 0) & (labels < 0)):
        item = f"annotation {file.annotation_ids[index]}"
        category = json_text(file.category_ids[index])
        reason = f"{item}: unknown class, its category_id {category} is none of the categories"
        action = "skipped; add the category, or correct the id"
        findings.append(Finding(INVALID, "unknown class", image_files[rows[index]], item, reason, action))
    ids = np.array(
        [number if _fits_int64(number) else index for index, number in enumerate(file.annotation_ids)], np.int64
    )
    unique, first, counts = np.unique(ids, return_index=True, return_counts=True)
    for number, index, repetitions in zip(*(column[counts > 1] for column in (unique, first, counts)), strict=True):
        path = image_files[rows[index]] if rows[index] >= 0 else file.path
        reason = f"annotation {number}: duplicate id, {repetitions} annotations have it"
        action = "all are used; other programs only keep one, so number them anew"
        findings.append(Finding(WARNING, "duplicate annotation id", path, f"annotation {number}", reason, action))
    known = (rows >= 0) & (labels >= 0)
    return {
        "rows": rows[known],
        "boxes": np.array(file.boxes).reshape(-1, 4)[known].astype(np.float32),
        "labels": labels[known],
        "object_id": ids[known],
        "crowd": np.array(file.crowd, bool)[known],
        "difficult": np.array(file.difficult, bool)[known],
        "area": np.array(file.areas)[known].astype(np.float32),
    }


def _image_folder(path: str, names: Sequence[str], split: str) -> str:
    """Return the folder that the file names are relative to: of the usual ones, that in which most files are."""
    beside = os.path.dirname(path)
    stem = os.path.splitext(os.path.basename(path))[0]
    own = [stem, stem.removeprefix("instances_"), *(word for word, meaning in SPLIT_NAMES.items() if meaning == split)]
    inner = ["", "images", *own, *(os.path.join("images", name) for name in own)]
    outer = os.path.join(beside, os.pardir)
    folders = [os.path.join(top, name) for top in (beside, outer) for name in inner]
    probes = [names[index] for index in np.unique(np.linspace(0, len(names) - 1, MAX_PROBES).astype(int))]
    hits = [sum(os.path.isfile(os.path.join(folder, name)) for name in probes) for folder in folders]
    if not any(hits):
        tried = ", ".join(sorted({os.path.normpath(folder) or "." for folder in folders if os.path.isdir(folder)}))
        raise RetinueError(
            f"{path}: none of its images is there, the first is {names[0]}; looked in {tried}; "
            "put the images beside the file, or into a folder images there"
        )
    return folders[hits.index(max(hits))]


def _split_of(name: str) -> str:
    """Return the split that a file name contains: "instances_train2017.json" is "train"."""
    words = re.findall("[a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")


def _fits_int64(value: object) -> bool:
    """Return whether a value is a whole number that a column can hold."""
    return isinstance(value, int) and abs(value) < 2**63
