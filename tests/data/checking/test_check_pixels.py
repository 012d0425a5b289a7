"""The scale that the check finds for a dataset, and what it says about it."""

import cv2
import numpy as np
import pytest
from PIL import Image

from retinue.data.checking.check import check
from retinue.data.checking.summary import summary_lines
from retinue.data.dataset import Dataset


def dataset(folder, images):
    """Write images by their file names and return a dataset of two classes with all of them."""
    files = []
    for name, pixels in images.items():
        cv2.imwrite(str(folder / name), pixels)
        files.append(str(folder / name))
    return Dataset("classification", files, ["a", "b"], {"label": np.arange(len(files)) % 2}, source=str(folder))


def ramp(low, high, dtype):
    return np.linspace(low, high, 48 * 64).reshape(48, 64).astype(dtype)


def kinds(report):
    return {finding.kind: finding for finding in report.findings}


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_one_range_is_found_for_all_files(tmp_path, suffix):
    images = {f"{number}.{suffix}": ramp(0, 1000 * number, np.uint16) for number in range(1, 5)}
    report = check(dataset(tmp_path, images))
    low, high = report.pixel_range
    assert low == 0 and 3990 <= high <= 4000
    assert f"scale    16-bit values 0 to {high:,.0f} become 0 to 255" in summary_lines(report)
    assert report.to_dict()["pixel_range"] == [low, high]
    assert not len(report.invalid_rows)


def test_png_and_tiff_of_the_same_pixels_have_the_same_range(tmp_path):
    ranges = []
    for suffix in ("png", "tif"):
        folder = tmp_path / suffix
        folder.mkdir()
        ranges.append(check(dataset(folder, {f"a.{suffix}": ramp(20, 4071, np.uint16)})).pixel_range)
    assert ranges[0] == ranges[1]


def test_images_of_8_bits_have_no_range(tmp_path):
    report = check(dataset(tmp_path, {"a.png": ramp(0, 200, np.uint8), "b.tif": ramp(0, 200, np.uint8)}))
    assert report.pixel_range is None and report.scale == ""
    assert not any(line.startswith("scale") for line in summary_lines(report))


def test_a_range_that_is_set_is_kept(tmp_path):
    data = dataset(tmp_path, {"a.png": ramp(0, 4000, np.uint16), "b.png": ramp(0, 3900, np.uint16)})
    report = check(data, pixel_range=(100, 4000))
    assert report.pixel_range == (100, 4000)
    assert report.scale == "16-bit values 100 to 4,000 become 0 to 255 (set by data.pixel_range)"
    assert "outside the scale" not in kinds(report)


def test_a_range_that_does_not_fit_is_reported(tmp_path):
    data = dataset(tmp_path, {"a.png": ramp(0, 4000, np.uint16), "b.png": ramp(0, 4000, np.uint16)})
    assert "50% of the values lie outside" in kinds(check(data, pixel_range=(0, 2000)))["outside the scale"].reason
    narrow = kinds(check(data, pixel_range=(0, 65535)))["small part of the scale"]
    assert "0 to 3,996 of 0 to 65,535" in narrow.reason


def test_a_trained_model_without_a_range_can_use_no_image_of_more_than_8_bits(tmp_path):
    data = dataset(tmp_path, {"a.png": ramp(0, 4000, np.uint16), "b.png": ramp(0, 200, np.uint8)})
    report = check(data, training=False)
    assert report.invalid_rows.tolist() == [0]
    assert kinds(report)["no scale"].file == data.files[0]
    assert check(data, training=False, pixel_range=(0, 4000)).invalid_rows.tolist() == []


def test_mixed_depths_and_missing_values_are_reported(tmp_path):
    values = ramp(1, 3, np.float32)
    values[:12] = -9999
    data = dataset(tmp_path, {"a.tif": values, "b.png": ramp(0, 200, np.uint8)})
    report = check(data)
    assert "1 of 32-bit float, 1 of 8-bit" in kinds(report)["mixed depths"].reason
    assert kinds(report)["missing values"].reason.startswith("25.0% of the values are missing")
    low, high = report.pixel_range
    assert 1.4 < low < 1.6 and 2.99 < high <= 3


def test_the_samples_show_what_the_model_gets(tmp_path):
    images = {"a.png": np.full((40, 40), 1000, np.uint16), "b.tif": np.full((40, 40), 4000, np.uint16)}
    report = check(dataset(tmp_path, images))
    report.write(tmp_path / "out")
    with Image.open(tmp_path / "out" / "samples.jpg") as sheet:
        pixels = np.asarray(sheet.convert("L"))
    assert report.pixel_range == (1000, 4000)
    assert pixels[80, 80] < 3 and pixels[80, 240] > 252
