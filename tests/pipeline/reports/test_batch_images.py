import numpy as np
import pytest
from PIL import Image

from retinue.pipeline.reports.batch_images import write_batch_images
from retinue.tasks.classification.draw import caption

CLASSES = ("cat", "dog", "eel")


def test_caption_of_one_label():
    assert caption(np.array([0, 1, 0], np.float32), CLASSES, False) == "dog"
    assert caption([0.3, 0.7, 0], CLASSES, False) == "70% dog, 30% cat"
    assert caption([0.002, 0, 0.998], CLASSES, False) == "eel"


def test_caption_of_several_labels():
    assert caption([1, 0, 1], CLASSES, True) == "cat, eel"
    assert caption([0.3, 0, 1], CLASSES, True) == "30% cat, eel"
    assert caption([0, 0, 0], CLASSES, True) == "no label"


def written(path, images, captions):
    write_batch_images(path, images, captions)
    return np.asarray(Image.open(path)).astype(int)


def colored(sheet, color):
    """Height and width in pixels of the part with this color."""
    matches = np.abs(sheet - color).max(axis=2) < 20
    return matches.any(axis=1).sum(), matches.any(axis=0).sum()


@pytest.mark.parametrize("side, shown", [(32, 256), (160, 160), (224, 224), (300, 256)])
def test_images_are_shown_pixel_for_pixel_where_they_fit(tmp_path, side, shown):
    sheet = written(tmp_path / "batch.jpg", np.full((1, side, side, 3), (200, 40, 40), np.uint8), ["a" * 300])
    assert sheet.shape[1] == 256 + 2 * 8 and sheet.shape[0] > shown
    assert np.abs(np.array(colored(sheet, (200, 40, 40))) - shown).max() <= 2  # JPEG blurs edges
    assert [path.name for path in tmp_path.iterdir()] == ["batch.jpg"]


def test_at_most_sixteen_four_in_a_row(tmp_path):
    images = np.full((20, 64, 64, 3), 60, np.uint8)
    images[5] = 160  # second row, second column
    images[16:] = (200, 0, 0)
    sheet = written(tmp_path / "batch.jpg", images, ["a class"] * 20)
    rows, columns = np.nonzero(np.abs(sheet - 160).max(axis=2) < 8)
    height = (sheet.shape[0] - 8) // 4
    assert sheet.shape[1] == 4 * 264 + 8
    assert (np.median(rows) // height, np.median(columns) // 264) == (1, 1)
    assert colored(sheet, (200, 0, 0)) == (0, 0)


def test_the_longest_caption_sets_the_lines_of_all(tmp_path):
    images = np.zeros((2, 64, 64, 3), np.uint8)
    one = written(tmp_path / "one.jpg", images, ["cat", ""])
    two = written(tmp_path / "two.jpg", images, ["cat", "70% golden retriever, 30% Siberian husky"])
    assert one.shape[0] < two.shape[0] and one.shape[1] == two.shape[1]
