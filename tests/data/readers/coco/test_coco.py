"""COCO files as COCO, CVAT and Roboflow lay them out, and what is reported about broken ones."""

import json

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.readers.coco.coco import read_coco
from retinue.data.readers.read import read, understand
from retinue.tests.helpers.box_files import save_coco, save_image


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        save_image(tmp_path / name)
    return tmp_path


def test_ids_boxes_and_flags_are_read(folder):
    annotations = [
        (11, 30, 7, [10, 20, 30, 40], {"iscrowd": 1, "area": 900, "segmentation": {"counts": "ab", "size": [80, 100]}}),
        (12, 20, 1, [1.5, 2.5, 10, 10], {"segmentation": [[1, 2, 3, 4, 5, 6]], "area": 50.5}),
        (13, 30, 1, [0, 0, 5, 5], {"ignore": 1}),
    ]
    path = save_coco(folder / "boxes.json", [(20, "b.jpg"), (30, "a.jpg"), (40, "c.jpg")], annotations)
    data = read(path)
    assert (data.task, data.format, data.classes, data.class_ids) == ("detection", "coco", ("cat", "dog"), (1, 7))
    assert not data.multi_label
    assert list(data.files) == [f"{folder}/{name}.jpg" for name in "bac"]
    records = list(data)
    assert records[0]["boxes"].tolist() == [[1.5, 2.5, 11.5, 12.5]] and records[0]["boxes"].dtype == np.float32
    assert records[1]["boxes"].tolist() == [[10, 20, 40, 60], [0, 0, 5, 5]]
    assert records[1]["labels"].tolist() == [1, 0] and records[1]["labels"].dtype == np.int64
    assert records[1]["crowd"].tolist() == [True, False] and records[1]["difficult"].tolist() == [False, True]
    assert records[1]["area"].tolist() == [900, 25] and records[1]["object_id"].tolist() == [11, 13]
    assert records[2]["boxes"].shape == (0, 4) and len(records[2]["labels"]) == 0
    assert data.columns["image_id"].tolist() == [20, 30, 40]
    assert data.columns["size"].tolist() == [[80, 100]] * 3
    assert data.class_counts().tolist() == [2, 1]
    assert data.take([2, 1]).columns["boxes"][1].tolist() == [[10, 20, 40, 60], [0, 0, 5, 5]]
    assert data.fingerprint != data.take([0, 1]).fingerprint
    assert data.findings == ()


def test_the_layout_of_coco_is_read(tmp_path):
    for name in ("train2017/1.jpg", "val2017/2.jpg"):
        save_image(tmp_path / name)
    save_coco(tmp_path / "annotations/instances_train2017.json", [(1, "1.jpg")], [(1, 1, 1, [0, 0, 9, 9])])
    save_coco(tmp_path / "annotations/instances_val2017.json", [(2, "2.jpg")], [(1, 2, 7, [0, 0, 9, 9])])
    (tmp_path / "annotations/captions_train2017.json").write_text("{}")
    data = read(tmp_path)
    assert list(data.files) == [f"{tmp_path}/train2017/1.jpg", f"{tmp_path}/val2017/2.jpg"]
    assert data.splits.tolist() == ["train", "val"]
    assert data.columns["labels"].values.tolist() == [0, 1]
    only_val = read(tmp_path / "annotations/instances_val2017.json")
    assert only_val.splits.tolist() == [""] and len(only_val) == 1


def test_the_layouts_of_roboflow_and_cvat_are_read(tmp_path):
    categories = ((0, "pets"), (1, "cat"), (2, "dog"))
    for split, box in (("train", 1), ("valid", 2), ("test", 1)):
        save_image(tmp_path / "robo" / split / f"{split}.jpg")
        path = tmp_path / "robo" / split / "_annotations.coco.json"
        save_coco(path, [(0, f"{split}.jpg")], [(0, 0, box, [0, 0, 9, 9])], categories)
        content = json.loads(path.read_text())
        for category in content["categories"][1:]:
            category["supercategory"] = "pets"
        path.write_text(json.dumps(content))
    data = read(tmp_path / "robo")
    assert data.splits.tolist() == ["test", "train", "val"]
    assert data.classes == ("cat", "dog") and data.class_ids == (1, 2)
    assert {finding.kind for finding in data.findings} == {"unused category"}
    save_image(tmp_path / "cvat/images/sub/1.jpg")
    save_coco(tmp_path / "cvat/annotations/instances_default.json", [(1, "sub/1.jpg")], [])
    assert list(read(tmp_path / "cvat").files) == [f"{tmp_path}/cvat/images/sub/1.jpg"]


def test_findings_name_file_and_id(folder):
    annotations = [
        (1, 20, 1, [0, 0, 5, 5]),
        (1, 20, 7, [0, 0, 5, 5]),
        (2, 20, 3, [0, 0, 5, 5]),
        (3, 99, 1, [0, 0, 5, 5]),
        (4, 20, 1, [0, 0, 5]),
        (5, 20, 1, None),
    ]
    path = save_coco(folder / "boxes.json", [(20, "a.jpg")], annotations)
    data = read(path)
    assert data.class_counts().tolist() == [1, 1]
    findings = {finding.kind: finding for finding in data.findings}
    assert len(findings) == len(data.findings) == 5
    assert (
        findings["unknown class"].reason == "annotation 2: unknown class, its category_id 3 is none of the categories"
    )
    assert findings["unknown class"].file == f"{folder}/a.jpg" and findings["unknown class"].severity == "invalid"
    assert findings["unknown image"].reason == "annotation 3: its image_id 99 is none of the images"
    assert findings["not a box"].reason == "annotation 4: its bbox is [0, 0, 5], not x, y, width, height"
    assert findings["duplicate annotation id"].reason == "annotation 1: duplicate id, 2 annotations have it"
    assert findings["no box"].severity == "warning" and findings["no box"].item == "annotation 5"
    assert findings["no box"].reason == "annotation 5: it has no bbox"


def broken(content, **changes):
    return json.dumps(content | changes)


def test_a_broken_file_is_refused(folder):
    path = save_coco(folder / "boxes.json", [(1, "a.jpg"), (1, "b.jpg")], [])
    with pytest.raises(RetinueError, match="duplicate image id 1: a.jpg and b.jpg have it, and no image has an id of"):
        read(path)
    save_coco(path, [(1, "a.jpg")], [(1, 1, 1, [0, 0, 1, 1])], ((1, "cat"), (1, "dog")))
    with pytest.raises(RetinueError, match="two categories have the id 1"):
        read(path)
    save_coco(path, [(1, "a.jpg")], [(1, 1, 1, [0, 0, 1, 1])], ((1, "cat"), (2, "cat")))
    with pytest.raises(RetinueError, match="two categories are named cat"):
        read(path)
    save_coco(path, [(1, "z.jpg")], [])
    with pytest.raises(RetinueError, match="none of its images is there, the first is z.jpg; put the images"):
        read(path)
    save_coco(path, [(1, "a.jpg")], [])
    content = json.loads(path.read_text())
    path.write_text(broken(content, annotations=[{"image_id": 1, "id": 1, "caption": "a cat"}]))
    with pytest.raises(RetinueError, match="it holds captions, which retinue doesn't train on; give the file of inst"):
        read(path)
    path.write_text(broken(content, annotations=[{"image_id": 1, "id": 1, "category_id": 1, "bbox": []}]))
    with pytest.raises(RetinueError, match="none of its 1 annotations has a bbox and a category_id"):
        read(path)
    for text, message in (
        ("[]", "this is not a data source"),
        ('[{"image_id": 1, "bbox": [1, 2, 3, 4]}]', "a list of annotations or detections without the images"),
        ("{", "this is not JSON"),
        ('{"images": []}', "this is not a COCO file"),
    ):
        path.write_text(text)
        with pytest.raises(RetinueError, match=message):
            read(path)
    assert understand(str(path)).format == "coco"


def test_flags_as_text_odd_ids_and_incomplete_entries_are_handled(tmp_path):
    """Such files come from hand-made exporters. Nothing in them may end in a traceback or vanish silently."""
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    box = {"bbox": [1, 2, 10, 10], "category_id": 1}
    content = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 2, "width": 10**20, "height": 30},
        ],
        "annotations": [
            box | {"id": 1, "image_id": 1, "iscrowd": "0"},
            box | {"id": 10**20, "image_id": 1, "iscrowd": "1"},
            box | {"id": 3, "image_id": 1, "category_id": [7]},
            box | {"id": 4, "image_id": "1"},
            box | {"id": 5},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    dataset = read_coco(tmp_path)  # the file is beside its images
    assert dataset.columns["crowd"][0].tolist() == [False, True, False]
    reasons = [finding.reason for finding in dataset.findings]
    assert "annotation 5: it has no image_id" in reasons and "image 2: it has no file_name" in reasons
    assert any('annotation 3: unknown class, its category_id "[7]"' in reason for reason in reasons)
    assert any('annotation 4 with "1"' in reason for reason in reasons)  # it is matched
