"""The contact sheet: which images it shows, upright, and with their labels."""

import numpy as np
from PIL import Image

from retinue.data.checking.contact_sheet import contact_sheet
from retinue.data.checking.sheet_layout import CAPTION_HEIGHT, SMALL_TILES
from retinue.data.dataset import Dataset, Ragged

TILE = SMALL_TILES.tile


def color_at(sheet, column, row, dx=0, dy=0):
    """Return the mean color near the middle of a tile, moved by dx and dy."""
    x, y = column * TILE + TILE // 2 + dx, row * (TILE + CAPTION_HEIGHT) + TILE // 2 + dy
    return np.asarray(sheet.crop((x - 2, y - 2, x + 2, y + 2))).mean((0, 1))


def save(path, color, size=(40, 40), **options):
    Image.new("RGB", size, color).save(path, **options)
    return str(path)


def test_tiles_are_in_the_order_of_classes_with_captions(tmp_path):
    files = [save(tmp_path / f"{color}.png", color) for color in ("red", "lime", "blue")]
    sheet = contact_sheet(Dataset("classification", files, ["b", "a"], {"label": np.array([1, 0, 1])}))
    assert sheet.size == (3 * TILE, TILE + CAPTION_HEIGHT)
    assert [color_at(sheet, column, 0).tolist() for column in range(3)] == [[0, 255, 0], [255, 0, 0], [0, 0, 255]]
    captions = np.asarray(sheet.convert("L"))[TILE:]
    assert all(captions[:, column * TILE : (column + 1) * TILE].min() < 100 for column in range(3))


def test_images_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees clockwise to be upright: the left goes up
    image = Image.new("RGB", (80, 40), "red")
    image.paste("blue", (40, 0, 80, 40))
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    sheet = contact_sheet(Dataset("classification", [tmp_path / "a.jpg"], ["a"], {"label": np.array([0])}))
    assert color_at(sheet, 0, 0, dy=-50)[0] > 200 and color_at(sheet, 0, 0, dy=50)[2] > 200
    assert (color_at(sheet, 0, 0, dx=-60) == 255).all()  # now higher than wide


def test_unreadable_files_get_a_tile(tmp_path):
    files = [tmp_path / "broken.jpg", tmp_path / "deep.png", tmp_path / "palette.png"]
    files[0].write_bytes(b"hello")
    Image.fromarray(np.full((40, 40), 65535, np.uint16)).save(files[1])
    Image.new("RGB", (40, 40), "red").quantize(4).save(files[2])
    labels = Ragged.from_rows([[0, 1], [1], []], np.int64)
    dataset = Dataset("classification", files, ["long name " * 9, "猫"], {"labels": labels})
    sheet = contact_sheet(dataset, (0, 2 * 65535))
    assert (color_at(sheet, 0, 0) == 211).all()  # light gray
    assert (abs(color_at(sheet, 1, 0) - 128) <= 1).all()  # half of the range
    assert color_at(sheet, 2, 0).tolist() == [255, 0, 0]


def test_the_number_of_tiles_is_limited(tmp_path):
    file = save(tmp_path / "a.png", "red")
    for classes in (2, 100):
        labels = np.repeat(np.arange(classes), 60)
        names = [str(number) for number in range(classes)]
        sheet = contact_sheet(Dataset("classification", [file] * len(labels), names, {"label": labels}))
        assert sheet.size == (8 * TILE, SMALL_TILES.max_tiles // 8 * (TILE + CAPTION_HEIGHT))
