"""Images of bright disks and squares on a dark ground, with their masks: a segmentation that a tiny model can learn."""

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("background", "disk", "square")
SIZES = ((64, 96), (70, 64), (96, 64), (64, 64))  # (height, width), taken in turn


def make_folder(folder: str | Path, count: int = 12) -> Path:
    """Write a data set: images/, masks/ and classes.txt. In the masks, objects have a void outline.

    Args:
        folder: where to write it.
        count: number of images.

    Returns:
        The folder.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number in range(count):
        image, mask = scene(SIZES[number % len(SIZES)], number)
        Image.fromarray(image).save(folder / "images" / f"photo {number:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"photo {number:02d}.png")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return folder


def scene(size: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image.

    Args:
        size: (height, width) in pixels.
        seed: of the positions, radii and noise.

    Returns:
        (image uint8 [h, w, 3], class ids uint8 [h, w], 255 for void).
    """
    random, (height, width) = np.random.default_rng(seed), size
    rows, columns = np.mgrid[:height, :width]
    mask = np.zeros(size, np.uint8)
    image = random.normal(60, 12, (height, width, 3))
    for label, color in ((1, (220, 80, 60)), (2, (60, 90, 220))):
        y, x = random.uniform(0.2, 0.8, 2) * size
        radius = random.uniform(0.15, 0.25) * min(size)
        distance = np.hypot(rows - y, columns - x) if label == 1 else np.maximum(abs(rows - y), abs(columns - x))
        inside = distance < radius
        image[inside] = random.normal(color, 12, (inside.sum(), 3))
        mask[inside] = label
        mask[(distance >= radius) & (distance < radius + 1)] = 255
    return np.clip(image, 0, 255).astype(np.uint8), mask
