"""What the check finds in masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retinue.data.checking.check import check
from retinue.data.checking.summary import summary_lines
from retinue.data.readers.read import read
from retinue.tests.helpers.mask_images import halves, make_image, make_mask


@pytest.fixture
def pairs(tmp_path):
    for number in range(4):
        make_image(tmp_path / "images" / f"good{number}.jpg", seed=number)
        make_mask(tmp_path / "masks" / f"good{number}.png", halves())
    (tmp_path / "classes.txt").write_text("sky\nground\ncloud\n")
    return tmp_path


def findings_by_kind(report):
    """Return the last finding of each kind."""
    return {finding.kind: finding for finding in report.findings}


def test_valid_masks_give_pixels_and_labels(pairs):
    report = check(read(pairs))
    assert not report.would_fail and not len(report.invalid_rows)
    dataset = report.dataset
    assert dataset.columns["pixels"].tolist() == [[24, 24, 0]] * 4 and dataset.class_counts().tolist() == [4, 4, 0]
    assert [dataset.columns["labels"][row].tolist() for row in range(4)] == [[0, 1]] * 4
    assert report.masks["values"] == {"0": 96, "1": 96} and report.to_dict()["masks"]["void"] == 0
    assert any("sky 50.0%, ground 50.0%" in line for line in summary_lines(report))
    assert "class without pixels" in findings_by_kind(report)  # cloud: reported, and no reason against training


def test_invalid_masks_are_reported_with_a_cure(pairs):
    for number, name in enumerate(("size", "range", "jpeg", "void", "text")):
        make_image(pairs / "images" / f"{name}.jpg", seed=10 + number)
    make_mask(pairs / "masks" / "size.png", halves((3, 9)))
    make_mask(pairs / "masks" / "range.png", halves(right=9))
    Image.fromarray(halves()).save(pairs / "masks" / "jpeg.jpg")
    make_mask(pairs / "masks" / "void.png", np.full((6, 8), 255))
    (pairs / "masks" / "text.png").write_text("no mask")
    report = check(read(pairs), on_invalid="skip")
    kinds = findings_by_kind(report)
    assert "9 x 3 pixels, but its image has 8 x 6" in kinds["sizes differ"].reason
    assert (
        "50.0% of its pixels" in kinds["ids out of range"].reason
        and "not classes: 9" in kinds["ids out of range"].reason
    )
    assert (
        "changes ids at every edge" in kinds["mask saved as JPEG"].reason
        and "PNG of ids" in kinds["mask saved as JPEG"].action
    )
    assert "is not an image" in kinds["mask unreadable"].reason
    assert kinds["all void"].severity == "warning"
    assert sorted(Path(report.dataset.files[row]).stem for row in report.invalid_rows) == [
        "jpeg",
        "range",
        "size",
        "text",
    ]
    assert report.masks["values"]["9"] == 24  # the histogram shows ids out of range, too


def test_masks_of_black_and_white_in_jpeg_are_noted(tmp_path):
    mask = np.zeros((32, 40), np.uint8)
    mask[8:24, 8:32] = 255
    for number in range(2):
        make_image(tmp_path / "images" / f"{number}.jpg", (32, 40), seed=number)
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.jpg")
    report = check(read(tmp_path))
    finding = findings_by_kind(report)["masks in JPEG"]
    assert finding.severity == "note" and "2 masks are JPEGs" in finding.reason and "from 128 on" in finding.action
    assert report.dataset.columns["pixels"].tolist() == [[32 * 40 - 384, 384]] * 2


def test_masks_of_images_rotated_by_exif(pairs):
    make_image(pairs / "images" / "stored.jpg", orientation=6, seed=20)
    make_mask(pairs / "masks" / "stored.png", halves())  # 6 x 8 as stored
    make_image(pairs / "images" / "upright.jpg", orientation=6, seed=21)
    make_mask(pairs / "masks" / "upright.png", halves((8, 6)))
    kinds = findings_by_kind(check(read(pairs)))
    assert kinds["mask rotated by EXIF"].file.endswith("stored.jpg")
    assert kinds["rotated by EXIF"].file.endswith("upright.jpg")


def test_the_fingerprint_is_of_contents_and_not_of_paths(pairs, tmp_path_factory):
    import shutil

    moved = tmp_path_factory.mktemp("moved") / "data"
    shutil.copytree(pairs, moved)
    first, second = check(read(pairs)).dataset, check(read(moved)).dataset
    assert first.fingerprint == second.fingerprint
    make_mask(moved / "masks" / "good0.png", halves(left=1, right=0))  # the same numbers of pixels, elsewhere
    assert check(read(moved)).dataset.fingerprint != first.fingerprint


def test_the_report_has_a_sheet_of_masks(pairs, tmp_path):
    check(read(pairs)).write(tmp_path / "check")
    sheet = np.asarray(Image.open(tmp_path / "check" / "samples.jpg"))
    assert sheet.shape[1] == 4 * 380


def test_a_colored_mask_among_masks_of_ids_is_invalid(pairs):
    make_image(pairs / "images" / "colored.jpg", seed=30)
    colors = np.zeros((6, 8, 3), np.uint8)
    colors[:, 4:] = (128, 0, 0)
    Image.fromarray(colors).save(pairs / "masks" / "colored.png")
    finding = findings_by_kind(check(read(pairs), on_invalid="skip"))["colored mask"]
    assert finding.file.endswith("colored.jpg") and "class_colors.txt" in finding.action


def test_masks_of_the_same_aspect_are_resized_if_the_setting_says_so(pairs):
    make_mask(pairs / "masks" / "good0.png", halves((12, 16)))
    refused = check(read(pairs))
    assert refused.invalid_rows.tolist() == [0]
    assert (
        "segmentation.resize_masks=true resizes it"
        in findings_by_kind(refused)["sizes differ, same aspect ratio"].action
    )
    assert "resize masks with --set segmentation.resize_masks=true" in refused.would_fail[0]
    assert summary_lines(refused)[-1].endswith("--set segmentation.resize_masks=true")
    resized = check(read(pairs), resize_masks=True)
    assert not len(resized.invalid_rows) and resized.dataset.columns["pixels"].tolist() == [[24, 24, 0]] * 4
    assert "16 x 12 pixels" in findings_by_kind(resized)["mask resized"].reason
    assert "train" in summary_lines(resized)[-1] and "segmentation.resize_masks=true" in summary_lines(resized)[-1]
