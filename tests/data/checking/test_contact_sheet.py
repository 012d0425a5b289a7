"""The contact sheet: which pictures it shows, upright, and with their labels."""

import numpy as np
from PIL import Image

from retinue.data.checking.contact_sheet import CAPTION, MOST, TILE, contact_sheet
from retinue.data.dataset import Dataset, Ragged


def colour_at(sheet, column, row, dx=0, dy=0):
    """Mean colour near the middle of a tile, moved by dx and dy."""
    x, y = column * TILE + TILE // 2 + dx, row * (TILE + CAPTION) + TILE // 2 + dy
    return np.asarray(sheet.crop((x - 2, y - 2, x + 2, y + 2))).mean((0, 1))


def save(path, colour, size=(40, 40), **options):
    Image.new("RGB", size, colour).save(path, **options)
    return str(path)


def test_tiles_by_class_with_captions(tmp_path):
    files = [save(tmp_path / f"{colour}.png", colour) for colour in ("red", "lime", "blue")]
    sheet = contact_sheet(Dataset("classification", files, ["b", "a"], {"label": np.array([1, 0, 1])}))
    assert sheet.size == (3 * TILE, TILE + CAPTION)
    assert [colour_at(sheet, column, 0).tolist() for column in range(3)] == [[0, 255, 0], [255, 0, 0], [0, 0, 255]]
    captions = np.asarray(sheet.convert("L"))[TILE:]
    assert all(captions[:, column * TILE : (column + 1) * TILE].min() < 100 for column in range(3))


def test_photos_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright: what is left goes up
    picture = Image.new("RGB", (80, 40), "red")
    picture.paste("blue", (40, 0, 80, 40))
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    sheet = contact_sheet(Dataset("classification", [tmp_path / "a.jpg"], ["a"], {"label": np.array([0])}))
    assert colour_at(sheet, 0, 0, dy=-50)[0] > 200 and colour_at(sheet, 0, 0, dy=50)[2] > 200
    assert (colour_at(sheet, 0, 0, dx=-60) == 255).all()  # now higher than wide


def test_odd_files_get_a_tile(tmp_path):
    files = [tmp_path / "broken.jpg", tmp_path / "deep.png", tmp_path / "palette.png"]
    files[0].write_bytes(b"hello")
    Image.fromarray(np.full((40, 40), 65535, np.uint16)).save(files[1])
    Image.new("RGB", (40, 40), "red").quantize(4).save(files[2])
    labels = Ragged.from_rows([[0, 1], [1], []], np.int64)
    sheet = contact_sheet(Dataset("classification", files, ["long name " * 9, "猫"], {"labels": labels}))
    assert (colour_at(sheet, 0, 0) == 211).all()  # light grey
    assert (colour_at(sheet, 1, 0) == 255).all()
    assert colour_at(sheet, 2, 0).tolist() == [255, 0, 0]


def test_many_files_and_many_classes(tmp_path):
    file = save(tmp_path / "a.png", "red")
    for classes in (2, 100):
        labels = np.repeat(np.arange(classes), 60)
        names = [str(number) for number in range(classes)]
        sheet = contact_sheet(Dataset("classification", [file] * len(labels), names, {"label": labels}))
        assert sheet.size == (8 * TILE, MOST // 8 * (TILE + CAPTION))
