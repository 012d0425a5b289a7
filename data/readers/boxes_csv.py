"""A table of boxes: a CSV with the columns `file,x1,y1,x2,y2,label`, and, if wanted, `split` and `group`."""

import difflib
import os
import unicodedata

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.dataset import Dataset
from retinue.data.finding import BAD, NOTE, Finding
from retinue.data.readers.labels_csv import and_more, file_path, records
from retinue.data.readers.objects import object_columns
from retinue.data.storage.file_names import SPLIT_NAMES

CORNERS = ("x1", "y1", "x2", "y2")
NEEDED = ("file", *CORNERS, "label")
OPTIONAL = ("split", "group")
OTHER_WORDS = {
    "file": ("filename", "file_name", "filepath", "path", "image", "image_path", "img"),
    "label": ("labels", "class", "class_name", "category", "name"),
    "x1": ("xmin", "left", "x_min"),
    "y1": ("ymin", "top", "y_min"),
    "x2": ("xmax", "right", "x_max"),
    "y2": ("ymax", "bottom", "y_max"),
}


def is_boxes_csv(path):
    """Whether the header of a table names the corners of boxes, by our names or by usual others."""
    _, header = next(records(path), (1, []))
    lower = {name.strip().lower() for name in header}
    return all(lower & {corner, *OTHER_WORDS[corner]} for corner in CORNERS)


def refuse_sides(path):
    """Raise UsageError for a table of boxes as corner and sides, which is none of ours."""
    _, header = next(records(path), (1, []))
    lower = {name.strip().lower() for name in header}
    if {"x", "y"} <= lower and ({"w", "h"} <= lower or {"width", "height"} <= lower):
        raise UsageError(
            f"{path}: its columns seem to be boxes as x, y, width, height; write their corners: "
            "file,x1,y1,x2,y2,label, where x2 is x + width"
        )


def read_boxes_csv(path):
    """Read a CSV of boxes, a line an object, into a `Dataset` for detection, images in the order of their first lines.

    x1, y1, x2, y2 are pixels of the upright picture, x2 and y2 exclusive. A line with a file and nothing else but a
    split and a group lists a picture, which has no objects unless other lines give it some. Paths are relative to the
    CSV's folder. A line with too few or too many values, without a file, or with a corner that is no number is a
    finding. Raises RetinueError with the line for what else can't be understood, and when no line is right.
    """
    path = os.fspath(path)
    lines = records(path)
    header_line, header = next(lines, (1, []))
    place = _places(path, [name.strip() for name in header], header_line)
    folder, images, objects, findings, wrong = os.path.dirname(path), {}, [], [], []
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        value = {name: cells[index].strip() if index < len(cells) else "" for name, index in place.items()}
        if len(cells) != len(header) or not value["file"]:
            wrong.append((line, f"{len(cells)} values for {len(header)} columns" if value["file"] else "no file"))
            item, reason = f"line {line}", f"line {line}: {wrong[-1][1]}"
            findings.append(Finding(BAD, "broken line", path, item, reason, "left out; fill it up, or take it out"))
            continue
        file = file_path(folder, value["file"])
        _note_image(path, images, file, value, line)
        if not any(value[name] for name in (*CORNERS, "label")):
            continue
        corners = [_number(value[name]) for name in CORNERS]
        if None in corners or not value["label"]:
            what = "it has no label" if value["label"] == "" else "not four numbers"
            item = f"line {line}"
            findings.append(Finding(BAD, "not a box", file, item, f"{item}: {what}", "left out; correct it"))
            continue
        objects.append((images[file]["row"], corners, unicodedata.normalize("NFC", value["label"]), line))
    if wrong and not images:
        line, what = wrong[0]
        raise RetinueError(f"{path} line {line}: {what}{and_more(wrong)}; fill it up, or take it out")
    if not any(map(os.path.exists, images)):
        first = next(iter(images), "none")
        raise RetinueError(
            f"{path}: none of its {len(images):,} files exists, the first would be {first}; "
            "paths are relative to the folder of the CSV"
        )
    unused = [name for index, name in enumerate(header) if index not in place.values()]
    findings += [
        Finding(NOTE, "unused column", path, name, f"the column {name} is not used", "passed over") for name in unused
    ]
    rows, boxes, names, numbers = zip(*objects, strict=True) if objects else ((),) * 4
    classes = sorted(set(names))
    label_of = {name: index for index, name in enumerate(classes)}
    places = [f"line {image['line']}" for image in images.values()]
    groups = [image["group"] for image in images.values()]
    return Dataset(
        task="detection",
        files=list(images),
        classes=classes,
        columns=object_columns(rows, boxes, [label_of[name] for name in names], numbers, list(images), place=places),
        splits=np.array([image["split"] for image in images.values()], dtype=object),
        groups=np.array(groups, dtype=object) if any(groups) else None,
        source=path,
        format="boxes csv",
        findings=tuple(findings),
    )


def _places(path, header, line):
    """{our column: its index}; raises RetinueError when one is missing."""
    lower = [name.lower() for name in header]
    for name in NEEDED:
        if lower.count(name) > 1:
            raise RetinueError(f"{path} line {line}: the column {name} is there twice; rename one of them")
        if name not in lower:
            near = [found for found in lower if found in OTHER_WORDS[name]]
            near = near or difflib.get_close_matches(name, lower, 1, 0.8)
            cure = (
                f"rename {header[lower.index(near[0])]} to {name}"
                if near
                else f"the first line must name {','.join(NEEDED)}"
            )
            raise RetinueError(f"{path} line {line}: the column {name} is missing (found: {', '.join(header)}); {cure}")
    return {name: lower.index(name) for name in (*NEEDED, *OPTIONAL) if name in lower}


def _note_image(path, images, file, value, line):
    """Put the file of a line into `images`; raises RetinueError when another line says another split or group."""
    split = value.get("split", "").lower()
    if split and split not in SPLIT_NAMES:
        raise RetinueError(f"{path} line {line}: unknown split {value['split']!r}; use train, val or test, or none")
    said = {"split": SPLIT_NAMES.get(split, ""), "group": value.get("group", "")}
    image = images.setdefault(file, said | {"row": len(images), "line": line})
    for name in OPTIONAL:
        if image[name] != said[name]:
            raise RetinueError(
                f"{path} line {line}: {file} has the {name} {said[name] or 'none'} here, "
                f"but {image[name] or 'none'} in line {image['line']}; make them the same"
            )


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None
