"""Text lists of images with labels: `train.txt` and `test.txt` with `a/1.jpg 0`, and their official relatives.

Such are the lists of the Oxford pets (`Abyssinian_1 1 1 1`), of FGVC aircraft (`1025794 Boeing 707`), CelebA's
`list_attr_celeba.txt` with a column for each class, and the numbered images of Caltech-UCSD Birds.
"""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from retinue.data.dataset import Columns, Dataset, Ragged
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions, relative_to
from retinue.data.readers.file_tree import FileTree, tree_around
from retinue.data.readers.image_lists.labels import ListLabels, find_labels
from retinue.data.readers.image_lists.listed_images import ImagesByName, list_paths, read_image_list
from retinue.data.readers.image_lists.numbered_images import LABELS, numbered_lists, numbered_values
from retinue.data.readers.image_lists.splits import OTHER_WORDS, splits_of_folders, with_official_splits
from retinue.data.readers.masks.pairs import find_mask_pairs
from retinue.data.readers.tables.class_name_files import may_name_classes
from retinue.data.readers.tables.class_table import ClassNames, find_class_names
from retinue.data.storage.file_names import SPLIT_NAMES, split_of_name

FORMAT = "image lists"
SUFFIXES = (".txt", ".lst", ".list")
REPEATS = ("voc", "coco", "yolo", "keras-yolo", "labels csv", "boxes csv", "masks csv", "labelme", "via", "cvat")
FOLDERS_OF_OTHERS = ("imagesets",)  # the lists of Pascal VOC, which its reader knows
FOLDERS_OF_LISTS = ("list", "lists", "split", "splits", "meta", "metadata")  # the images may lie beside them
DEPTH_AROUND = 4  # of folders that are listed around a list that is given alone

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class _Lists:
    """Lists that form one dataset.

    Attributes:
        paths: The lists.
        labels: The labels of their images.
        problem: Why the labels are not clear, or "".
        images: The images that they list.
        others: The images of the source that they don't list.
    """

    paths: tuple[str, ...]
    labels: ListLabels
    problem: str
    images: frozenset[str]
    others: frozenset[str]


def explain(tree: FileTree) -> list[Explanation]:
    """Return what text lists of images with labels explain of a source."""
    return [_explanation(tree, lists) for lists in _find_lists(tree)]


def explain_file(path: str) -> Explanation | None:
    """Return what a text list of images with labels explains, None if the file is none."""
    if not path.lower().endswith(SUFFIXES):
        return None
    folder = os.path.dirname(path) or os.curdir
    inside, around = FileTree(folder, DEPTH_AROUND), tree_around(folder)
    if around is None and os.path.basename(os.path.abspath(folder)).lower() in FOLDERS_OF_LISTS:
        around = FileTree(os.path.normpath(os.path.join(folder, os.pardir)), DEPTH_AROUND)
    for tree in (around, inside) if around else (inside,):
        for lists in _find_lists(tree):
            if any(os.path.samefile(path, other) for other in lists.paths):
                return _explanation(tree, lists)
    return None


def _find_lists(tree: FileTree) -> list[_Lists]:
    """Return the lists of a source with labels, those of one dataset together."""
    paths = [path for path in list_paths(tree) if _may_have_labels(path)]
    if not paths:
        return []
    found = find_mask_pairs(tree)
    paths_of_images = tree.image_paths - frozenset(found.mask_paths) - frozenset(found.drawings)
    images = ImagesByName(paths_of_images)
    families = defaultdict[tuple[str, ...], dict[str, Mapping[str, tuple[str, ...]]]](dict)
    problems: dict[tuple[str, ...], str] = {}
    for path in numbered_lists(paths):
        label_of = numbered_values(path, LABELS, images)
        labels = os.path.join(os.path.dirname(path), LABELS)
        families[("numbered", path)][labels] = {image: (label,) for image, label in label_of.items()}
    for path in paths:
        listed = read_image_list(path, images)
        if listed is None or not any(listed.values.values()):
            continue
        family = (_rest_of_name(path), os.path.dirname(path), *listed.header)
        families[family][path] = listed.values
        if listed.contradicted:
            problems[family] = f"it lists {os.path.basename(listed.contradicted)} twice with different values"
    lists = [_join(family, members, paths_of_images, problems.get(family, "")) for family, members in families.items()]
    return [one for one in lists if one]


def _join(
    family: tuple[str, ...],
    members: Mapping[str, Mapping[str, tuple[str, ...]]],
    paths_of_images: frozenset[str],
    problem: str,
) -> _Lists | None:
    """Return the lists of one dataset, or None if they have no labels."""
    values: dict[str, tuple[str, ...]] = {}
    for path, listed in members.items():
        for image, row in listed.items():
            if values.setdefault(image, row) != row:
                problem = problem or f"{os.path.basename(image)} has other values in {os.path.basename(path)}"
    labels = find_labels(values, family[2:] if family[0] != "numbered" else ())
    if not labels:
        return None
    if isinstance(labels, str):
        problem, labels = problem or labels, ListLabels({})
    images = frozenset(values)
    others = paths_of_images - images
    if not labels.by_folder and _names_folders(labels, others):
        return None
    return _Lists(tuple(members), labels, problem, images, others)


def _names_folders(labels: ListLabels, others: frozenset[str]) -> bool:
    """Return whether labels are names of folders of other images: then class folders are read, and this list, too."""
    different = {label for found in labels.labels.values() for label in found}
    names = {part for folder in {os.path.dirname(image) for image in others} for part in folder.split(os.sep)}
    return bool(different) and different <= names


def _explanation(tree: FileTree, lists: _Lists) -> Explanation:
    names = ", ".join(relative_to(tree.root, path) for path in lists.paths[:3])
    names += f" and {len(lists.paths) - 3:,} more" if len(lists.paths) > 3 else ""
    problem = ""
    if lists.problem:
        problem = (
            f"{lists.paths[0]}: it names images, but {lists.problem}; list them in a CSV with the columns file,label"
        )
    by_folder = lists.labels.by_folder
    num_folders = max(len({os.path.dirname(image) for image in some}) for some in (lists.images, lists.others))

    def read(options: ReadOptions) -> Dataset:
        return _read(tree, lists)

    return Explanation(
        FORMAT,
        ("classification",),
        lists.paths[0],
        lists.images,
        names,
        read,
        num_annotations=len(lists.paths),
        implicit=num_folders > 1 and not by_folder,  # then the folders may be the classes as well
        repeats=(*REPEATS, "class folders") if by_folder else REPEATS,  # class folders have the images without a line
        problem=problem,
    )


def _read(tree: FileTree, lists: _Lists) -> Dataset:
    """Read lists into a `Dataset` for classification, in sorted order of the images."""
    labels = dict(sorted(lists.labels.labels.items()))
    findings = list(tree.findings)
    if lists.labels.reason:
        findings.append(Finding(NOTE, "column of labels", lists.paths[0], "", lists.labels.reason, "used"))
    names = _class_names(tree, lists, findings)
    indices = [[names.index_of[label] for label in found] for found in labels.values()]
    columns: Columns
    if lists.labels.columns:
        columns = {"labels": Ragged.from_rows(indices, np.int64)}
    else:
        columns = {"label": np.array(indices, np.int64)[:, 0]}
    if lists.others:
        reason = f"{len(lists.others):,} images are in none of the lists with labels"
        action = "not read; add them to a list to use them"
        findings.append(Finding(WARNING, "not listed", min(lists.others), "", reason, action))
    split_of = splits_of_folders(list(labels), tree.root)
    if split_of:
        reason = "the images lie in folders that are named after splits"
        findings.append(Finding(NOTE, "splits of folders", lists.paths[0], "", reason, "used"))
    dataset = Dataset(
        task="classification",
        files=np.array(list(labels), dtype=object),
        classes=names.classes,
        class_ids=names.ids,
        columns=columns,
        splits=np.array([split_of.get(file, "") for file in labels], dtype=object),
        source=tree.root,
        format=FORMAT,
        findings=tuple(findings),
    )
    return with_official_splits(dataset, list_paths(tree))


def _class_names(tree: FileTree, lists: _Lists, findings: list[Finding]) -> ClassNames:
    """Return the names of the classes: of columns, of folders, of a file beside the lists, of files, or the labels."""
    labels, path = lists.labels, lists.paths[0]
    if labels.columns:
        reason = f"each of {len(labels.columns)} columns is taken for a class"
        findings.append(Finding(NOTE, "a column for each class", path, "", reason, "read as labels"))
        return ClassNames.of_labels(labels.columns)
    if labels.by_folder and labels.names_by:
        return labels.names_by
    different = {label for found in labels.labels.values() for label in found}
    named = find_class_names(_name_files(tree, lists), different, findings)
    if named:
        return named
    if labels.names_by:
        reason = "each label stands for one word in the names of the images"
        findings.append(Finding(NOTE, "class names", path, "", reason, "named after them"))
        return labels.names_by
    if all(label.isdecimal() for label in different):
        return ClassNames.of_ids({label: (label, label) for label in different})
    return ClassNames.of_labels(sorted(different))


def _name_files(tree: FileTree, lists: _Lists) -> list[str]:
    """Return the files that may name the classes: those beside the lists, then those in the root."""
    beside = os.path.normpath(os.path.dirname(lists.paths[0]))
    folders = [folder for folder in tree.names if os.path.normpath(tree.path(folder)) == beside]
    return [
        path
        for folder in dict.fromkeys((*folders, ""))
        for name, path in zip(tree.names[folder], tree.paths(folder, tree.names[folder]), strict=True)
        if may_name_classes(name) and path not in lists.paths
    ]


def _may_have_labels(path: str) -> bool:
    folder, name = os.path.split(path.lower())
    is_other = any(part in FOLDERS_OF_OTHERS for part in folder.split(os.sep))
    return name.endswith(SUFFIXES) and not is_other and "partition" not in name


def _rest_of_name(path: str) -> str:
    """Return the name of a list without the words that stand for its split, which lists of one dataset share."""
    words = _WORD.findall(os.path.splitext(os.path.basename(path))[0].lower())
    rest = [word for word in words if word not in (*SPLIT_NAMES, *OTHER_WORDS, "trainval") and not split_of_name(word)]
    return "-".join(rest)
