"""What the check finds in boxes, each finding with its file, its location and its reason."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from retinue.data.checking.anchor_iou import AnchorLayout
from retinue.data.checking.check import check
from retinue.data.checking.exif_boxes import rotate_boxes_upright
from retinue.data.checking.summary import summary_lines
from retinue.data.readers.read import read
from retinue.data.split import split
from retinue.tests.helpers.box_files import save_coco, save_image


@pytest.fixture
def folder(tmp_path):
    for name in "abcd":
        save_image(tmp_path / f"{name}.jpg")  # 100 x 80
    return tmp_path


def report_of(folder, *annotations, **options):
    images = [(number, f"{name}.jpg") for number, name in enumerate("abcd")]
    path = save_coco(folder / "boxes.json", images, [(number, *entry) for number, entry in enumerate(annotations, 1)])
    return check(read(path), **({"on_invalid": "skip"} | options))


def finding_of(report, kind):
    """Return the only finding of a kind."""
    (finding,) = [finding for finding in report.findings if finding.kind == kind]
    return finding


VALID = [(0, 1, [10, 10, 30, 30]), (1, 7, [0, 0, 100, 80]), (3, 1, [50, 50, 20, 20]), (3, 7, [0, 0, 100, 80])]


def test_valid_boxes_have_no_findings(folder):
    report = report_of(folder, *VALID, on_invalid="stop")
    assert (report.findings, report.would_fail, len(report.invalid_rows)) == ([], [], 0)
    assert report.class_counts[""].tolist() == [2, 2]
    assert summary_lines(report) == [
        f"data     {folder}/boxes.json (coco, for detection), 4 images",
        "classes  2: cat 2, dog 2",
        "sizes    all 100 x 80 pixels; JPEG 4",
        "objects  4, 1 images without, at most 2 in one, side 20 to 89.4 pixels, median 59.7, 90% within 21.5 to 89.4",
        "objects  0 (0.0%) are far from every anchor (IoU below 0.3)",
        "invalid  0 of 4 images can't be used",
        f"next     retinue train {folder}/boxes.json",
    ]


@pytest.mark.parametrize(
    ("box", "kind", "reason", "cure"),
    [
        (
            [10, 20, -5, 10],
            "negative width or height",
            "the box 10, 20, -5, 10 has a negative width or height",
            "write x, y, width, height",
        ),
        ([10, 20, 0, 10], "box without size", "the box 10, 20, 0, 10 has no area", "draw it again"),
        ([150, 20, 10, 10], "outside the image", "the box 150, 20, 10, 10 lies completely outside of", "another image"),
        ([0.2, 0.3, 0.5, 0.25], "fractions where pixels are expected", "is less than a pixel, so these", "multiply by"),
        ([float("nan"), 0, 5, 5], "not a box", "has a value that is not a number", "correct it"),
    ],
)
def test_a_box_that_can_not_be_right_is_left_out(folder, box, kind, reason, cure):
    report = report_of(folder, *VALID, (1, 7, box))
    finding = finding_of(report, kind)
    assert (finding.severity, finding.file, finding.item) == ("invalid", f"{folder}/b.jpg", "annotation 5")
    assert finding.reason.startswith("annotation 5 (dog): the box ") and reason in finding.reason
    assert finding.action.startswith("skipped, the image has 2 boxes; ") and cure in finding.action
    assert len(report.dataset.columns["labels"].values) == 4 and len(report.dataset) == 4
    assert report.objects["left_out"] == 1 and len(report.findings) == 1
    strict = report_of(folder, *VALID, (1, 7, box), on_invalid="stop")
    assert strict.would_fail == [
        "1 of 5 boxes are invalid (20.0%, more than 3%); fix them, or skip them with --set data.on_invalid=skip"
    ]
    assert report_of(folder, *VALID, (1, 7, box), on_invalid="stop", max_invalid_fraction=0.2).would_fail == []


def test_swapped_corners_in_a_table_are_reported_with_the_line(folder):
    (folder / "boxes.csv").write_text("file,x1,y1,x2,y2,label\na.jpg,30,10,10,40,cat\nb.jpg,1,1,20,20,cat\n")
    finding = finding_of(check(read(folder / "boxes.csv"), on_invalid="skip"), "corners swapped")
    assert finding.reason == "line 2 (cat): the box 30, 10, 10, 40 ends before it begins"
    assert finding.action == "skipped, the image has 1 box; write the smaller corner first"


def test_a_missing_image_of_a_table_is_reported_with_its_line(folder):
    (folder / "boxes.csv").write_text(
        "file,x1,y1,x2,y2,label\na.jpg,1,1,9,9,cat\ngone.jpg,,,,,\ngone.jpg,1,1,9,9,cat\n"
    )
    missing = finding_of(check(read(folder / "boxes.csv"), on_invalid="skip"), "missing")
    assert (missing.file, missing.item) == (f"{folder}/gone.jpg", "line 3")
    assert missing.reason == "line 3: no such file"


def test_yolo_boxes_are_shown_as_written(folder):
    for name in "abcd":
        (folder / "images").mkdir(exist_ok=True)
        (folder / f"{name}.jpg").rename(folder / f"images/{name}.jpg")
    (folder / "data.yaml").write_text("train: images\nnames: [cat]\n")
    (folder / "labels").mkdir()
    (folder / "labels/a.txt").write_text("0 0.25 0.5 -0.1 0.2\n0 .5 .5 .2 .2\n")
    (folder / "labels/b.txt").write_text("0 1.4 0.5 0.1 0.2\n")
    (folder / "images/c.jpg").unlink()
    (folder / "labels/c.txt").write_text("0 .5 .5 .1 .1\n")
    report = check(read(folder), on_invalid="skip")
    assert [finding.kind for finding in report.findings if "swapped" in finding.kind] == []
    negative = finding_of(report, "negative width or height")
    assert (negative.file, negative.item) == (f"{folder}/images/a.jpg", "line 1 of labels/a.txt")
    assert negative.reason == "line 1 of labels/a.txt (cat): the box 0.25 0.5 -0.1 0.2 has a negative width or height"
    assert negative.action.endswith("write class, center x, center y, width, height")
    assert finding_of(report, "outside the image").reason.startswith(
        "line 1 of labels/b.txt (cat): the box 1.4 0.5 0.1 0.2"
    )
    assert finding_of(report, "label file without image").file == f"{folder}/labels/c.txt"


def test_voc_boxes_are_shown_as_written(folder):
    (folder / "a.xml").write_text(
        "<annotation><object><name>cat</name><bndbox><xmin>31</xmin><ymin>5</ymin><xmax>20</xmax><ymax>9</ymax>"
        "</bndbox></object></annotation>"
    )
    finding = finding_of(check(read(folder), on_invalid="skip"), "corners swapped")
    assert finding.reason == "object 1 of a.xml (cat): the box 31, 5, 20, 9 ends before it begins"


def test_images_that_share_an_id_are_skipped_and_the_others_are_used(folder):
    images = [(0, "a.jpg"), (1, "b.jpg"), (1, "c.jpg"), (3, "d.jpg"), (3, "d.jpg")]
    boxes = [(1, 0, 1, [1, 1, 9, 9]), (2, 1, 1, [1, 1, 9, 9]), (3, 1, 7, [2, 2, 9, 9]), (4, 3, 7, [2, 2, 9, 9])]
    report = check(read(save_coco(folder / "boxes.json", images, boxes)))
    assert [Path(file).name for file in report.dataset.files] == ["a.jpg", "d.jpg"]
    repeated = [finding for finding in report.findings if finding.kind == "duplicate image id"]
    assert [finding.reason for finding in repeated] == [
        "image 1: duplicate image id, b.jpg and c.jpg have it",
        "image 1: duplicate image id, c.jpg and b.jpg have it",
    ]
    assert repeated[0].file == f"{folder}/boxes.json" and repeated[0].severity == "invalid"
    assert repeated[0].action == "skipped, with its 2 boxes, which may be of either; number the images anew"
    assert finding_of(report, "image listed twice").reason == "image 3: d.jpg is listed 2 times"
    assert report.would_fail[0].startswith("2 of 4 files are invalid (50.0%, more than 3%)")
    assert "unknown image" not in {finding.kind for finding in report.findings}


def test_broken_lines_of_a_table_are_findings(folder):
    (folder / "boxes.csv").write_text("file,x1,y1,x2,y2,label\na.jpg,1,1,9,9,cat\nb.jpg,1\n,1,1,2,2,cat\n")
    report = check(read(folder / "boxes.csv"))
    broken = [(finding.item, finding.reason) for finding in report.findings if finding.kind == "broken line"]
    assert broken == [
        ("line 3", "line 3: it has 2 values, but the header names 6 columns"),
        ("line 4", "line 4: the file is empty"),
    ]
    assert report.would_fail[0].startswith("2 of 3 boxes are invalid")


def test_the_next_command_works(folder):
    def next_of(report, task="auto"):
        return summary_lines(report, task)[-1].removeprefix("next     ")

    invalid_box = (1, 7, [10, 10, 0, 5])
    train, fix = f"retinue train {folder}/boxes.json", f"fix what stops it, then: retinue check {folder}/boxes.json"
    assert next_of(report_of(folder, *VALID, invalid_box, on_invalid="stop")) == f"{train} --set data.on_invalid=skip"
    assert next_of(report_of(folder, *VALID, invalid_box, on_invalid="skip")) == f"{train} --set data.on_invalid=skip"
    (folder / "c.jpg").unlink()  # now files and boxes are invalid, and skipping fixes both
    assert next_of(report_of(folder, *VALID, invalid_box, on_invalid="stop")) == f"{train} --set data.on_invalid=skip"
    assert next_of(report_of(folder, invalid_box, on_invalid="stop")) == fix
    polygons = {"segmentation": [[1, 1, 40, 1, 40, 40]]}
    path = save_coco(
        folder / "boxes.json", [(0, "a.jpg")], [(1, 0, 1, [1, 1, 9, 9], polygons), (2, 0, 7, [1, 1, 9, 9])]
    )
    masks = check(read(path, "segmentation"))
    assert next_of(masks, "segmentation") == f"{train} --task segmentation"


def test_crowds_and_difficult_objects_alone_stop_training(folder):
    boxes = [(0, 1, [1, 1, 50, 50], {"iscrowd": 1}), (1, 7, [1, 1, 50, 50], {"ignore": 1})]
    report = report_of(folder, *boxes, on_invalid="stop")
    assert report.would_fail == [
        "no object is left for training: the 2 objects are crowds or difficult, which are not trained on"
    ]
    report = report_of(folder, *boxes, (1, 1, [2, 2, 9, 9]), on_invalid="stop")
    assert report.would_fail == [] and finding_of(report, "class without objects").item == "dog"


def test_a_box_that_reaches_out_of_the_image_is_clipped(folder):
    report = report_of(folder, *VALID, (2, 1, [-10, 70, 50, 50]), (2, 1, [60, 60, 40.6, 20]))
    assert (
        finding_of(report, "box reaches out of the image").reason
        == "annotation 5 (cat): the box -10, 70, 50, 50 reaches out of the image"
    )
    assert report.dataset.columns["boxes"][2].tolist() == [
        [0, 70, 40, 80],
        [60, 60, 100, 80],
    ]  # half a pixel is rounding
    assert report.objects["clipped"] == 1 and report.objects["left_out"] == 0


def test_a_repeated_box_is_skipped(folder):
    report = report_of(folder, *VALID, (0, 1, [10, 10, 30, 30]), (0, 7, [10, 10, 30, 30]))
    assert finding_of(report, "duplicate box").reason.startswith(
        "annotation 5 (cat): the box 10, 10, 30, 30 repeats an earlier box"
    )
    assert report.dataset.columns["object_id"][0].tolist() == [1, 6]


def test_only_fractions_stop_training(folder):
    report = report_of(folder, *((0, 1, [0.1 * number, 0.1, 0.2, 0.3]) for number in range(4)), on_invalid="stop")
    assert report.would_fail == [
        "no box can be used; the most frequent reason: fractions where pixels are expected",
        "no object is left for training",
    ]


def test_what_the_reader_left_out_counts(folder):
    report = report_of(folder, *VALID, (0, 3, [1, 1, 5, 5]), on_invalid="stop")
    assert finding_of(report, "unknown class").item == "annotation 5"
    assert report.would_fail[0].startswith("1 of 5 boxes are invalid")


def test_missing_images_and_other_sizes_are_invalid(folder):
    (folder / "b.jpg").unlink()
    save_image(folder / "d.jpg", size=(50, 40))
    report = report_of(folder, *VALID)
    assert report.invalid_rows.tolist() == [1, 3]
    missing = finding_of(report, "missing")
    assert (missing.file, missing.item) == (f"{folder}/b.jpg", "image 1 of boxes.json")
    assert missing.reason == "image 1 of boxes.json: no such file"
    finding = finding_of(report, "other size than annotated")
    assert (finding.file, finding.reason) == (
        f"{folder}/d.jpg",
        "annotated as 100 x 80 pixels, but the file has 50 x 40",
    )
    usable, _ = report.usable()
    assert [Path(file).name for file in usable.files] == ["a.jpg", "c.jpg"]
    assert report.class_counts[""].tolist() == [1, 0]
    strict = report_of(folder, *VALID, on_invalid="stop")
    assert strict.would_fail[0].startswith("2 of 4 files are invalid (50.0%")


def test_classes_without_objects_are_a_warning(folder):
    report = report_of(folder, VALID[0])
    assert (
        finding_of(report, "class without objects").reason
        == "the class dog has no object to train on: it will never be predicted"
    )
    assert finding_of(report, "class with one object").item == "cat"
    assert report.would_fail == []


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_are_rotated_as_the_image_is(orientation):
    pixels = np.zeros((8, 10, 3), np.uint8)
    pixels[2:5, 1:7] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    rows, columns = np.nonzero(upright[:, :, 0])
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert rotate_boxes_upright([[1, 2, 7, 5]], (8, 10), orientation).tolist() == [expected]


def test_boxes_are_rotated_by_exif_only_where_the_size_tells(folder):
    """The size in the annotation tells whether the stored or the upright image was annotated."""
    save_image(folder / "a.jpg", orientation=6)
    stored = report_of(folder, *VALID)
    assert stored.dataset.columns["boxes"][0].tolist() == [[40, 10, 70, 40]]
    assert finding_of(stored, "boxes rotated by EXIF").severity == "note"
    save_image(folder / "a.jpg", size=(80, 100), orientation=6)  # upright it is 100 x 80, as annotated
    upright = report_of(folder, *VALID)
    assert upright.dataset.columns["boxes"][0].tolist() == [[10, 10, 40, 40]] and upright.findings == []
    save_image(folder / "a.jpg", orientation=3)
    half = report_of(folder, *VALID)
    assert half.dataset.columns["boxes"][0].tolist() == [[10, 10, 40, 40]]
    assert finding_of(half, "rotated by EXIF").severity == "warning"


def test_the_files_of_a_report(folder):
    report = report_of(folder, *VALID, (2, 1, [0, 0, 0, 1]), (2, 1, [0, 0, 90, 70], {"iscrowd": 1}))
    report.write(folder / "out")
    content = json.loads((folder / "out/report.json").read_text())
    assert content["task"] == "detection" and content["multi_label"] is False
    assert content["objects"]["objects"] == 4 and content["objects"]["crowds"] == 1
    assert content["objects"]["images_without_objects"] == 0 and sum(content["objects"]["anchors"]["histogram"]) == 4
    assert content["classes"] == {"cat": {"unsplit": 3}, "dog": {"unsplit": 2}}
    rows = list(csv.DictReader(open(folder / "out/problems.csv", encoding="utf-8")))
    assert [row["item"] for row in rows if row["file"]] == ["annotation 5"]
    with Image.open(folder / "out/samples.jpg") as sheet:
        assert sheet.size == (4 * 380, 398)


def test_the_iou_is_that_of_the_anchors_of_the_model(folder):
    report = report_of(folder, *VALID, anchors=AnchorLayout(sizes=((4,),), strides=(4,), aspect_ratios=(1.0,)))
    assert report.objects["anchors"]["below_negative"] == 4
    assert "objects  4 (100.0%) are far from every anchor" in "\n".join(summary_lines(report))


def test_the_farthest_object_of_each_class_is_named(folder):
    layout = AnchorLayout(sizes=((32,),), strides=(8,), aspect_ratios=(1.0,))
    report = report_of(folder, (0, 1, [0, 0, 32, 32]), (0, 1, [0, 0, 100, 4]), (1, 1, [0, 0, 10, 10]), anchors=layout)
    finding = finding_of(report, "far from every anchor")
    assert (finding.severity, finding.file, finding.item) == ("warning", f"{folder}/b.jpg", "cat")
    assert finding.reason == (  # IoU 100 / 1,024; the box of 100 x 4 has 128 / (1,024 + 400 - 128)
        "the class cat: 2 of 3 objects are far from every anchor, the farthest is annotation 3 with 10 x 10 pixels "
        "(IoU 0.10)"
    )


def test_images_with_more_objects_than_a_detector_returns_are_named(folder):
    boxes = [(0, 1, [number, 1, 30, 30]) for number in range(5)] + [(1, 1, [1, 1, 30, 30])] * 4
    report = report_of(folder, *boxes, max_detections=4)
    finding = finding_of(report, "more objects than detections")
    assert (finding.severity, finding.file) == ("warning", f"{folder}/a.jpg")
    assert finding.reason == "it has 5 objects, but a detector returns at most 4 in one image"
    assert finding.action.startswith("kept; set detection.max_detections to at least 5")


def test_swapped_width_and_height_are_used_if_all_boxes_fit_the_files(folder):
    for name in "ab":
        save_image(folder / f"{name}.jpg", size=(80, 100))  # annotated as 100 x 80
    report = report_of(folder, (0, 1, [10, 60, 30, 40]), (1, 7, [0, 0, 81, 20]))
    swapped = [finding for finding in report.findings if finding.kind == "width and height swapped"]
    assert len(swapped) == 2 and swapped[0].reason == "annotated as 100 x 80 pixels, but the file has 80 x 100"
    assert report.dataset.columns["boxes"][0].tolist() == [[10, 60, 40, 100]] and not len(report.invalid_rows)
    rotated = report_of(folder, (0, 1, [10, 60, 30, 40]), (1, 7, [0, 0, 90, 20]))  # too wide for the file
    assert rotated.invalid_rows.tolist() == [0, 1]
    assert {finding.kind for finding in rotated.findings} >= {"other size than annotated"}


def test_splits_take_from_each_class_and_keep_groups(tmp_path):
    lines = ["file,x1,y1,x2,y2,label,group"]
    for number in range(40):
        save_image(tmp_path / f"{number}.jpg")
        rare = number % 10 == 0
        lines += [f"{number}.jpg,1,1,9,9,{'rare' if rare else 'common'},{'farm' if number in (1, 2, 3) else ''}"] * 3
        lines += [f"{number}.jpg,,,,,,{'farm' if number in (1, 2, 3) else ''}"]
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    data = read(tmp_path / "boxes.csv")
    first, again, other = (split(data, seed=seed) for seed in (0, 0, 1))
    assert first.splits.tolist() == again.splits.tolist() != other.splits.tolist()
    val = first.split("val")
    assert 7 <= len(val) <= 9
    assert (val.class_counts() > 0).all()
    assert len(set(first.splits[data.groups == "farm"])) == 1


def test_a_check_imports_no_tensorflow(folder):
    save_coco(folder / "boxes.json", [(0, "a.jpg")], [(1, 0, 1, [1, 1, 5, 5])])
    code = (
        "import sys\nfrom retinue.data.readers.read import read\nfrom retinue.data.checking.check import check\n"
        f"check(read({str(folder / 'boxes.json')!r})).write({str(folder / 'out')!r})\n"
        "assert not {'tensorflow', 'keras', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_image_whose_objects_are_all_left_out_is_not_an_image_without_objects(folder):
    bad = [90, 10, 0, 0]
    report = report_of(folder, *VALID, (2, 1, bad), (3, 1, bad))
    assert finding_of(report, "no object is left").file == f"{folder}/c.jpg"  # d.jpg has others
    assert report.invalid_rows.tolist() == [2]

    for name, lines in {"a": "0 .5 .5 .2 .2\n", "b": "0 .5 .5 .2 .2\n9 .5 .5 .2 .2\n", "c": "9 .5 .5 .2 .2\n"}.items():
        (folder / f"{name}.txt").write_text(lines)
    (folder / "d.txt").write_text("")
    (folder / "classes.txt").write_text("cat\ndog\n")
    (folder / "boxes.json").unlink()
    report = check(read(folder), on_invalid="skip")
    assert [Path(report.dataset.files[row]).name for row in report.invalid_rows] == ["c.jpg"]  # d.jpg has no object
