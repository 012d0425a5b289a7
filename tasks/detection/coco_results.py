"""Detections in COCO's format for results: one JSON list, with the ids that the annotations have.

https://cocodataset.org/#format-results
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from retinue.configs.errors import UsageError
from retinue.data.storage.atomic_files import atomic_path, atomic_write


def write_coco_results(
    path: Path,
    read_lines: Callable[[], Iterable[Mapping[str, Any]]],
    category_ids: Mapping[str, int | str],
    image_ids: Mapping[str, int | str] | None = None,
) -> None:
    """Write `[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}, ...]`, one detection a line.

    Args:
        path: the file to write.
        read_lines: function that reads the lines of `predictions.jsonl` again at each call.
        category_ids: ids of the classes by name.
        image_ids: ids of images by absolute path. Other images have the id of `image_id`, or their path where several
            have the same.

    Raises:
        UsageError: two images have one id.
    """
    image_ids = image_ids or {}
    require_unique_ids((line["file"] for line in read_lines()), image_ids)
    given = set(image_ids.values())
    shared = Counter(image_id(line["file"]) for line in read_lines())
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as results:
        results.write("[")
        separator = "\n"
        for line in read_lines():
            by_name = image_id(line["file"])
            default = by_name if shared[by_name] == 1 and by_name not in given else line["file"]
            image = image_ids.get(os.path.abspath(line["file"]), default)
            for detection in line["detections"]:
                x1, y1, x2, y2 = detection["box"]
                box = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
                category = category_ids[detection["label"]]
                entry = {"image_id": image, "category_id": category, "bbox": box, "score": detection["score"]}
                results.write(separator + json.dumps(entry))
                separator = ",\n"
        results.write("\n]\n")


def require_unique_ids(files: Iterable[str], image_ids: Mapping[str, int | str]) -> None:
    """Raise UsageError if two of some files have one id, as images of two annotation files that both count from 1.

    Args:
        files: paths. They are only looked at if `image_ids` holds an id twice.
        image_ids: ids of images by absolute path.
    """
    counts = Counter(image_ids.values())
    repeated = {number for number, count in counts.items() if count > 1}
    if not repeated:
        return
    file_of: dict[int | str, str] = {}
    for file in files:
        path = os.path.abspath(file)
        number = image_ids.get(path)
        if number not in repeated or file_of.setdefault(number, path) == path:
            continue
        first, second = os.path.dirname(file_of[number]), os.path.dirname(path)
        part = f"for example {second}" if first != second else "listed in a text file, as @list.txt"
        raise UsageError(
            f"--format coco: {file_of[number]} and {path} both have the image id {json.dumps(number)}, since their "
            "annotation files number the images anew, and COCO's format could not tell their detections apart; give "
            f"the images of one annotation file alone ({part}), with an --out of its own, and then those of the other"
        )


def write_categories(path: Path, category_ids: Mapping[str, int | str]) -> None:
    """Write COCO's list of categories, `[{"id", "name"}, ...]`, which says what the ids in the results mean."""
    categories = [{"id": number, "name": name} for name, number in category_ids.items()]
    atomic_write(path, json.dumps(categories, indent=1, ensure_ascii=False) + "\n")


def image_id(file: str) -> int | str:
    """Return the number that a file's name is, as COCO names its images (000000000139.jpg is 139), else the name."""
    stem = os.path.splitext(os.path.basename(file))[0]
    return int(stem) if stem.isascii() and stem.isdigit() else stem
