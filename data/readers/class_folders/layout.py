"""Where the class folders of a source are: in the source or deeper, below split folders or above them."""

import os
import re
from collections import Counter
from dataclasses import dataclass, field

from retinue.data.readers.clips.frame_folders import FrameFolders, find_frame_folders
from retinue.data.readers.file_tree import FileTree, is_below
from retinue.data.readers.folders import assign_splits
from retinue.data.readers.masks.pairs import find_mask_pairs
from retinue.data.storage.file_names import looks_like_image, split_of_name

# A folder with one of these files, of any suffix, is a repository. Its images in these folders are not data.
REPOSITORY_FILES = ("readme", "license", "requirements", "setup", "pyproject", "makefile", "dockerfile")
CODE_SUFFIXES = (".py", ".ipynb", ".sh", ".m")  # with one of these, it is one, too
REPOSITORY_FOLDERS = (
    *("doc", "docs", "documentation", "assets", "media", "static", "figures", "figure", "figs", "screenshots"),
    *("src", "scripts", "notebooks", "examples", "example", "demo", "demos", "readme", "paper", "results", "outputs"),
    *("tests", "tools", "utils", "app", "web", "frontend", "backend", "templates"),
)
# Words in the names of folders of images that are not classes.
COLLECTION_WORDS = (
    *("image", "images", "img", "imgs", "jpegimages", "photo", "photos", "input", "inputs", "frame", "frames"),
    *("rgb", "jpg", "jpeg", "png", "data", "dataset", "datasets", "dir", "folder", "all", "pics"),
)
NAMES_WITHOUT_LABEL = ("unlabeled", "unlabelled", "unsup", "unannotated", "not_labeled", "no_label", "nolabel")

_WORD = re.compile(r"[^\W\d_]+")


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
        unlabeled: Folders of images without a class, of val or test or by their names.
        splits_inside: Whether each class folder holds the folders of the splits.
        frames: The folders of frames below the class folders, None if there are none.
    """

    root: str = ""
    parents: dict[str, str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    images: dict[str, list[str]] = field(default_factory=dict)
    below: Counter[str] = field(default_factory=Counter)
    num_masks: int = 0
    unlabeled: list[str] = field(default_factory=list)
    splits_inside: bool = False
    frames: FrameFolders | None = None


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
    layout.parents = {split: _unwrap(tree, layout, folder, split) for split, folder in splits.items()}
    layout.parents = layout.parents or {"": layout.root}
    _find_classes(tree, layout)
    layout.frames = _frame_folders(layout)
    return layout


def folders_above(folder: str) -> list[str]:
    """Return every folder above a folder of a `FileTree`, the root first."""
    parts = folder.split(os.sep) if folder else []
    return [os.sep.join(parts[:count]) for count in range(len(parts))]


def layout_path(tree: FileTree, layout: ClassLayout) -> str:
    """Return the path of the folder with the class folders, for messages."""
    return tree.path(layout.root) if layout.root else tree.root


def filled_classes(layout: ClassLayout) -> list[str]:
    """Return the class folders that hold images, at any depth."""
    return [folder for folder in layout.classes if layout.below[folder]]


def is_collection(name: str) -> bool:
    """Return whether a folder's name tells that it holds images, as opposed to those of a class."""
    if name.lower() == "x":  # the folder of the inputs beside "y"
        return True
    words = [word for word in _WORD.findall(name.lower()) if not split_of_name(word)]
    return bool(words) and all(word in COLLECTION_WORDS for word in words)


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
    if not _is_repository(tree.names[folder]) and not _has_folder_of_code(tree, folder):
        return inner
    inner = [name for name in inner if os.path.basename(name).lower() not in REPOSITORY_FOLDERS] or inner
    # Beside folders of folders, one such as images holds those of the documentation.
    deep = [name for name in inner if any(layout.below[below] for below in tree.subfolders(name))]
    return [name for name in inner if name in deep or not is_collection(os.path.basename(name))] if deep else inner


def _has_folder_of_code(tree: FileTree, folder: str) -> bool:
    """Return whether a folder such as src, directly in this one, holds code."""
    named = [name for name in tree.subfolders(folder) if os.path.basename(name).lower() in REPOSITORY_FOLDERS]
    return any(True for name in named for _ in tree.files(CODE_SUFFIXES, name))


def _is_repository(names: list[str]) -> bool:
    stems = [os.path.splitext(name.lower()) for name in names]
    return any(stem in REPOSITORY_FILES or suffix in CODE_SUFFIXES for stem, suffix in stems)


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


def _unwrap(tree: FileTree, layout: ClassLayout, folder: str, split: str) -> str:
    """Return the folder of the classes of a split, which may lie one folder down, as in seg_train/seg_train."""
    inner = [name for name in tree.subfolders(folder) if layout.below[name]]
    if len(inner) != 1 or folder in layout.images:
        return folder
    name = os.path.basename(inner[0])
    is_wrapper = name == os.path.basename(folder) or split_of_name(name) == split or is_collection(name)
    has_classes = any(layout.below[deeper] for deeper in tree.subfolders(inner[0]))
    return inner[0] if is_wrapper and has_classes else folder


def _find_classes(tree: FileTree, layout: ClassLayout) -> None:
    """Fill in the class folders: those with images, and empty ones. Others hold annotations or code."""
    of_split = {
        split: [name for name in tree.subfolders(parent) if layout.below[name] or _is_empty(tree, name)]
        for split, parent in layout.parents.items()
    }
    trained = {os.path.basename(folder) for folder in of_split.get("train", ())}
    for split in ("val", "test"):
        names = [os.path.basename(folder) for folder in of_split.get(split, ())]
        if trained and len(names) == 1 and names[0] not in trained and (split == "test" or is_collection(names[0])):
            layout.unlabeled += of_split.pop(split)
    layout.classes = [folder for folders in of_split.values() for folder in folders]
    without_label = [name for name in layout.classes if os.path.basename(name).lower() in NAMES_WITHOUT_LABEL]
    layout.unlabeled += without_label
    layout.classes = [folder for folder in layout.classes if folder not in without_label]
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


def _frame_folders(layout: ClassLayout) -> FrameFolders | None:
    """Return the folders of frames below the class folders, or below the splits in them; None if there are none."""
    parents = set(layout.classes)
    if layout.splits_inside:
        parents = {folder for folder in layout.below if os.path.dirname(folder) in parents}
    return find_frame_folders(layout.images, parents)
