"""Pascal VOC, in VOCdevkit's folders and as LabelImg writes it."""

from pathlib import Path

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.data.readers.voc import read_voc
from retinue.tests.helpers.box_files import save_image

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    "</bndbox></part></object>"
)


def xml(path, *objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    size = "<size><width>100</width><height>80</height></size>"
    path.write_text(f"<annotation>{size}{''.join(OBJECT.format(*entry) for entry in objects)}</annotation>")


@pytest.fixture
def devkit(tmp_path):
    year = tmp_path / "VOCdevkit/VOC2007"
    for stem in ("000001", "000002", "000003", "000004"):
        save_image(year / f"JPEGImages/{stem}.jpg")
    xml(year / "Annotations/000001.xml", ("dog", 1, 1, 1, 100, 80), ("cat", 0, 11, 21, 30.5, 40))
    xml(year / "Annotations/000002.xml")
    xml(year / "Annotations/000004.xml", ("cat", 0, 1, 1, 2, 2))
    lists = year / "ImageSets/Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("000002\n")
    (lists / "val.txt").write_text("000001\n000003\n")
    (lists / "trainval.txt").write_text("000001\n000002\n000003\n")
    (lists / "cat_train.txt").write_text("000001  1\n")
    return tmp_path


def test_lists_and_flags_are_read_and_pixels_count_from_one(devkit):
    for folder in (devkit, devkit / "VOCdevkit", devkit / "VOCdevkit/VOC2007"):
        data = read(folder)
        assert (data.format, data.task, data.classes) == ("voc", "detection", ("cat", "dog"))
        assert data.columns["image_id"].tolist() == ["000002", "000001"]
        assert data.splits.tolist() == ["train", "val"]
    record = list(data)[1]
    assert record["file"] == f"{devkit}/VOCdevkit/VOC2007/JPEGImages/000001.jpg"
    assert record["boxes"].tolist() == [[0, 0, 100, 80], [10, 20, 30.5, 40]]
    assert record["labels"].tolist() == [1, 0] and record["difficult"].tolist() == [True, False]
    assert record["size"].tolist() == [80, 100] and not record["crowd"].any()
    reasons = {finding.kind: finding.reason for finding in data.findings}
    assert reasons["no annotation"] == "1 listed images have no XML file, the first is 000003"
    assert reasons["not listed"] == "1 annotations are in no list of ImageSets/Main"


def test_xml_files_may_be_beside_the_images(tmp_path):
    save_image(tmp_path / "b.png")
    save_image(tmp_path / "a.jpg")
    xml(tmp_path / "a.xml", ("nut", 0, 1, 2, 3, 4))
    data = read(tmp_path)
    assert list(data.files) == [f"{tmp_path}/a.jpg"] and data.splits.tolist() == [""]
    assert data.columns["boxes"].values.tolist() == [[0, 1, 3, 4]]


def test_broken_files_and_objects_are_findings(tmp_path):
    for stem in "abc":
        save_image(tmp_path / f"JPEGImages/{stem}.jpg")
    xml(tmp_path / "Annotations/a.xml", ("cat", 0, "one", 1, 2, 2), ("", 0, 1, 1, 2, 2), ("cat", 0, 1, 1, 2, 2))
    (tmp_path / "Annotations/b.xml").write_text("<annotation>")
    xml(tmp_path / "Annotations/c.xml")
    data = read(tmp_path)
    assert [Path(file).name for file in data.files] == ["a.jpg", "c.jpg"]
    assert [finding.reason for finding in data.findings[:2]] == [
        "object 1 of Annotations/a.xml: its bndbox lacks a number",
        "object 2 of Annotations/a.xml: it has no name",
    ]
    assert data.findings[2].kind == "broken annotation" and "b.xml can't be read" in data.findings[2].reason
    assert data.columns["object_id"].values.tolist() == [3]
    (tmp_path / "empty").mkdir()
    with pytest.raises(RetinueError, match="there is no image with an annotation"):
        read_voc(tmp_path / "empty")
