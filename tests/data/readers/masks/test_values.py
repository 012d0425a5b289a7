"""The values in masks: blurred masks, and what 255 means."""

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.readers.masks.classes import classes_of
from retinue.data.readers.masks.values import values_of_masks


def write(folder, *masks):
    """Write masks, uint8 [h, w] or [h, w, 3], and return their paths."""
    paths = [str(folder / f"{number}.png") for number in range(len(masks))]
    for path, mask in zip(paths, masks, strict=True):
        Image.fromarray(np.asarray(mask, np.uint8)).save(path)
    return paths


def square(value=255, side=32):
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : side // 2, side // 4 : side // 2] = value
    return mask


def resized(mask, side=64):
    return np.asarray(Image.fromarray(mask).resize((side, side), Image.Resampling.BILINEAR))


def test_values_that_only_lie_on_edges_are_odd(tmp_path):
    ramp = np.tile(np.array([0] * 8 + [60, 120, 180, 240] + [255] * 8), (9, 1))
    (values,) = values_of_masks(write(tmp_path, ramp))
    assert values.odd == (60, 120, 180, 240) and values.odd_fraction == pytest.approx(4 / 20)
    (values,) = values_of_masks(write(tmp_path, np.repeat(ramp, 2, axis=1)))  # stripes of two pixels are areas
    assert values.odd == ()


def test_blurred_masks_are_refused_with_the_fraction_of_odd_ids(tmp_path):
    paths = write(tmp_path, *[resized(square())] * 3)
    with pytest.raises(RetinueError, match=r"3 of 3 masks are blurred by resizing.*0.png: \d+.\d% of its pixels have"):
        classes_of("data", [], paths, [])
    colored = np.asarray(Image.fromarray(np.dstack([square(), square(128), square(0)])).resize((64, 64)))
    with pytest.raises(RetinueError, match="blurred by resizing.*color"):
        classes_of("data", [], write(tmp_path, colored), [])


def test_masks_of_several_classes_saved_as_jpeg_are_refused_with_the_fraction_of_odd_ids(tmp_path):
    path = tmp_path / "a.jpg"
    yy, xx = np.mgrid[:32, :32]
    circle = (yy - 16) ** 2 + (xx - 16) ** 2 < 90
    Image.fromarray((circle * np.where(xx < 16, 127, 255)).astype(np.uint8)).save(path)
    with pytest.raises(RetinueError, match="1 of 1 masks are blurred by saving as JPEG.*other values than"):
        classes_of("data", [], [str(path)], [])


def test_masks_of_black_and_white_saved_as_jpeg_have_two_values(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.pad(square(), 16)).save(path, quality=75)
    names, values = classes_of("data", [], [str(path)], [])
    assert names == ("background", "foreground") and values.tolist() == [0, 255]


def test_averages_of_several_annotators_are_refused(tmp_path):
    average = np.zeros((300, 300), np.uint8)
    for inset in (4, 6, 8, 10, 12):  # as in CUB-200-2011
        average[inset:-inset, inset:-inset] += 51
    with pytest.raises(RetinueError, match="levels 0, 51, 102, 153, 204, 255, and only .* averages .*at 128"):
        classes_of("data", [], write(tmp_path, average), [])
    names, _ = classes_of("data", [], write(tmp_path, [[0, 51, 102, 153, 204, 255]]), [])  # as many pixels of each
    assert len(names) == 6


def test_gray_levels_are_no_ids_of_classes(tmp_path):
    wide_ramp = np.tile(np.arange(0, 256, 2), (8, 1))  # an alpha matte
    with pytest.raises(RetinueError, match=r"1 of its 1 masks hold many gray levels, .*0.png with 128.*mattes"):
        classes_of("data", [], write(tmp_path, wide_ramp), [])
    names, _ = classes_of("data", [], write(tmp_path, np.tile(np.arange(64), (8, 1))), [])
    assert len(names) == 64


def test_few_blurred_masks_do_not_add_classes(tmp_path):
    names, values = classes_of("data", [], write(tmp_path, square(), square(), resized(square())), [])
    assert names == ("background", "foreground") and values.tolist() == [0, 255]


@pytest.mark.parametrize(
    ("masks", "values"),
    [
        ([square(255)], [0, 255]),  # 255 is the object
        ([square(1), np.maximum(square(1), square(255).T[::-1])], [0, 1]),  # 255 is void beside other objects
        ([square(1), square(255), [[0, 1, 255]]], [0, 1]),
        ([[[0, 127, 255]], square(255)], [0, 127, 255]),  # evenly spaced gray levels are classes
        ([[[0, 85, 170, 255]]], [0, 85, 170, 255]),
        ([[[0, 1, 2, 255]]], [0, 1, 2]),
    ],
)
def test_255_is_a_class_where_it_is_an_object(tmp_path, masks, values):
    assert classes_of("data", [], write(tmp_path, *masks), [])[1].tolist() == values


def test_objects_of_255_among_objects_of_other_values_are_refused(tmp_path):
    paths = write(tmp_path, square(1), square(255))
    with pytest.raises(RetinueError, match=r"1 of its masks hold only 0 and 255, as .*1.png.*1 hold other ids"):
        classes_of("data", [], paths, [])
