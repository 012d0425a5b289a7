"""Which kind of annotations tables hold, and the reader for it: labels, boxes, masks or clips."""

import os
from collections.abc import Callable, Mapping, Sequence

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import Finding
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.image_lists.listed_images import list_paths
from retinue.data.readers.image_lists.splits import with_official_splits
from retinue.data.readers.tables import boxes_csv, clips_csv, labels_csv, masks_csv
from retinue.data.readers.tables.columns import plain
from retinue.data.readers.tables.files import FileFinder
from retinue.data.readers.tables.header import understand
from retinue.data.readers.tables.layout import (
    BOXES,
    CLIPS,
    LABELS,
    MASKS,
    OBJECTS,
    ONE_HOT,
    TableLayout,
    check_column_names,
)
from retinue.data.readers.tables.table import Table, TableGroup
from retinue.data.readers.tables.text import TABLE_SUFFIXES, TableText

TASKS = {
    LABELS: "classification",
    ONE_HOT: "classification",
    BOXES: "detection",
    OBJECTS: "detection",
    MASKS: "segmentation",
    CLIPS: "video",
}
FORMATS = {
    LABELS: labels_csv.FORMAT,
    ONE_HOT: labels_csv.FORMAT,
    BOXES: boxes_csv.FORMAT,
    OBJECTS: boxes_csv.FORMAT,
    MASKS: masks_csv.FORMAT,
    CLIPS: clips_csv.FORMAT,
}
READERS = {
    LABELS: labels_csv.read_labels_csv,
    ONE_HOT: labels_csv.read_labels_csv,
    BOXES: boxes_csv.read_boxes_csv,
    OBJECTS: boxes_csv.read_boxes_csv,
    MASKS: masks_csv.read_masks_csv,
    CLIPS: clips_csv.read_clips_csv,
}
OTHER_TOOLS = ("regionshapeattributes", "regionattributes")  # columns of tables that have a reader of their own
# Formats of which such tables are usually copies, written by a converter.
REPEATS = {
    BOXES: ("voc", "coco", "yolo", "labelme", "via", "cvat", "label studio", "createml", "tfrecord", "keras-yolo"),
    MASKS: ("voc", "mask folders"),
}


def is_of_other_tool(layout: TableLayout) -> bool:
    """Return whether a table has a reader of its own, such as those of the VGG Image Annotator."""
    return any(plain(name) in OTHER_TOOLS for name in layout.header)


def is_table_name(name: str) -> bool:
    """Return whether a file name has the ending of a table."""
    return name.lower().endswith(TABLE_SUFFIXES)


def explain_file(path: str, columns: Mapping[str, str] | None = None) -> Explanation | None:
    """Return what a table explains, if the file is one.

    Args:
        path: The file.
        columns: The header's name of columns, by our own names, as the user gave them.

    Raises:
        UsageError: `columns` names a column that no table has.
    """
    if not is_table_name(path):
        return None
    named = columns or {}
    check_column_names(named)
    finder = FileFinder()
    try:
        text = TableText(path)
        layout = understand(text, named, lambda names: finder.count(path, names))
    except RetinueError as error:
        tasks = tuple(dict.fromkeys(TASKS.values()))
        return Explanation("table", tasks, path, frozenset(), path, _refuse, problem=str(error))

    if is_of_other_tool(layout):
        return None

    def read(options: ReadOptions) -> Dataset:
        dataset = read_tables(path, [layout], finder, [""])
        beside = list_paths(FileTree(os.path.dirname(path) or os.curdir, depth=0))
        return with_official_splits(dataset, [other for other in beside if not os.path.samefile(other, path)])

    return explanation(path, layout.kind, frozenset(), path, read, layout.problem)


def explanation(
    source: str,
    kind: str,
    images: frozenset[str],
    labels: str,
    read: Callable[[ReadOptions], Dataset],
    problem: str = "",
    num_tables: int = 1,
) -> Explanation:
    """Return an explanation by tables of one kind."""
    return Explanation(
        FORMATS[kind],
        (TASKS[kind],),
        source,
        images,
        labels,
        read,
        num_annotations=num_tables,
        repeats=REPEATS.get(kind, ()),
        problem=problem,
    )


def read_tables(
    source: str,
    layouts: Sequence[TableLayout],
    finder: FileFinder,
    splits: Sequence[str],
    findings: Sequence[Finding] = (),
) -> Dataset:
    """Read tables of one kind into a dataset.

    Args:
        source: What the dataset is read from.
        layouts: Where the columns of each table are.
        finder: Finds their files.
        splits: The split of each table, "" for none.
        findings: What was noticed about the choice of the tables.
    """
    tables = [Table(layout, finder, split) for layout, split in zip(layouts, splits, strict=True)]
    return READERS[layouts[0].kind](TableGroup(source, tables, list(findings)))


def _refuse(options: ReadOptions) -> Dataset:
    raise AssertionError("an explanation with a problem is not read")
