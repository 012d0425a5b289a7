"""Where the class folders of a source are: in the source or deeper, below split folders or above them."""

import os
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field

from retinue.data.readers.file_tree import FileTree, is_below
from retinue.data.readers.folders import assign_splits
from retinue.data.readers.masks.pairs import find_mask_pairs
from retinue.data.storage.file_names import looks_like_image, split_of_name

# A folder with one of these files, of any suffix, is a repository. Its images in these folders are not data.
REPOSITORY_FILES = ("readme", "license", "requirements", "setup", "pyproject", "makefile", "dockerfile")
REPOSITORY_FOLDERS = (
    *("doc", "docs", "documentation", "assets", "media", "static", "figures", "figure", "figs", "screenshots"),
    *("src", "scripts", "notebooks", "examples", "example", "demo", "demos", "readme", "paper", "results", "outputs"),
)
# Words in the names of folders of images that are not classes.
COLLECTION_WORDS = (
    *("image", "images", "img", "imgs", "jpegimages", "photo", "photos", "input", "inputs", "frame", "frames", "x"),
    *("rgb", "jpg", "jpeg", "png", "data", "dataset", "datasets", "dir", "folder", "all", "pics"),
)

ANNOTATION_SUFFIXES = (".xml", ".txt", ".json")  # of files that annotate the image of the same name
DATA_SET_SUFFIXES = (".csv", ".json", ".xml", ".yaml", ".yml")  # of files that annotate the images of a folder

_WORD = re.compile(r"[^\W\d_]+")
_PART = re.compile(r"part|fold|batch|chunk|shard|set|images?|imgs?|data|frames?|page|scan")  # in names of parts
_DIGITS = re.compile(r"\d+")
SAME_NAMES = 0.9  # of the names of two folders are equal: they hold versions of the same images


@dataclass
class ClassLayout:
    """Where the class folders of a source are. Folders are relative to the root of its `FileTree`.

    Attributes:
        root: The folder with the class folders, or with the folders of the splits.
        parents: The folder that holds the class folders of each split; {"": root} without split folders.
        classes: The class folders.
        images: The images of each folder, without masks: their names.
        below: The number of images in and below each folder.
        num_masks: The number of masks that are left out.
        unlabeled: Folders of test images without a class.
        splits_inside: Whether each class folder holds the folders of the splits.
    """

    root: str = ""
    parents: dict[str, str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    images: dict[str, list[str]] = field(default_factory=dict)
    below: Counter[str] = field(default_factory=Counter)
    num_masks: int = 0
    unlabeled: list[str] = field(default_factory=list)
    splits_inside: bool = False


def find_class_layout(tree: FileTree) -> ClassLayout:
    """Return where the class folders of a source are.

    Raises:
        RetinueError: Two folders could be the same split.
    """
    layout = ClassLayout()
    found = find_mask_pairs(tree)
    masks = found.mask_paths.union(found.drawings)
    for folder, names in tree.names.items():
        images = [name for name in names if looks_like_image(name)]
        if masks:
            kept = [name for name in images if tree.path(folder, name) not in masks]
            layout.num_masks += len(images) - len(kept)
            images = kept
        if images:
            layout.images[folder] = images
            for above in (*folders_above(folder), folder):
                layout.below[above] += len(images)
    layout.root = _find_root(tree, layout)
    splits = _split_folders(tree, layout)
    layout.parents = {split: _unwrap(tree, layout, folder) for split, folder in splits.items()} or {"": layout.root}
    _find_classes(tree, layout)
    return layout


def folders_above(folder: str) -> list[str]:
    """Return every folder above a folder of a `FileTree`, the root first."""
    parts = folder.split(os.sep) if folder else []
    return [os.sep.join(parts[:count]) for count in range(len(parts))]


def is_one_collection(layout: ClassLayout) -> bool:
    """Return whether there is only one class folder, and its name tells that it holds images of any class."""
    names = {os.path.basename(folder) for folder in layout.classes}
    return len(names) == 1 and is_collection(*names)


def problem_with_label_files(tree: FileTree, layout: ClassLayout) -> str:
    """Return why files of annotations say that the folders are no classes, or ""."""
    path = tree.path(layout.root) if layout.root else tree.root
    annotated = {os.path.splitext(name)[0] for _, name in tree.files(ANNOTATION_SUFFIXES)}
    stems = [stem for folder in layout.images if annotated for stem in tree.images[folder]]
    num_annotated = sum(stem in annotated for stem in stems)
    if num_annotated * 2 > len(stems):
        return (
            f"{path}: {num_annotated:,} of {len(stems):,} images have a file of the same name "
            f"({' or '.join(ANNOTATION_SUFFIXES)}), which seem to be annotations that are not understood; if the "
            "folders are classes, move these files away, or list the images in a CSV with the columns file,label"
        )
    with_files: dict[str, str] = {}
    for folder, name in tree.files(DATA_SET_SUFFIXES):
        owner = next((known for known in layout.classes if is_below(folder, known)), None)
        if owner:
            with_files.setdefault(owner, os.path.join(folder, name))
    if len(with_files) > 1 and len(with_files) * 2 > len(layout.classes):
        first, second = list(with_files.values())[:2]
        return (
            f"{path}: its folders hold files of annotations of their own ({first}, {second}, ...), so they seem to be "
            f"several data sets instead of classes; give one of them: retinue check "
            f"{shlex.quote(tree.path(next(iter(with_files))))}"
        )
    return ""


def problem_with_names(tree: FileTree, layout: ClassLayout) -> str:
    """Return why the folders can't be classes by their names and by the names of their images, or ""."""
    path = tree.path(layout.root) if layout.root else tree.root
    stems = {folder: _stems_below(tree, folder) for folder in layout.classes}
    for parent in layout.parents.values():
        folders = [folder for folder in layout.classes if os.path.dirname(folder) == parent and stems[folder]]
        compared = [folder for folder in folders if is_collection(os.path.basename(folder))] or folders[:1]
        for first in compared:
            for other in folders:
                if first != other and _holds_versions(first, stems[first], stems[other]):
                    return (
                        f"{path}: {os.path.basename(first)} and {os.path.basename(other)} hold images of the same "
                        "names, so they seem to be versions of the same images, or images and their masks, instead of "
                        "classes; if they are classes, list the images in a CSV with the columns file,label"
                    )
    return ""


def problem_with_folders(tree: FileTree, layout: ClassLayout) -> str:
    """Return why the folders seem to be splits or parts, since they hold the same folders or are numbered, or ""."""
    if list(layout.parents) != [""] or len(layout.classes) < 2:
        return ""
    inner = [set() if folder in layout.images else _names_below(tree, layout, folder) for folder in layout.classes]
    filled = [names for names in inner if names]
    common = set.intersection(*filled) if len(filled) > 1 else set()
    if any(folder in layout.images for folder in layout.classes) or len(common) < 2:
        return _problem_with_parts(tree, layout)
    if not all(len(common) > len(names) / 2 for names in filled):
        return _problem_with_parts(tree, layout)
    found = " and ".join(os.path.basename(name) for name in layout.classes[:2])
    path = tree.path(layout.root) if layout.root else tree.root
    return (
        f"{path}: {found} hold the same folders ({', '.join(sorted(common)[:3])}, ...), so they seem to be splits "
        "instead of classes; rename them to train, val and test. If they are the classes, list the images in a CSV "
        "with the columns file,label"
    )


def _problem_with_parts(tree: FileTree, layout: ClassLayout) -> str:
    """Return why the folders seem to be numbered parts of one collection, as images_part_1 and images_part_2, or ""."""
    names = [os.path.basename(folder) for folder in layout.classes]
    if len({_DIGITS.sub("", name.lower()) for name in names}) > 1 or not _PART.search(names[0].lower()):
        return ""
    path = tree.path(layout.root) if layout.root else tree.root
    return (
        f"{path}: {names[0]} and {names[1]} seem to be parts of one collection instead of classes; give each class a "
        "folder of its own, or list the images in a CSV with the columns file,label"
    )


def _names_below(tree: FileTree, layout: ClassLayout, folder: str) -> set[str]:
    """Return the names of the folders in a folder; of its splits, and of a folder such as images, those in them."""
    names = set[str]()
    for inner in tree.subfolders(folder):
        if not layout.below[inner]:
            continue
        name = os.path.basename(inner)
        names |= _names_below(tree, layout, inner) if split_of_name(name) or is_collection(name) else {name}
    return names


def is_collection(name: str) -> bool:
    """Return whether a folder's name tells that it holds images, as opposed to those of a class."""
    words = [word for word in _WORD.findall(name.lower()) if not split_of_name(word)]
    return bool(words) and all(word in COLLECTION_WORDS for word in words)


def _holds_versions(first: str, stems: set[str], others: set[str]) -> bool:
    """Return whether two folders hold versions of the same images, by the names of the images."""
    if len(stems & others) < SAME_NAMES * max(len(stems), len(others)):
        return False
    if is_collection(os.path.basename(first)):
        return True
    is_numbering = len({_DIGITS.sub("#", stem) for stem in stems}) <= max(2, len(stems) // 10)
    return len(stems) > 2 and not is_numbering


def _stems_below(tree: FileTree, folder: str) -> set[str]:
    return {stem for inner, stems in tree.images.items() if is_below(inner, folder) for stem in stems}


def _find_root(tree: FileTree, layout: ClassLayout) -> str:
    """Return the folder with the class folders, or with the folders of the splits.

    It is the root, or the first folder below it that has several folders with images, if there is only one way down to
    it. In a repository, folders that usually hold the images of its documentation are passed over.
    """
    folder = ""
    while folder not in layout.images:
        inner = _folders_with_images(tree, layout, folder)
        if len(inner) > 1 or (inner and split_of_name(os.path.basename(inner[0]))):
            return folder
        if not inner:
            return ""
        folder = inner[0]
    return os.path.dirname(folder)


def _folders_with_images(tree: FileTree, layout: ClassLayout, folder: str) -> list[str]:
    inner = [name for name in tree.subfolders(folder) if layout.below[name]]
    if any(os.path.splitext(name)[0].lower() in REPOSITORY_FILES for name in tree.names[folder]):
        inner = [name for name in inner if os.path.basename(name).lower() not in REPOSITORY_FOLDERS] or inner
    return inner


def _split_folders(tree: FileTree, layout: ClassLayout) -> dict[str, str]:
    """Return the folder of each split, empty for plain class folders.

    A folder `train` alone does not decide, since it can be a class of vehicles. Either there are only names of splits,
    or `train` holds folders itself and has a val or test folder beside it.
    """
    inner = {os.path.basename(name): name for name in tree.subfolders(layout.root) if layout.below[name]}
    name_of = assign_splits(tree.path(layout.root), inner)
    if "train" not in name_of:
        return {}
    folder_of = {split: inner[name] for split, name in name_of.items()}
    has_folders = any(layout.below[name] for name in tree.subfolders(folder_of["train"]))
    return folder_of if len(folder_of) == len(inner) or (len(folder_of) > 1 and has_folders) else {}


def _unwrap(tree: FileTree, layout: ClassLayout, folder: str) -> str:
    """Return the folder of the classes of a split, which may lie one folder down, as in seg_train/seg_train."""
    inner = [name for name in tree.subfolders(folder) if layout.below[name]]
    if len(inner) != 1 or folder in layout.images:
        return folder
    name = os.path.basename(inner[0])
    is_wrapper = split_of_name(name) == split_of_name(os.path.basename(folder)) or is_collection(name)
    has_classes = any(layout.below[deeper] for deeper in tree.subfolders(inner[0]))
    return inner[0] if is_wrapper and has_classes else folder


def _find_classes(tree: FileTree, layout: ClassLayout) -> None:
    """Fill in the class folders: those with images, and empty ones. Others hold annotations or code."""
    of_split = {
        split: [name for name in tree.subfolders(parent) if layout.below[name] or _is_empty(tree, name)]
        for split, parent in layout.parents.items()
    }
    trained = {os.path.basename(folder) for folder in of_split.get("train", ())}
    in_test = of_split.get("test", [])
    if trained and len(in_test) == 1 and os.path.basename(in_test[0]) not in trained:
        layout.unlabeled = of_split.pop("test")
    layout.classes = [folder for folders in of_split.values() for folder in folders]
    inner = [[name for name in tree.subfolders(folder) if layout.below[name]] for folder in layout.classes]
    layout.splits_inside = (
        list(layout.parents) == [""]
        and len(layout.classes) > 1
        and all(folders and all(split_of_name(os.path.basename(name)) for name in folders) for folders in inner)
        and len({split_of_name(os.path.basename(name)) for folders in inner for name in folders}) > 1
        and not any(folder in layout.images for folder in layout.classes)
    )


def _is_empty(tree: FileTree, folder: str) -> bool:
    return not any(names for inner, names in tree.names.items() if is_below(inner, folder))
