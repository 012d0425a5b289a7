"""JSON files of labeling tools: which tool wrote one, from its beginning and its end, and reading one."""

import json
import os
import re
from typing import Any

from retinue.data.readers.file_tree import FileTree

HEAD, TAIL = 8192, 2048  # bytes that are looked at
MAX_SAMPLES = 50  # files of a folder that are looked at

# What the beginning or the end of the files of each tool contains, as regular expressions.
SIGNS = (
    ("labelme", (rb'"shapes"\s*:', rb'"(imagePath|imageData|imageHeight|shape_type|line_?[cC]olor)"\s*:')),
    ("via", (rb'"_via_\w+"\s*:|"(region|shape|file)_attributes"\s*:',)),
    ("via 3", (rb'"(vid_list|loc_prefix)"\s*:',)),
    ("createml", (rb"^\s*\[\s*\{", rb'"annotations?"\s*:', rb'"coordinates"\s*:')),
    ("Datumaro", (rb'"categories"\s*:\s*\{', rb'"items"\s*:\s*\[')),
    ("label studio", (rb"^\s*[\[{]", rb'"(completions|annotations)"\s*:\s*\[\s*(\]|\{[\s\S]*"result")')),
    ("label studio", (rb"^\s*\[\s*\{", rb'"(annotation_id|lead_time|original_width)"\s*:')),
    ("Supervisely", (rb'"classTitle"\s*:',)),
    ("VoTT", (rb'"assets?"\s*:', rb'"(visitedAssets|securityToken|videoSettings|state)"\s*:')),
    ("VoTT", (rb'"assets"\s*:\s*\{', rb'"boundingBox"\s*:')),
    ("Labelbox", (rb'"(data_row|DataRow ID|Labeled Data)"\s*:',)),
    ("V7 Darwin", (rb'"schema_ref"\s*:\s*"[^"]*darwin',)),
    ("Datumaro", (rb'"(dm_format_version|media_type)"\s*:', rb'"(items|categories)"\s*:')),
    ("FiftyOne", (rb'"classes"\s*:\s*\[', rb'"labels"\s*:\s*\{', rb'"bounding_box"\s*:')),
    ("FiftyOne", (rb'"samples"\s*:\s*\[', rb'"(filepath|_cls)"\s*:')),
    ("SageMaker Ground Truth", (rb'"source-ref"\s*:',)),
    ("CrowdHuman (odgt)", (rb'"ID"\s*:', rb'"gtboxes"\s*:')),
    ("xView", (rb'"bounds_imcoords"\s*:',)),
    ("Mapillary's traffic signs", (rb'"objects"\s*:', rb'"ispano"\s*:')),
    ("Tsinghua-Tencent 100K", (rb'"imgs"\s*:\s*\{', rb'"bbox"\s*:\s*\{\s*"[xy]m')),
    ("DeepFashion2", (rb'"item1"\s*:\s*\{', rb'"bounding_box"\s*:')),
    ("TuSimple (lanes)", (rb'"h_samples"\s*:', rb'"raw_file"\s*:')),
    (
        "COCO's results",
        (rb"^\s*\[\s*\{", rb'"image_id"\s*:', rb'"score"\s*:', rb'"category_id"\s*:'),
    ),
    ("Scalabel or BDD100K", (rb'"(box2d|poly2d)"\s*:',)),
    ("SuperAnnotate", (rb'"instances"\s*:', rb'"className"\s*:')),
    ("Cityscapes", (rb'"imgHeight"\s*:', rb'"objects"\s*:')),
)


def json_kind(path: str) -> str:
    """Return the tool that wrote a JSON file, as in `SIGNS`, or "" for none of them."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD).removeprefix(b"\xef\xbb\xbf")
            file.seek(max(os.fstat(file.fileno()).st_size - TAIL, len(head)))
            content = head + file.read(TAIL)
    except OSError:
        return ""
    if content.lstrip()[:1] not in (b"{", b"["):
        return ""
    return next((kind for kind, signs in SIGNS if all(re.search(sign, content) for sign in signs)), "")


def json_files(tree: FileTree, *kinds: str) -> list[str]:
    """Return the JSON files of some tools. In a folder of very many, only some are looked at.

    Args:
        tree: The folder.
        kinds: The tools, as in `SIGNS`.
    """
    paths = []
    for folder, names in tree.names.items():
        found = [name for name in names if name.lower().endswith(".json")]
        step = max(1, len(found) // MAX_SAMPLES)
        paths += [path for name in found[::step] if json_kind(path := tree.path(folder, name)) in kinds]
    return paths


def load_json(path: str) -> Any:
    """Return the content of a JSON file.

    Raises:
        OSError: It can't be read.
        ValueError: It is not JSON.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def describe_json_error(error: Exception) -> str:
    """Return what prevents a JSON file from being read, with the cure."""
    if isinstance(error, OSError):
        return f"this file can't be read ({error.strerror}); check its permissions"
    if isinstance(error, UnicodeDecodeError):
        return f"this file is not UTF-8 (byte {error.start}); save it as UTF-8"
    return f"this is not JSON ({error}); export the annotations again"
