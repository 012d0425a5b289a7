"""Unpack Fashion-MNIST (Xiao et al. 2017, arXiv 1708.07747) into class folders of PNG files that `retinue train` reads.

    sudo apt install dataset-fashion-mnist          # Debian and Ubuntu, 31 MB, MIT license
    python benchmarks/fashion_mnist.py fashion-mnist
    retinue train fashion-mnist --recipe lenet5-fashion-mnist

Without rights to install: `apt-get download dataset-fashion-mnist`, then `dpkg-deb -x dataset-fashion-mnist_*.deb DIR`,
and `--source DIR/usr/share/datasets/fashion-mnist`.
"""

import argparse
import gzip
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from retinue.configs.errors import RetinueError, UsageError

SOURCE = "/usr/share/datasets/fashion-mnist"
CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
SPLITS = {"train": "train", "test": "t10k"}


def read_fashion_mnist(source=SOURCE):
    """Give `{"train": (images, labels), "test": (images, labels)}`.

    Images are uint8 `[60000 or 10000, 28, 28]`, gray, light on black; labels int64, places in `CLASSES`.
    source: the folder with the four .gz files. Raises RetinueError for a file that is not there or not whole.
    """
    return {
        split: (
            _read_idx(Path(source) / f"{stem}-images-idx3-ubyte.gz", 3),
            _read_idx(Path(source) / f"{stem}-labels-idx1-ubyte.gz", 1).astype(np.int64),
        )
        for split, stem in SPLITS.items()
    }


def write_class_folders(data, folder):
    """Write what `read_fashion_mnist` gives as `folder/train/<class>/00000.png`; the folder appears whole."""
    folder = Path(folder)
    if folder.exists():
        raise UsageError(f"{folder}: exists already; give another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        whole = Path(scratch) / folder.name
        for split, (images, labels) in data.items():
            for name in CLASSES:
                (whole / split / name).mkdir(parents=True)
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
                (whole / split / CLASSES[label] / f"{number:05}.png").write_bytes(encoded.tobytes())
        whole.rename(folder)


def _read_idx(path, dimensions):
    """An array of bytes in the IDX format: 0, 0, 8 (bytes), the number of dimensions, each as a big-endian int."""
    try:
        content = gzip.decompress(path.read_bytes())
        shape = np.frombuffer(content, ">i4", dimensions, 4)
        if content[:4] != bytes([0, 0, 8, dimensions]):
            raise ValueError("it does not start as one")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except FileNotFoundError:
        raise RetinueError(f"{path}: no such file; `apt install dataset-fashion-mnist`, or give --source") from None
    except (OSError, EOFError, ValueError) as error:
        raise RetinueError(f"{path}: not a whole IDX file ({error}); get the package again") from None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="where train/ and test/ go; must not exist yet")
    parser.add_argument("--source", default=SOURCE, help="folder of the four .gz files  [%(default)s]")
    options = parser.parse_args()
    try:
        write_class_folders(read_fashion_mnist(options.source), options.folder)
    except RetinueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
