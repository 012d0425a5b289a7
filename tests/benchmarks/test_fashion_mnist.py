import gzip

import cv2
import numpy as np
import pytest

from retinue.benchmarks.fashion_mnist import CLASSES, read_fashion_mnist, write_class_folders
from retinue.configs.errors import RetinueError, UsageError


@pytest.fixture
def source(tmp_path):
    """The four files with three images each: labels 0, 9, 9."""
    for stem, first in (("train", 0), ("t10k", 100)):
        images = np.arange(first, first + 3, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
        head = bytes([0, 0, 8, 3]) + np.array([3, 28, 28], ">i4").tobytes()
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        head = bytes([0, 0, 8, 1]) + np.array([3], ">i4").tobytes()
        (tmp_path / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + bytes([0, 9, 9])))
    return tmp_path


def test_class_folders_hold_the_images_under_their_labels(source):
    write_class_folders(read_fashion_mnist(source), source / "out")
    files = {str(path.relative_to(source / "out")) for path in (source / "out").rglob("*.png")}
    names = ("t-shirt/00000.png", "ankle boot/00001.png", "ankle boot/00002.png")
    assert files == {f"{split}/{name}" for split in ("train", "test") for name in names}
    assert {path.name for path in (source / "out" / "train").iterdir()} == set(CLASSES)
    image = cv2.imread(str(source / "out" / "test" / "ankle boot" / "00002.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(image, np.full((28, 28), 102, np.uint8))
    with pytest.raises(UsageError, match="exists already"):
        write_class_folders(read_fashion_mnist(source), source / "out")


def test_files_that_are_missing_or_broken(source):
    path = source / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for content in (
        b"",
        whole[:-20],
        gzip.compress(b"\0\0\x08\x01" + bytes(20)),
        gzip.compress(gzip.decompress(whole)[:-1]),
    ):
        path.write_bytes(content)
        with pytest.raises(RetinueError, match="train-images-idx3-ubyte.gz: not a whole IDX file"):
            read_fashion_mnist(source)
    path.unlink()
    with pytest.raises(RetinueError, match="no such file; `apt install dataset-fashion-mnist`"):
        read_fashion_mnist(source)
