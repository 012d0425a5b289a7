"""Small detection data on disk, for the tests of readers, check and split."""

import json

import numpy as np
from PIL import Image


def photo(path, size=(100, 80), orientation=1):
    """A picture of noise of `size`, width and height as stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    seed = sum(str(path).encode())
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def coco(path, images, annotations, categories=((1, "cat"), (7, "dog"))):
    """A COCO file. images: (id, file name); annotations: (id, image id, category id, bbox) and what else they have."""
    content = {
        "images": [{"id": number, "file_name": name, "height": 80, "width": 100} for number, name in images],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": box} | dict(*more)
            for number, image, category, box, *more in annotations
        ],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
