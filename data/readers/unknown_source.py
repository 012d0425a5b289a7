"""What is answered about a source of which nothing is understood: what was seen, what is missing, what would work."""

import os
import re
import shlex
from collections import Counter
from collections.abc import Collection, Sequence

from retinue.data.readers.archives import unpack_first
from retinue.data.readers.class_folders.layout import ClassLayout, filled_classes, is_collection
from retinue.data.readers.file_tree import FileTree
from retinue.data.storage.file_names import IMAGE_SUFFIXES, VIDEO_SUFFIXES

# Files that may hold labels.
TEXT_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".txt", ".yaml", ".yml", ".arff", ".lst")
BINARY_SUFFIXES = (".tfrecord", ".record", ".tfrecords", ".mat", ".npy", ".npz", ".pkl", ".h5", ".hdf5", ".parquet")
SHEET_SUFFIXES = (".xlsx", ".xls", ".ods")
LABEL_SUFFIXES = TEXT_SUFFIXES + BINARY_SUFFIXES + SHEET_SUFFIXES
TABLE_SUFFIXES = (".csv", ".tsv")
# Words in the names of files with labels, the likeliest first.
LABEL_WORDS = ("label", "attr", "annot", "class", "categor", "truth", "target", "meta", "gt", "train", "list")
NO_LABELS = re.compile(r"submission|^readme|^licen[cs]e|^requirements|^package", re.IGNORECASE)  # in names of files
MAX_NAMED = 4  # folders and kinds of files
MAX_PEEKED = 20  # files that are opened
PEEK_BYTES = 65_536  # of a file are read to see whether it names the images
MIN_FIELDS = 2  # of names that may hold labels; the number of an image is another
MOST = 0.9  # of the names of a folder begin with a label

# A name with a label and a number, which a separator or a change from letters to digits divides.
_LABEL_AND_NUMBER = re.compile(r"(.*[^\W_])[ ._-]+\(?\d+\)?|(.*[^\W\d_])\(?\d+\)?")
_LETTER = re.compile(r"[^\W\d_]")
_FIELD_END = re.compile(r"[ ._-]")
_SED = (  # writes each such name, a comma and its label
    r"-e 's/^(.*[[:alnum:]])[ ._-]+[(]?[0-9]+[)]?[.][^.]+$/&,\1/p' -e t "
    r"-e 's/^(.*[[:alpha:]])[(]?[0-9]+[)]?[.][^.]+$/&,\1/p'"
)


def describe_unknown(tree: FileTree, layout: ClassLayout) -> str:
    """Return in one line what a source without class folders holds, what is missing, and which command would work."""
    count = layout.below[""]
    if not count:
        cure = unpack_first(tree)
        if cure:
            return f"{tree.root}: there are no images and no videos in it; {cure}"
        kinds = _kinds_of_files(tree)
        beside = f"; it holds {kinds}: copy the images beside them" if kinds else ""
        return (
            f"{tree.root}: there are no images and no videos in it; looked for "
            f"{' '.join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)} in folders that are named after the classes{beside}"
        )
    names = sorted({os.path.basename(folder) for folder in filled_classes(layout)})
    only = names[0] if len(names) == 1 and not is_collection(names[0]) else ""
    images = {folder: [os.path.splitext(name)[0] for name in found] for folder, found in layout.images.items()}
    return describe_unlabeled(tree, "image", images, only)


def describe_unlabeled(tree: FileTree, noun: str, stems: dict[str, list[str]], only_class: str = "") -> str:
    """Return in one line that the images or videos of a source have no labels, and how to give them some.

    Args:
        tree: The files of the source.
        noun: "image" or "video".
        stems: The names without suffixes of the images or videos of each folder.
        only_class: The name of the only folder that could be one of a class, or "".
    """
    count = sum(map(len, stems.values()))
    folders = [folder for folder in stems if folder]
    shown = ", ".join(folders[:MAX_NAMED]) + (", ..." if len(folders) > MAX_NAMED else "")
    where = f" in {shown}" if folders else ""
    missing = f"only one class folder, {only_class}" if only_class else "no class folders"
    kinds = _kinds_of_files(tree)
    seen = f", and no labels that are understood in its other files ({kinds})" if kinds else ""
    there = f"there is 1 {noun}" if count == 1 else f"there are {count:,} {noun}s"
    return f"{tree.root}: {there}{where} but {missing}{seen}; {_cure(tree, noun, stems)}"


def labels_in_names(stems: Sequence[str]) -> set[str]:
    """Return the labels that the names of a folder seem to begin with, as cat and dog in cat.0 and dog.1, or none.

    Args:
        stems: The names without suffixes.
    """
    matches = [match for stem in stems if (match := _LABEL_AND_NUMBER.fullmatch(stem))]
    labels = {match.group(1) or match.group(2) for match in matches}
    is_enough = len(matches) >= MOST * len(stems) and 1 < len(labels) <= len(stems) // 2
    return labels if is_enough and all(_LETTER.search(label) for label in labels) else set()


def _cure(tree: FileTree, noun: str, stems: dict[str, list[str]]) -> str:
    """Return how the images or videos can get labels: from their names, from a file, or by folders."""
    for folder, names in stems.items():
        labels = labels_in_names(names)
        if labels:
            return _cure_by_names(tree.path(folder) if folder else tree.root, names, sorted(labels))
    file = _file_with_labels(tree, {stem for names in stems.values() for stem in names})
    if file.lower().endswith(TABLE_SUFFIXES):
        return f"if the labels are in the table, name it instead: retinue check {shlex.quote(file)}"
    columns = f"list the {noun}s in a CSV with the columns file,label"
    if file:
        return f"if {file} holds the labels, {_way_to_open(file)}{columns}"
    example = next((names[0] for names in stems.values() if _have_fields(names)), "")
    if example:
        return f"if the labels are in the names (such as {example}), {columns}"
    suffix = "jpg" if noun == "image" else "mp4"
    example = os.path.join(tree.root, "cat", f"1.{suffix}")
    return f"give each class a folder of its own (as in {example}), or {columns}"


def _have_fields(stems: Sequence[str]) -> bool:
    """Return whether most names have the same number of fields, and a field has few values, as 25_0_1 has a 0."""
    fields = [_FIELD_END.split(stem) for stem in stems]
    length, count = Counter(map(len, fields)).most_common(1)[0]
    columns = list(zip(*(field for field in fields if len(field) == length), strict=True))
    few = [column for column in columns if 1 < len(set(column)) <= count // 3]
    return length > MIN_FIELDS and count >= MOST * len(stems) and bool(few)


def _cure_by_names(folder: str, stems: Sequence[str], labels: Sequence[str]) -> str:
    """Return that labels seem to be in the names of a folder, and the command that makes a table of them."""
    shown = f"{', '.join(labels[:3])}{', ...' if len(labels) > 3 else ''}"
    seen = f"the labels seem to be in the names of the files in {folder} ({shown})"
    if any(letter in stem for stem in stems for letter in ',"\n'):
        return f"{seen}: list them in a CSV with the columns file,label"
    path = shlex.quote(folder)
    command = f"(cd {path} && (echo file,label; ls | sed -nE {_SED}) > labels.csv)"
    table = shlex.quote(os.path.join(folder, "labels.csv"))
    return f"{seen}: if they are, write them into a table with {command} and then: retinue check {table}"


def _file_with_labels(tree: FileTree, stems: Collection[str]) -> str:
    """Return the path of the file that probably holds the labels, or "".

    Files that name images come first, then those whose own name tells that they hold labels.
    """
    files = [(folder, name) for folder, name in tree.files(LABEL_SUFFIXES) if not NO_LABELS.search(name)]
    files.sort(key=lambda item: (_rank(item[1]), item[0].count(os.sep), item))
    paths = [tree.path(folder, name) for folder, name in files[:MAX_PEEKED]]
    naming = [path for path in paths if _names_any(path, stems)]
    telling = [path for path in paths if _rank(os.path.basename(path)) < len(LABEL_WORDS)]
    tables = [path for path in paths if path.lower().endswith(TABLE_SUFFIXES)]
    return next(iter([*naming, *telling, *tables]), "")


def _rank(name: str) -> int:
    return next((index for index, word in enumerate(LABEL_WORDS) if word in name.lower()), len(LABEL_WORDS))


def _names_any(path: str, stems: Collection[str]) -> bool:
    """Return whether a text has the name of an image or a video in most of its first lines."""
    if not path.lower().endswith(TEXT_SUFFIXES):
        return False
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(PEEK_BYTES).splitlines()
    except OSError:
        return False
    known = set(stems)
    naming = sum(any(word in known or os.path.splitext(word)[0] in known for word in _words(line)) for line in lines)
    return naming * 2 > len(lines)


def _words(line: str) -> list[str]:
    return [os.path.basename(word) for word in re.split(r'[\s,;:"\'{}\[\]]+', line)]


def _way_to_open(file: str) -> str:
    """Return how a file is opened that is not a text, with the conjunction behind it."""
    if file.lower().endswith(".mat"):
        return "load it with scipy.io.loadmat and "
    if file.lower().endswith(SHEET_SUFFIXES):
        return "save it as CSV: "
    return ""


def _kinds_of_files(tree: FileTree) -> str:
    """Return the number of files of each kind that may hold labels, such as "2 .mat"."""
    counts = Counter(
        os.path.splitext(name)[1].lower() for _, name in tree.files(LABEL_SUFFIXES) if not NO_LABELS.search(name)
    )
    return ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common(MAX_NAMED))
