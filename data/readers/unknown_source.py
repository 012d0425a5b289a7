"""What is answered about a source of which nothing is understood: what was seen, what is missing, what would work."""

import os
import shlex
from collections import Counter

from retinue.data.readers.class_folders.layout import ClassLayout
from retinue.data.readers.file_tree import FileTree
from retinue.data.storage.file_names import IMAGE_SUFFIXES, VIDEO_SUFFIXES

# Files that may hold labels.
LABEL_SUFFIXES = (
    *(
        ".csv",
        ".tsv",
        ".json",
        ".jsonl",
        ".ndjson",
        ".xml",
        ".txt",
        ".yaml",
        ".yml",
        ".tfrecord",
        ".record",
        ".tfrecords",
    ),
    *(".mat", ".npy", ".npz", ".pkl", ".h5", ".hdf5", ".parquet", ".xlsx", ".xls", ".arff"),
)
TABLE_SUFFIXES = (".csv", ".tsv")
MAX_NAMED = 4  # folders and kinds of files


def describe_unknown(tree: FileTree, layout: ClassLayout) -> str:
    """Return in one line what a source without class folders holds, what is missing, and which command would work."""
    others = Counter(
        os.path.splitext(name)[1].lower() for _, name in tree.files(LABEL_SUFFIXES) if not _is_documentation(name)
    )
    files = ", ".join(f"{count:,} {suffix}" for suffix, count in others.most_common(MAX_NAMED))
    count = layout.below[""]
    if not count:
        beside = f"; it holds {files}: copy the images beside them" if files else ""
        return (
            f"{tree.root}: there are no images and no videos in it; looked for "
            f"{' '.join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)} in folders that are named after the classes{beside}"
        )
    folders = [folder for folder in layout.images if folder]
    shown = ", ".join(folders[:MAX_NAMED]) + (", ..." if len(folders) > MAX_NAMED else "")
    where = f" in {shown}" if folders else ""
    seen = f", and no labels that are understood in its other files ({files})" if files else ""
    tables = [tree.path(folder, name) for folder, name in tree.files(TABLE_SUFFIXES)]
    if tables:
        cure = f"if the labels are in the table, name it instead: retinue check {shlex.quote(tables[0])}"
    else:
        example = os.path.join(tree.root, "cat", "1.jpg")
        cure = (
            f"give each class a folder of its own (as in {example}), or list the images in a CSV with the columns "
            "file,label"
        )
    noun = "image" if count == 1 else "images"
    verb = "is" if count == 1 else "are"
    return f"{tree.root}: there {verb} {count:,} {noun}{where} but no class folders{seen}; {cure}"


def _is_documentation(name: str) -> bool:
    return os.path.splitext(name)[0].lower() in ("readme", "license", "requirements")
