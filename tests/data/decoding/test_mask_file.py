import numpy as np
import pytest
from PIL import Image, ImageOps

from retinue.configs.errors import RetinueError
from retinue.data.decoding.mask_file import color_value, read_mask, to_class_ids, turned, voc_palette
from retinue.tests.helpers.mask_images import make_mask

IDS = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)
PLAIN = np.arange(3)


@pytest.mark.parametrize("palette", [True, False])
def test_ids_survive_a_palette_and_grey(tmp_path, palette):
    path = make_mask(tmp_path / "mask.png", IDS, palette)
    np.testing.assert_array_equal(read_mask(path, PLAIN, 3), IDS)


def test_sixteen_bits_and_one_bit_and_grey_as_rgb(tmp_path):
    Image.fromarray(np.array([[0, 300, 1000]], np.uint16)).save(tmp_path / "deep.png")
    assert read_mask(tmp_path / "deep.png", [0, 300, 1000], 3).tolist() == [[0, 1, 2]]
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "bit.png")
    assert read_mask(tmp_path / "bit.png", [0, 1], 2).tolist() == [[0, 1]]
    Image.fromarray(np.repeat(IDS[:, :, None], 3, axis=2)).save(tmp_path / "rgb.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "rgb.png", PLAIN, 3), IDS)


def test_colours_by_a_table_also_from_a_palette(tmp_path):
    values = [color_value(128, 0, 0), color_value(0, 128, 0), color_value(0, 0, 0)]  # the last is void
    pixels = np.array([[[128, 0, 0], [0, 128, 0], [0, 0, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "colours.png")
    assert read_mask(tmp_path / "colours.png", values, 2).tolist() == [[0, 1, 255]]
    make_mask(tmp_path / "palette.png", [[1, 2, 0]])
    assert read_mask(tmp_path / "palette.png", values, 2).tolist() == [[0, 1, 255]]


def test_values_are_mapped_and_void_is_void():
    ids, unknown = to_class_ids(np.array([[0, 7, 9, 255, 3]], np.uint8), [7, 0, 9], 2)  # 9 is void by the table
    assert ids.tolist() == [[1, 0, 255, 255, 255]] and unknown.tolist() == [[False] * 4 + [True]]
    ids, unknown = to_class_ids(np.array([[0, 255]], np.uint8), [0, 255], 2)  # 255 is a class where the table says so
    assert ids.tolist() == [[0, 1]] and not unknown.any()
    deep, strange = to_class_ids(np.array([[0, 70000, 5]], np.int32), [70000, 0], 2)
    assert deep.tolist() == [[1, 0, 255]] and strange.tolist() == [[False, False, True]]


def test_an_unknown_value_is_named(tmp_path):
    path = make_mask(tmp_path / "mask.png", [[0, 1, 17]])
    with pytest.raises(RetinueError, match="mask.png: the mask has the value 17, which is no class"):
        read_mask(path, [0, 1], 2)


def test_a_jpeg_is_refused(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "mask.jpg")
    with pytest.raises(RetinueError, match="JPEG, which blurs ids"):
        read_mask(tmp_path / "mask.jpg", PLAIN, 3)
    (tmp_path / "mask.jpg").rename(tmp_path / "named.png")
    with pytest.raises(RetinueError, match="JPEG"):
        read_mask(tmp_path / "named.png", PLAIN, 3)


def test_colours_without_a_table_say_what_is_needed(tmp_path):
    Image.fromarray(np.array([[[128, 0, 0]]], np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(RetinueError, match="add class_colors.txt"):
        read_mask(tmp_path / "mask.png", PLAIN, 3)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(RetinueError, match="gone.png: the mask can't be read"):
        read_mask(tmp_path / "gone.png", PLAIN, 3)
    (tmp_path / "broken.png").write_bytes(make_mask(tmp_path / "mask.png", IDS).read_bytes()[:40])
    with pytest.raises(RetinueError, match="broken.png: the mask is no picture"):
        read_mask(tmp_path / "broken.png", PLAIN, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_is_pillows_exif(orientation):
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(turned(np.arange(6, dtype=np.uint8).reshape(2, 3), orientation), expected)


def test_size_of_the_photo(tmp_path):
    path = make_mask(tmp_path / "mask.png", IDS)
    np.testing.assert_array_equal(read_mask(path, PLAIN, 3, (2, 3), orientation=6), IDS)  # drawn on the upright photo
    np.testing.assert_array_equal(read_mask(path, PLAIN, 3, (3, 2), orientation=6), turned(IDS, 6))
    with pytest.raises(RetinueError, match="3 x 2 pixels, but its photo 3 x 4"):
        read_mask(path, PLAIN, 3, (4, 3))
    with pytest.raises(RetinueError, match="but its photo 2 x 3"):
        read_mask(path, PLAIN, 3, (3, 2), orientation=1)


def test_palette_is_vocs():
    assert voc_palette()[[0, 1, 2, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]
