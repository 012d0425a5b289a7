"""Where a source has XML files of Pascal VOC, and the images and the splits that belong to them."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from retinue.data.readers.coco.drawings import is_drawing_folder
from retinue.data.readers.file_tree import FileTree, is_below, tree_around
from retinue.data.readers.image_finder import ImageFinder
from retinue.data.readers.split_lists import read_split_lists
from retinue.data.readers.voc.file import is_voc_file, parse_voc_file, shape_instead_of_boxes
from retinue.data.storage.file_names import looks_like_image

MAX_PROBES = 5  # XML files of a folder that are looked at


@dataclass(frozen=True)
class VocPart:
    """A folder with XML files of Pascal VOC.

    Attributes:
        tree: The tree of the folder and its images.
        folder: The folder, relative to the root of the tree.
        xml_of: The name of the XML file of each image, by the image's name without suffix.
        image_of: The folder and the name of each image that has the name of an XML file, by the name without suffix.
        split_of: The split of each image that a list names, "" for none; empty where there are no lists.
        named_folders: The folders of images that only the contents of XML files name.
        shape: What the objects have in place of boxes, see `shape_instead_of_boxes`; "" for boxes.
    """

    tree: FileTree
    folder: str
    xml_of: dict[str, str]
    image_of: dict[str, tuple[str, str]] = field(default_factory=dict)
    split_of: dict[str, str] = field(default_factory=dict)
    named_folders: tuple[str, ...] = ()
    shape: str = ""

    def split(self, stem: str) -> str:
        """Return the split of an image: that of its list, or else that of the folder of its XML file or its own."""
        if self.split_of:
            return self.split_of.get(stem, "")
        return self.tree.split_of(self.folder) or self.tree.split_of(self.image_of.get(stem, ("", ""))[0])

    def image_folders(self) -> list[str]:
        """Return the folders of its images."""
        return list(dict.fromkeys([*(folder for folder, _ in self.image_of.values()), *self.named_folders]))


def find_voc_parts(tree: FileTree) -> list[VocPart]:
    """Return the folders of a source that have XML files of Pascal VOC, with their images and splits.

    The images have the names of the XML files and lie anywhere in the source, or beside a folder of annotations that is
    the source. What an XML file is, its content tells.
    """
    if not tree.image_paths and any(tree.files(".xml")):
        around = tree_around(tree.root)
        if around:
            inner = os.path.basename(os.path.abspath(tree.root))
            return _parts_in(around, inner)
    return _parts_in(tree, "")


def _parts_in(tree: FileTree, below: str) -> list[VocPart]:
    parts = []
    for folder, names in tree.names.items():
        files = [name for name in names if name.lower().endswith(".xml")]
        if not files or not is_below(folder, below):
            continue
        probes = [path for name in _probes(files) if is_voc_file(path := tree.path(folder, name))]
        if probes:
            shape = shape_instead_of_boxes(probes)
            parts.append(VocPart(tree, folder, {_image_stem(name): name for name in files}, shape=shape))
    _find_images(tree, parts)
    return [_with_lists(part) for part in parts]


def _find_images(tree: FileTree, parts: Sequence[VocPart]) -> None:
    """Find the images of each part: first those in the folder with most of them, then those that lie elsewhere."""
    drawings = {folder for folder in tree.images if is_drawing_folder(folder)}
    claimed: set[tuple[str, str]] = set()
    for part in parts:
        others = _folders_of_other_splits(tree, part.folder)
        best = tree.find_image_folder(part.folder, part.xml_of, others | drawings)
        best = best if best is not None else tree.find_image_folder(part.folder, part.xml_of, others)
        if best is not None:
            _take(part, best, set())
            claimed |= set(part.image_of.values())
    for part in parts:
        excluded = _folders_of_other_splits(tree, part.folder) | drawings | set(part.image_folders())
        while part.image_of:  # the images of one folder of XML files may lie in the folders of the splits
            missing = [stem for stem in part.xml_of if stem not in part.image_of]
            folder = tree.find_image_folder(part.folder, missing, excluded)
            if folder is None:
                break
            excluded.add(folder)
            _take(part, folder, claimed)


def _folders_of_other_splits(tree: FileTree, folder: str) -> set[str]:
    """Return the folders of images of another split than a folder of XML files, which has a split."""
    split = tree.split_of(folder)
    return {inner for inner in tree.images if split and tree.split_of(inner) not in ("", split)}


def _take(part: VocPart, folder: str, claimed: set[tuple[str, str]]) -> None:
    """Take the images of a folder that a part has no image for, without those of other parts."""
    for stem, name in part.tree.images[folder].items():
        if stem in part.xml_of and stem not in part.image_of and (folder, name) not in claimed:
            part.image_of[stem] = (folder, name)


def _with_lists(part: VocPart) -> VocPart:
    """Return a part with the splits of the nearest lists, and with the folders that its XML files name."""
    named: tuple[str, ...] = ()
    if not part.image_of:
        probes = [part.tree.path(part.folder, name) for name in _probes(list(part.xml_of.values()))]
        names = [name for path in probes if (name := parse_voc_file(path, path).image_name)]
        found = ImageFinder(part.tree).find(names, part.folder)
        named = tuple({os.path.relpath(os.path.dirname(path), part.tree.root) for path in found if path})
        named = tuple("" if folder == os.curdir else folder for folder in named)
    return dataclasses.replace(part, split_of=_read_lists(part), named_folders=named)


def _read_lists(part: VocPart) -> dict[str, str]:
    """Return the split of each image that the nearest lists name; lists of other images are passed over."""
    folder = part.folder
    while True:
        for lists in _list_folders(part.tree, folder):
            split_of = read_split_lists(part.tree.path(lists), part.xml_of)
            known = sum(stem in part.xml_of for stem in split_of)
            if known and (known * 2 >= len(split_of) or os.path.basename(lists).lower() in ("main", "imagesets")):
                return split_of
        if not folder:
            return {}
        folder = os.path.dirname(folder)


def _list_folders(tree: FileTree, folder: str) -> list[str]:
    """Return the folders that may hold the lists of a data set in a folder, the likeliest first."""
    sets = [inner for inner in tree.subfolders(folder) if os.path.basename(inner).lower() == "imagesets"]
    main = [inner for outer in sets for inner in tree.subfolders(outer) if os.path.basename(inner).lower() == "main"]
    return [*main, *sets, folder]


def _image_stem(name: str) -> str:
    """Return the name without suffix of the image of an XML file, which is named 1.xml or 1.jpg.xml."""
    stem = os.path.splitext(name)[0]
    return os.path.splitext(stem)[0] if looks_like_image(stem) else stem


def _probes(names: Sequence[str]) -> list[str]:
    """Return some of the names, spread over all of them."""
    step = max(1, len(names) // MAX_PROBES)
    return list(names[::step][:MAX_PROBES])
