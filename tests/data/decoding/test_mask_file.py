"""Mask files: ids, palettes, colors, 16 bits, orientation, and errors that name the file."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from retinue.configs.errors import RetinueError
from retinue.data.decoding.mask_file import (
    color_value,
    read_mask,
    resize_nearest,
    same_aspect,
    to_class_ids,
    voc_palette,
)
from retinue.data.decoding.orientation import turn_array_upright, upright_size
from retinue.tests.helpers.mask_images import make_mask

IDS = np.array([[0, 1, 2], [2, 255, 1]], np.uint8)
PLAIN = np.arange(3)


@pytest.mark.parametrize("palette", [True, False])
def test_ids_are_read_from_a_palette_and_from_gray_levels(tmp_path, palette):
    path = make_mask(tmp_path / "mask.png", IDS, palette)
    np.testing.assert_array_equal(read_mask(path, PLAIN, 3), IDS)


def test_ids_are_read_from_16_bits_1_bit_and_gray_rgb(tmp_path):
    Image.fromarray(np.array([[0, 300, 1000]], np.uint16)).save(tmp_path / "deep.png")
    assert read_mask(tmp_path / "deep.png", [0, 300, 1000], 3).tolist() == [[0, 1, 2]]
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "bit.png")
    assert read_mask(tmp_path / "bit.png", [0, 1], 2).tolist() == [[0, 1]]
    Image.fromarray(np.repeat(IDS[:, :, None], 3, axis=2)).save(tmp_path / "rgb.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "rgb.png", PLAIN, 3), IDS)


def test_colors_are_mapped_to_ids_also_from_a_palette(tmp_path):
    values = [color_value(128, 0, 0), color_value(0, 128, 0), color_value(0, 0, 0)]  # the last is void
    pixels = np.array([[[128, 0, 0], [0, 128, 0], [0, 0, 0]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "colors.png")
    assert read_mask(tmp_path / "colors.png", values, 2).tolist() == [[0, 1, 255]]
    make_mask(tmp_path / "palette.png", [[1, 2, 0]])
    assert read_mask(tmp_path / "palette.png", values, 2).tolist() == [[0, 1, 255]]


def test_pixel_values_are_mapped_to_class_ids_and_void():
    ids, unknown = to_class_ids(np.array([[0, 7, 9, 255, 3]], np.uint8), [7, 0, 9], 2)  # the table makes 9 void
    assert ids.tolist() == [[1, 0, 255, 255, 255]] and unknown.tolist() == [[False] * 4 + [True]]
    ids, unknown = to_class_ids(np.array([[0, 255]], np.uint8), [0, 255], 2)  # the table makes 255 a class
    assert ids.tolist() == [[0, 1]] and not unknown.any()
    deep, strange = to_class_ids(np.array([[0, 70000, 5]], np.int32), [70000, 0], 2)
    assert deep.tolist() == [[1, 0, 255]] and strange.tolist() == [[False, False, True]]


def test_an_unknown_pixel_value_is_reported(tmp_path):
    path = make_mask(tmp_path / "mask.png", [[0, 1, 17]])
    with pytest.raises(RetinueError, match="mask.png: the mask contains the value 17, which belongs to no class"):
        read_mask(path, [0, 1], 2)


def test_a_jpeg_is_rejected_as_mask(tmp_path):
    Image.fromarray(IDS).save(tmp_path / "mask.jpg")
    with pytest.raises(RetinueError, match="JPEG, whose compression changes ids"):
        read_mask(tmp_path / "mask.jpg", PLAIN, 3)
    (tmp_path / "mask.jpg").rename(tmp_path / "named.png")
    with pytest.raises(RetinueError, match="JPEG"):
        read_mask(tmp_path / "named.png", PLAIN, 3)


def test_a_jpeg_of_black_and_white_is_read_as_two_values(tmp_path):
    mask = np.zeros((32, 40), np.uint8)
    mask[5:21, 7:30] = 255
    Image.fromarray(mask).save(tmp_path / "mask.jpg", quality=75)
    assert len(np.unique(np.asarray(Image.open(tmp_path / "mask.jpg")))) > 2  # compression added levels
    assert (read_mask(tmp_path / "mask.jpg", [0, 255], 2) == (mask == 255)).all()
    colors = [color_value(0, 0, 0), color_value(255, 255, 255)]
    assert (read_mask(tmp_path / "mask.jpg", colors, 2) == (mask == 255)).all()


def test_colors_without_a_table_are_an_error_with_the_cure(tmp_path):
    Image.fromarray(np.array([[[128, 0, 0]]], np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(RetinueError, match="add class_colors.txt"):
        read_mask(tmp_path / "mask.png", PLAIN, 3)


def test_missing_and_damaged_masks_are_reported(tmp_path):
    with pytest.raises(RetinueError, match="gone.png: the mask cannot be read"):
        read_mask(tmp_path / "gone.png", PLAIN, 3)
    (tmp_path / "broken.png").write_bytes(make_mask(tmp_path / "mask.png", IDS).read_bytes()[:40])
    with pytest.raises(RetinueError, match="broken.png: the mask is not an image"):
        read_mask(tmp_path / "broken.png", PLAIN, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_arrays_are_turned_upright_as_by_pillow(orientation):
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    upright = turn_array_upright(np.arange(6, dtype=np.uint8).reshape(2, 3), orientation)
    np.testing.assert_array_equal(upright, expected)
    assert upright_size(2, 3, orientation) == expected.shape


def test_a_mask_must_have_the_size_of_its_image(tmp_path):
    path = make_mask(tmp_path / "mask.png", IDS)
    np.testing.assert_array_equal(read_mask(path, PLAIN, 3, (2, 3), orientation=6), IDS)  # drawn on the upright image
    np.testing.assert_array_equal(read_mask(path, PLAIN, 3, (3, 2), orientation=6), turn_array_upright(IDS, 6))
    with pytest.raises(RetinueError, match="3 x 2 pixels, but its image has 3 x 4"):
        read_mask(path, PLAIN, 3, (4, 3))
    with pytest.raises(RetinueError, match="but its image has 2 x 3"):
        read_mask(path, PLAIN, 3, (3, 2), orientation=1)


def test_voc_palette_has_the_colors_of_pascal_voc():
    assert voc_palette()[[0, 1, 2, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]


def test_a_mask_of_the_same_aspect_is_resized_only_if_that_is_asked_for(tmp_path):
    path = make_mask(tmp_path / "mask.png", [[0, 1], [2, 255]])
    with pytest.raises(RetinueError, match="same aspect ratio; --set segmentation.resize_masks=true"):
        read_mask(path, PLAIN, 3, (4, 4))
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 255, 255], [2, 2, 255, 255]]
    assert read_mask(path, PLAIN, 3, (4, 4), resize=True).tolist() == expected
    with pytest.raises(RetinueError, match="use the mask of this image"):
        read_mask(path, PLAIN, 3, (4, 40), resize=True)


def test_a_resized_mask_of_the_stored_image_is_turned_upright(tmp_path):
    path = make_mask(tmp_path / "mask.png", IDS)
    expected = turn_array_upright(np.repeat(np.repeat(IDS, 4, axis=0), 4, axis=1), 6)
    np.testing.assert_array_equal(read_mask(path, PLAIN, 3, (12, 8), orientation=6, resize=True), expected)


def test_nearest_resizing_takes_the_value_at_the_center_of_each_pixel():
    assert resize_nearest(np.array([[0, 1, 2, 3, 4]]), (1, 2)).tolist() == [[1, 3]]
    assert resize_nearest(np.array([[5, 6]]), (2, 5)).tolist() == [[5, 5, 6, 6, 6]] * 2


def test_aspects_agree_within_the_rounding_of_sides():
    assert same_aspect((454, 551), (1055, 1280)) and same_aspect((100, 100), (1000, 1005))
    assert not same_aspect((100, 100), (1000, 1100)) and not same_aspect((0, 5), (4, 4))
