"""Measure how long reading an annotation file of the size of COCO train2017 takes, and how much memory.

    python benchmarks/coco_reading.py [--polygons]

Writes a file of 118,000 images and 860,000 boxes (with --polygons about as many numbers as COCO's masks have) into a
temporary folder and reads it. All images but one are missing; reading does not open them.

Seen on 2 cores (Python 3.11): 136 MB in 2.8 s and 0.30 GiB; with polygons 426 MB in 6.5 s and 0.83 GiB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES, BOXES, CLASSES = 118_000, 860_000, 80
POLYGON = 44  # numbers


def write(path, polygons):
    """The file, written piece by piece."""
    random = np.random.default_rng(0)
    image_of = random.integers(0, IMAGES, BOXES)
    corners = random.uniform(0, 400, (BOXES, 4)).round(2)
    with open(path, "w") as file:
        file.write('{"info": {}, "images": [')
        for number in range(IMAGES):
            entry = {"license": 3, "file_name": f"{number:012d}.jpg", "height": 480, "width": 640, "id": number}
            file.write((", " if number else "") + json.dumps(entry))
        file.write('], "annotations": [')
        for number, (image, box) in enumerate(zip(image_of.tolist(), corners.tolist(), strict=True)):
            shape = random.uniform(0, 600, POLYGON).round(2).tolist() if polygons else []
            entry = {"segmentation": [shape], "area": 702.1, "iscrowd": 0, "image_id": image, "bbox": box}
            entry |= {"category_id": number % CLASSES + 1, "id": number}
            file.write((", " if number else "") + json.dumps(entry))
        categories = [
            {"supercategory": "thing", "id": number + 1, "name": f"class {number}"} for number in range(CLASSES)
        ]
        file.write(f'], "categories": {json.dumps(categories)}}}')


def main():
    """Write, then read in a process of its own, whose memory is then that of reading."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polygons", action="store_true")
    parser.add_argument("--read", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        from retinue.data.readers.read import read

        start = time.perf_counter()
        data = read(arguments.read)
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        counts = f"{len(data):,} images, {len(data.columns['labels'].values):,} boxes"
        print(f"{counts}: {seconds:.1f} s, {memory:.2f} GiB at most")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instances.json"
        write(path, arguments.polygons)
        Image.new("RGB", (8, 8)).save(Path(folder) / f"{0:012d}.jpg")
        print(f"{path.stat().st_size / 1e6:,.0f} MB")
        subprocess.run([sys.executable, __file__, "--read", str(path)], check=True)


if __name__ == "__main__":
    main()
