"""Which files are COCO's, where their images are, and which splits they are, in the layouts that programs write."""

import json

import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.coco import layout as coco_layout
from retinue.data.readers.coco.layout import look_into
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.read import read, understand
from retinue.tests.helpers.box_files import save_coco, save_image

BOX = [0, 0, 9, 9]


def save_data(folder, json_name, *names, images="", first_id=1, **fields):
    """Save images below `folder`/`images` and a COCO file with a box in each."""
    listed = list(enumerate(names, first_id))
    for _, name in listed:
        save_image(folder / images / name)
    return save_coco(folder / json_name, listed, [(number, number, 1, BOX, fields) for number, _ in listed])


def files_of(dataset, folder):
    return [file.removeprefix(f"{folder}/") for file in dataset.files]


@pytest.mark.parametrize(
    ("json_name", "images", "names"),
    [
        ("boxes.json", "", ["1.jpg"]),
        ("labels.json", "data", ["1.jpg"]),  # FiftyOne's
        ("annotations/instances_default.json", "images", ["a/1.jpg"]),  # CVAT's
        ("result.json", "images", ["1.jpg"]),  # Label Studio's
        ("Annotations/all.json", "My images/2020", ["1.jpg"]),
        ("annotations.json", "JPEGImages", ["1.jpg"]),
    ],
)
def test_images_are_found_in_folders_of_any_name(tmp_path, json_name, images, names):
    save_data(tmp_path, json_name, *names, images=images)
    dataset = read(tmp_path)
    assert (dataset.format, len(dataset)) == ("coco", 1)
    assert dataset.files[0] == str(tmp_path / images / names[0]) and dataset.splits.tolist() == [""]
    assert read(tmp_path / json_name).files.tolist() == dataset.files.tolist()


def test_a_folder_of_annotations_finds_the_images_beside_it(tmp_path):
    save_data(tmp_path, "annotations/train.json", "1.jpg", images="images/train")
    save_data(tmp_path, "annotations/val.json", "1.jpg", images="images/val", first_id=2)
    dataset = read(tmp_path / "annotations")
    assert files_of(dataset, tmp_path) == ["images/train/1.jpg", "images/val/1.jpg"]
    assert dataset.splits.tolist() == ["train", "val"]
    explanation = understand(str(tmp_path))
    assert explanation.source == f"{tmp_path}/annotations" and explanation.labels.count(".json") == 2


def test_data_beside_another_folder_is_not_taken_for_the_images(tmp_path):
    save_data(tmp_path, "mine/boxes.json", "1.jpg", images="other data")
    with pytest.raises(RetinueError, match="none of its images is there, the first is 1.jpg"):
        read(tmp_path / "mine")
    with pytest.raises(RetinueError, match="none of its images is there, the first is 1.jpg"):
        read(tmp_path / "mine/boxes.json")


def test_files_of_splits_share_a_folder_of_images_or_have_their_own(tmp_path):
    for root, images in (("one", ("images", "images")), ("own", ("train", "val"))):
        save_data(tmp_path / root, "train.json", "1.jpg", "2.jpg", images=images[0])
        save_data(tmp_path / root, "val.json", "3.jpg", images=images[1], first_id=3)
        dataset = read(tmp_path / root)
        assert dataset.splits.tolist() == ["train", "train", "val"]
        assert dataset.columns["image_id"].tolist() == [1, 2, 3]


def test_minival_is_for_validation(tmp_path):
    save_data(tmp_path, "instances_train2014.json", "1.jpg", images="images")
    save_data(tmp_path, "instances_minival2014.json", "2.jpg", images="images", first_id=2)
    dataset = read(tmp_path)
    assert dict(zip(files_of(dataset, tmp_path), dataset.splits, strict=True)) == {
        "images/1.jpg": "train",
        "images/2.jpg": "val",
    }


def test_trainval_has_no_split_and_test_keeps_its_own(tmp_path):
    save_data(tmp_path, "annotations/instances_test2017.json", "3.jpg", images="images", first_id=3)
    save_data(tmp_path, "annotations/instances_trainval2017.json", "1.jpg", "2.jpg", images="images")
    dataset = read(tmp_path)
    assert sorted(zip(files_of(dataset, tmp_path), dataset.splits, strict=True)) == [
        ("images/1.jpg", ""),
        ("images/2.jpg", ""),
        ("images/3.jpg", "test"),
    ]


def test_a_file_of_all_images_adds_what_the_files_of_splits_lack(tmp_path):
    save_data(tmp_path, "train.json", "1.jpg", images="images")
    save_data(tmp_path, "val.json", "2.jpg", images="images", first_id=2)
    save_data(tmp_path, "all.json", "1.jpg", "2.jpg", "3.jpg", images="images")
    dataset = read(tmp_path)
    assert dataset.splits.tolist() == ["train", "val", ""]
    assert files_of(dataset, tmp_path) == [f"images/{number}.jpg" for number in (1, 2, 3)]
    assert len(dataset.columns["labels"].values) == 3
    (finding,) = dataset.findings
    assert finding.reason.startswith("2 of its images are in ") and finding.severity == "note"


def test_a_copy_counts_once_and_a_contradiction_is_refused(tmp_path):
    path = save_data(tmp_path, "boxes.json", "1.jpg", images="images")
    (tmp_path / "boxes (1).json").write_bytes(path.read_bytes())
    dataset = read(tmp_path)
    assert len(dataset) == 1 and [finding.kind for finding in dataset.findings] == ["copy of a COCO file"]
    save_coco(tmp_path / "boxes (1).json", [(9, "1.jpg")], [(5, 9, 1, BOX)])  # the same in other words
    assert len(read(tmp_path)) == 1
    save_coco(tmp_path / "boxes (1).json", [(9, "1.jpg")], [(5, 9, 1, [1, 1, 2, 2])])
    with pytest.raises(RetinueError, match="it has other objects of .*1.jpg than .*; give one of the two files"):
        read(tmp_path)


def test_other_json_is_not_taken_for_coco(tmp_path):
    save_data(tmp_path, "annotations/boxes.json", "1.jpg", images="images")
    for number, content in enumerate(
        (
            {"categories": [{"id": 1, "name": "cat"}], "info": {}},
            {"images": 8, "categories": ["a", "b"]},
            {"images": [{"file_name": "1.jpg"}]},
            {"images": ["1.jpg"], "annotations": []},
            [{"image_id": 1, "category_id": 1, "bbox": BOX, "score": 1}],
            {"shapes": [], "imagePath": "1.jpg"},
            {"attributes": {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": []}},
        )
    ):
        (tmp_path / f"annotations/{number}.json").write_text(json.dumps(content))
        assert look_into(str(tmp_path / f"annotations/{number}.json")) is None
    (tmp_path / "annotations/cut.json").write_text('{"images": [{"id": 1, "file_na')
    assert files_of(read(tmp_path), tmp_path) == ["images/1.jpg"]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"caption": "a cat"}, "it is a file of captions"),
        ({"segments_info": []}, "it is a file of panoptic"),
        ({"keypoints": [1, 2, 2], "bbox": BOX, "category_id": 1}, "it is a file of keypoints"),
    ],
)
def test_files_of_other_kinds_are_ignored_beside_instances(tmp_path, entry, reason):
    save_data(tmp_path, "annotations/a.json", "1.jpg", images="images")
    content = json.loads((tmp_path / "annotations/a.json").read_text())
    content["annotations"] = [{"id": 1, "image_id": 1} | entry]
    (tmp_path / "annotations/b.json").write_text(json.dumps(content))
    (finding,) = read(tmp_path).findings
    assert finding.reason == reason and finding.file.endswith("b.json")


def test_images_without_annotations_and_captions_are_refused(tmp_path):
    path = save_data(tmp_path, "image_info.json", "1.jpg")
    content = json.loads(path.read_text())
    del content["annotations"]
    path.write_text(json.dumps(content))
    with pytest.raises(RetinueError, match="it lists images, but has no annotations"):
        read(tmp_path)


def test_keypoints_are_read_as_boxes_with_a_note(tmp_path):
    save_data(tmp_path, "a.json", "1.jpg", keypoints=[1, 2, 2], num_keypoints=1)
    dataset = read(tmp_path)
    assert dataset.columns["boxes"].values.tolist() == [[0, 0, 9, 9]]
    assert [finding.kind for finding in dataset.findings] == ["keypoints"]


def test_a_file_whose_images_are_missing_names_the_first_and_the_other_file(tmp_path):
    save_data(tmp_path, "annotations/val.json", "1.jpg", images="val")
    save_coco(tmp_path / "annotations/train.json", [(1, "x.jpg")], [(1, 1, 1, BOX)])
    with pytest.raises(RetinueError, match=r"train.json: .*the first is x.jpg; .*or give .*val.json, whose images are"):
        read(tmp_path)
    (tmp_path / "val/1.jpg").unlink()
    with pytest.raises(RetinueError, match="the first is x.jpg"):
        read(tmp_path)


def test_large_files_are_only_looked_into(tmp_path, monkeypatch):
    """The limit is lowered, so that a small file counts as a large one."""
    save_data(tmp_path, "a.json", "1.jpg", images="images")
    save_image(tmp_path / "images/2.jpg")
    monkeypatch.setattr(coco_layout, "PARSED_SIZE", 10)
    content = look_into(str(tmp_path / "a.json"))
    assert (content.kind, content.names, content.is_complete) == ("instances", ("1.jpg",), False)
    assert len(understand(str(tmp_path)).images) == 2  # those of the folder of the first images
    (tmp_path / "b.json").write_text('{"images": [], "categories": []}')
    assert look_into(str(tmp_path / "b.json")) is None
    save_data(tmp_path, "a.json", "1.jpg", images="images", segments_info=[])
    assert look_into(str(tmp_path / "a.json")).kind == "panoptic"


def test_names_of_images_may_be_paths_of_another_machine_or_addresses(tmp_path):
    for number in (1, 2):
        save_image(tmp_path / f"images/{number}.JPG")
    for names in (
        ["C:\\Users\\me\\pics\\1.JPG", "C:\\Users\\me\\pics\\2.JPG"],
        ["http://localhost:8080/upload/1.JPG?d=1", "http://localhost:8080/upload/2.JPG?d=1"],
        ["../images/1.jpg", "../images/2.jpg"],
    ):
        save_coco(tmp_path / "boxes.json", list(enumerate(names)), [(1, 0, 1, BOX)])
        assert files_of(read(tmp_path), tmp_path) == ["images/1.JPG", "images/2.JPG"]


def test_lvis_gives_addresses_instead_of_names(tmp_path):
    save_image(tmp_path / "train2017/1.jpg")
    save_image(tmp_path / "val2017/1.jpg")
    path = save_coco(tmp_path / "lvis_v1_train.json", [(1, "")], [(1, 1, 1, BOX)])
    content = json.loads(path.read_text())
    content["images"] = [{"id": 1, "coco_url": "http://images.cocodataset.org/val2017/1.jpg"}]
    path.write_text(json.dumps(content))
    assert files_of(read(tmp_path), tmp_path) == ["val2017/1.jpg"]


def test_drawings_of_the_images_are_explained_and_ignored(tmp_path):
    save_data(tmp_path, "annotations.json", "1.jpg", images="JPEGImages")
    save_image(tmp_path / "Visualization/1.jpg")
    dataset = read(tmp_path)
    assert files_of(dataset, tmp_path) == ["JPEGImages/1.jpg"]
    assert [finding.kind for finding in dataset.findings] == ["folder of drawings"]
    assert len(understand(str(tmp_path)).images) == 2


def test_ids_are_matched_by_number_only_where_this_is_unambiguous(tmp_path):
    for name in "ab":
        save_image(tmp_path / f"{name}.jpg")
    path = save_coco(tmp_path / "a.json", [(0, "a.jpg"), (1, "b.jpg")], [(1, 0, 1, BOX)], [("1", "cat"), (2.0, "dog")])
    content = json.loads(path.read_text())
    content["images"][0]["id"] = "000"
    content["annotations"] = [
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": BOX},
        {"id": 2, "image_id": "1.0", "category_id": "2", "bbox": BOX, "attributes": {"id": 3, "file_name": "c.jpg"}},
    ]
    path.write_text(json.dumps(content))
    dataset = read(path)
    assert [len(boxes) for boxes in dataset.columns["boxes"]] == [1, 1] and len(dataset) == 2
    assert dataset.columns["labels"].values.tolist() == [0, 1] and dataset.class_ids == ("1", 2)
    assert dataset.columns["image_id"].tolist() == ["000", 1]
    assert {finding.kind for finding in dataset.findings} == {"ids of unlike types"}
    content["images"][1]["id"] = "0"  # now the number 0 may be either
    path.write_text(json.dumps(content))
    assert "unknown image" in {finding.kind for finding in read(path).findings}


def test_boxes_in_dialects(tmp_path):
    path = save_data(tmp_path, "a.json", "1.jpg", "2.jpg")
    content = json.loads(path.read_text())
    content["annotations"] = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 50], "bbox_mode": 0},  # detectron2's corners
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [], "segmentation": [[1, 2, 5, 2, 5, 9]]},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": ["1", "2", "3", "4"]},
        {"id": 4, "image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "bbox_mode": 4},
        {"id": 5, "image_id": 2, "category_id": 1, "bbox": [[1, 2, 3, 4]]},
        {"id": 6, "image_id": 2, "category_id": 1},
    ]
    path.write_text(json.dumps(content))
    dataset = read(path)
    assert dataset.columns["boxes"].values.tolist() == [[10, 20, 30, 50], [1, 2, 5, 9], [1, 2, 4, 6]]
    assert [finding.reason for finding in dataset.findings] == [
        "annotation 4: its bbox_mode is 4, not 0 (x1, y1, x2, y2) or 1 (x, y, width, height)",
        "annotation 5: its bbox is [[1, 2, 3, 4]], not x, y, width, height",
        "annotation 6: it has no bbox",
    ]


def test_sizes_as_text_and_images_without_an_id(tmp_path):
    path = save_data(tmp_path, "a.json", "1.jpg")
    content = json.loads(path.read_text())
    content["images"][0] |= {"height": "80", "width": 100.0}
    content["images"] += [{"file_name": "2.jpg"}, 7]
    path.write_text(json.dumps(content))
    dataset = read(path)
    assert dataset.columns["size"].tolist() == [[80, 100]] and dataset.columns["size"].dtype == np.int32
    assert [finding.reason for finding in dataset.findings] == ["image 2.jpg: it has no id", "7 is among the images"]


def test_the_tree_of_a_folder_without_coco_explains_nothing(tmp_path):
    save_image(tmp_path / "1.jpg")
    assert coco_layout.layout_of_folder(FileTree(str(tmp_path))) is None
