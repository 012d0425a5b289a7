"""Labeling tools whose JSON files are recognized, but not read: they are named, with the way out."""

import os

from retinue.data.dataset import Dataset
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.json_files import json_files, json_kind

TOOLS = (
    *("Supervisely", "VoTT", "Labelbox", "V7 Darwin", "Datumaro", "Scalabel or BDD100K", "SuperAnnotate"),
    "Cityscapes",
)


def explain(tree: FileTree) -> list[Explanation]:
    """Return an explanation with a problem for each of these tools that wrote files of a source."""
    paths = json_files(tree, *TOOLS)
    kinds = {path: json_kind(path) for path in paths}
    return [
        _explanation(tree.root, first, kind, list(kinds.values()).count(kind))
        for kind in dict.fromkeys(kinds.values())
        if (first := next(path for path in paths if kinds[path] == kind))
    ]


def explain_file(path: str) -> Explanation | None:
    """Return an explanation with a problem for a file of one of these tools, None for another file."""
    kind = json_kind(path) if path.lower().endswith(".json") else ""
    return _explanation(path, path, kind, 1) if kind in TOOLS else None


def _explanation(source: str, path: str, kind: str, count: int) -> Explanation:
    problem = f"{path}: these are annotations of {kind}, which are not read; export or convert them to COCO"

    def read(options: ReadOptions) -> Dataset:
        raise AssertionError(problem)  # nobody reads what has a problem

    tasks = ("detection", "segmentation", "classification")
    return Explanation(kind, tasks, source, frozenset(), os.path.basename(path), read, count, problem=problem)
