"""CVAT's XML for images: shapes, flags, subsets and classes, and what it can't be read for."""

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.cvat import explain, explain_file
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image

BOX = '<box label="cat" occluded="1" xtl="16" ytl="12" xbr="48" ybr="36" z_order="0"/>'


def save_cvat(path, images, labels=(("dog", "any"), ("cat", "any")), container="task"):
    """Save an XML file with images of 100 x 80 pixels, each a name, further attributes and its shapes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = "".join(f"<label><name>{name}</name><type>{kind}</type></label>" for name, kind in labels)
    entries = "".join(
        f'<image id="{number}" name="{name}" {attributes} width="100" height="80">{shapes}</image>'
        for number, (name, attributes, shapes) in enumerate(images)
    )
    meta = f"<meta><{container}><labels>{names}</labels></{container}></meta>"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{entries}</annotations>'
    )
    return path


def test_every_shape_with_a_size_becomes_a_box(tmp_path):
    shapes = (
        BOX,
        '<polygon label="dog" points="10,20;30,20;30,50"/>',
        '<ellipse label="dog" cx="50" cy="40" rx="20" ry="10"/>',
        '<box label="cat" xtl="40" ytl="30" xbr="60" ybr="50" rotation="45"/>',
        '<polyline label="wire" points="1,2;9,8"/>',
        '<mask label="cat" rle="1, 2, 3" left="70" top="60" width="3" height="2"/>',
        '<points label="eye" points="3,4"/>',
        '<tag label="unused"/>',
    )
    save_image(tmp_path / "images/a.jpg")
    labels = [(name, "any") for name in ("dog", "unused", "cat", "wire", "eye")]
    save_cvat(tmp_path / "annotations.xml", [("a.jpg", "", "".join(shapes))], labels)
    data = read(tmp_path)
    assert (data.format, data.classes) == ("cvat", ("dog", "unused", "cat", "wire"))
    half = 10 * np.sqrt(2)
    boxes = [[16, 12, 48, 36], [10, 20, 30, 50], [30, 30, 70, 50], [50 - half, 40 - half, 50 + half, 40 + half]]
    record = list(data)[0]
    assert np.allclose(record["boxes"], [*boxes, [1, 2, 9, 8], [71, 60, 73, 61]], atol=1e-4)
    assert record["labels"].tolist() == [2, 0, 0, 2, 3, 2]
    assert record["occluded"].tolist() == [True] + [False] * 5
    assert (record["image_id"], record["size"].tolist()) == (0, [80, 100])
    assert [finding.reason for finding in data.findings] == [
        "1 points, which have no size",
        "1 of 6 objects are lines or cuboids",
        "1 images have labels of the whole image, too",
    ]


def test_subsets_are_splits_and_choose_between_images_of_one_name(tmp_path):
    images = []
    for subset in ("Train", "Validation"):
        save_image(tmp_path / f"images/{subset}/1.jpg")
        images.append(("1.jpg", f'subset="{subset}"', BOX))
    save_cvat(tmp_path / "annotations.xml", images, container="project")
    data = read(tmp_path)
    assert data.splits.tolist() == ["train", "val"]
    assert list(data.files) == [f"{tmp_path}/images/Train/1.jpg", f"{tmp_path}/images/Validation/1.jpg"]


def test_masks_are_drawn_in_the_order_of_z(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    shapes = (
        '<polygon label="dog" points="10,20;30,20;30,50;10,50" z_order="1"/>'
        '<polygon label="cat" points="20,20;40,20;40,50;20,50" z_order="0"/>'
        '<mask label="cat" rle="1,2,3" left="70" top="60" width="3" height="2" z_order="0"/>'
        '<polyline label="cat" points="1,2;9,8;3,3" z_order="0"/>'
    )
    save_image(tmp_path / "data/a.jpg")
    save_cvat(tmp_path / "data/annotations.xml", [("a.jpg", "", shapes)])
    data = read(tmp_path / "data", task="segmentation")
    assert data.classes == ("background", "dog", "cat")
    expected = np.zeros((80, 100), np.uint8)
    expected[20:50, 10:30], expected[20:50, 30:40], expected[60, 71:73] = 1, 2, 2
    assert np.array_equal(np.asarray(Image.open(data.columns["mask"][0])), expected)
    assert [finding.kind for finding in data.findings] == ["no outline"]


def test_tags_are_labels(tmp_path):
    for name in "ab":
        save_image(tmp_path / f"{name}.jpg")
    images = [("a.jpg", "", '<tag label="cat"/>'), ("b.jpg", "", '<tag label="dog"/>')]
    data = read(save_cvat(tmp_path / "annotations.xml", images))
    assert (data.task, data.classes, data.columns["label"].tolist()) == ("classification", ("dog", "cat"), [1, 0])


def test_polygons_of_one_group_are_one_object(tmp_path):
    save_image(tmp_path / "a.jpg")
    part = '<polygon label="cat" group_id="{}" points="{},20;30,20;30,50"/>'
    shapes = part.format(1, 10) + part.format(1, 5) + part.format(0, 1) + part.format(0, 2)
    data = read(save_cvat(tmp_path / "annotations.xml", [("a.jpg", "", shapes)]))
    assert data.columns["boxes"].values[:, 0].tolist() == [5, 1, 2]


def test_a_video_and_broken_shapes_are_named(tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text(
        '<annotations><version>1.1</version><track id="0" label="cat"><box frame="0"/></track></annotations>'
    )
    with pytest.raises(RetinueError, match='it holds 1 tracks of "CVAT for video".*export the task'):
        read(path)
    save_image(tmp_path / "a.jpg")
    shapes = (
        '<box label="cat" xtl="1" ytl="2" xbr="3"/>'
        '<polygon label="cat" points="1,2;3"/>'
        '<mask label="cat" rle="3" left="0" top="0" width="2" height="2"/>'
    )
    data = read(save_cvat(path, [("a.jpg", "", shapes + BOX)]))
    assert [finding.item for finding in data.findings] == [f"shape {n} of a.jpg in annotations.xml" for n in (1, 2, 3)]
    assert "it has no ybr" in data.findings[0].reason and "do not fill its box" in data.findings[2].reason
    path.write_text(path.read_text()[:-20])
    with pytest.raises(RetinueError, match="annotations.xml: its XML can't be read"):
        read(path)


def test_missing_images_are_named_and_not_taken_from_other_data(tmp_path):
    save_image(tmp_path / "other/1.jpg")
    path = save_cvat(tmp_path / "data/annotations.xml", [("1.jpg", "", BOX), ("2.jpg", "", BOX)])
    problem = "annotations of CVAT, but none of its 2 images is there, the first is 1.jpg"
    assert problem in explain_file(str(path)).problem
    (explanation,) = explain(FileTree(str(tmp_path / "data")))
    assert problem in explanation.problem


def test_files_of_voc_are_not_claimed(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><object><name>cat</name></object></annotation>")
    assert explain(FileTree(str(tmp_path))) == []
