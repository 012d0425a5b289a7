"""Detections as COCO's results: one JSON list, with the ids that the annotations have.

https://cocodataset.org/#format-results
"""

import json
import os
from collections import Counter

from retinue.data.storage.atomic_files import atomic_path


def write_coco_results(path, read, category_ids=None, image_ids=None):
    """Write `[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}, ...]` to `path`, line by line.

    read: gives an iterable of dicts as in `predictions.jsonl`, anew at each call. category_ids: {class name: id}, by
    default 1, 2, ... in the order in which classes are met. image_ids: {absolute path: id}; others by `image_id`, or
    by their path where several have the same.
    """
    category_ids, image_ids, numbered = category_ids or {}, image_ids or {}, {}
    shared = Counter(image_id(line["file"]) for line in read())
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as results:
        results.write("[")
        separator = "\n"
        for line in read():
            own = image_id(line["file"])
            image = image_ids.get(os.path.abspath(line["file"]), own if shared[own] == 1 else line["file"])
            for found in line["detections"]:
                name, (x1, y1, x2, y2) = found["label"], found["box"]
                category = category_ids[name] if category_ids else numbered.setdefault(name, len(numbered) + 1)
                box = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
                entry = {"image_id": image, "category_id": category, "bbox": box, "score": found["score"]}
                results.write(separator + json.dumps(entry))
                separator = ",\n"
        results.write("\n]\n")


def image_id(file):
    """The number that a file's name is, as COCO names its pictures (000000000139.jpg is 139), else the name itself."""
    stem = os.path.splitext(os.path.basename(file))[0]
    return int(stem) if stem.isascii() and stem.isdigit() else stem
