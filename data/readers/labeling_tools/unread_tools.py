"""Formats of labeling tools and well-known data sets that are recognized, but not read: named, with the way out."""

import os
import re
from collections.abc import Iterable

from retinue.data.dataset import Dataset
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.json_files import json_files, json_kind
from retinue.data.readers.labeling_tools.text_formats import text_kind

RESULTS = "COCO's results"
CURE_OF_RESULTS = "put the COCO file beside it that has the images, too"
TOOLS = (
    *("Supervisely", "VoTT", "Labelbox", "V7 Darwin", "Datumaro", "Scalabel or BDD100K", "SuperAnnotate"),
    *("Cityscapes", "FiftyOne", "SageMaker Ground Truth", "CrowdHuman (odgt)", "xView", "Mapillary's traffic signs"),
    *("Tsinghua-Tencent 100K", "DeepFashion2", "TuSimple (lanes)", RESULTS),
)
JSON_SUFFIXES = (".ndjson", ".jsonl", ".odgt", ".geojson", ".manifest")  # besides .json
# Programs that read a format and write COCO.
CONVERTERS = {
    **dict.fromkeys(("KITTI", "Scalabel or BDD100K", "FiftyOne"), "FiftyOne"),
    **dict.fromkeys(("Datumaro", "VoTT", "WIDER FACE", "MOT", "ICDAR"), "Datumaro"),
}
MAX_SAMPLES = 3  # text and XML files of a folder that are looked at
HEAD = 1024  # bytes of an XML file
XML_ROOTS = ((re.compile(rb"<\s*sequence[\s>]"), "UA-DETRAC"), (re.compile(rb"<\s*HRSC_Image\b"), "HRSC2016"))
SVHN = "digitstruct.mat"


def explain(tree: FileTree) -> list[Explanation]:
    """Return an explanation with a problem for each of these formats that files of a source have."""
    kinds = dict(_kinds_of_files(tree))
    return [
        _explanation(tree.root, [path for path in kinds if kinds[path] == kind], kind, tree)
        for kind in dict.fromkeys(kinds.values())
    ]


def explain_file(path: str) -> Explanation | None:
    """Return an explanation with a problem for a file of one of these formats, None for another file."""
    kind = _kind(path)
    return _explanation(path, [path], kind, None) if kind else None


def _kinds_of_files(tree: FileTree) -> Iterable[tuple[str, str]]:
    """Yield the files of these formats with their formats. Only some files of a folder of many are looked at."""
    for path in json_files(tree, *TOOLS):
        yield path, json_kind(path)
    for folder, names in tree.names.items():
        for suffixes in ((".txt",), (".xml",), JSON_SUFFIXES, (".mat",)):
            found = [name for name in names if name.lower().endswith(suffixes)]
            for name in found[:: max(1, len(found) // MAX_SAMPLES)]:
                path = tree.path(folder, name)
                kind = _kind(path)
                if kind:
                    yield path, kind


def _kind(path: str) -> str:
    """Return the format of a file, "" for none of these."""
    name = os.path.basename(path).lower()
    if name.endswith(".txt"):
        return text_kind(path)
    if name.endswith((".json", *JSON_SUFFIXES)):
        kind = json_kind(path)
        return kind if kind in TOOLS else ""
    if name.endswith(".xml"):
        return _xml_kind(path)
    return "SVHN (digitStruct.mat)" if name == SVHN else ""


def _xml_kind(path: str) -> str:
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:
        return ""
    return next((kind for root, kind in XML_ROOTS if root.search(head)), "")


def _explanation(source: str, paths: list[str], kind: str, tree: FileTree | None) -> Explanation:
    """Return the explanation with the problem; `tree` is that of the source, None if the source is a file."""
    converter = f" (for example with {CONVERTERS[kind]})" if kind in CONVERTERS else ""
    problem = (
        f"{paths[0]}: these are annotations of {kind}, which are not read; export or convert them to COCO{converter}, "
        "or list the boxes in a CSV with the columns file,label,x1,y1,x2,y2"
    )
    if kind == RESULTS:
        problem = f"{paths[0]}: this is a list of detections without their images; {CURE_OF_RESULTS}"

    def read(options: ReadOptions) -> Dataset:
        raise AssertionError(problem)  # nobody reads what has a problem

    tasks = ("detection", "segmentation", "classification")
    images = tree.image_paths if tree else frozenset()
    return Explanation(kind, tasks, source, images, os.path.basename(paths[0]), read, len(paths), problem=problem)
