"""labelme's files: shapes, groups, names of classes, images that are found, and what is reported about broken ones."""

import base64
import io
import json

import numpy as np
from PIL import Image

from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.labelme import explain
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image


def shape(label, points, kind="rectangle", group=None, **fields):
    return {"label": label, "points": points, "group_id": group, "shape_type": kind, "flags": {}} | fields


def save_labelme(path, shapes, image=None, **fields):
    """Save a file of labelme for an image of 100 x 80 pixels, by default the JPEG of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "version": "5.2.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": image or f"{path.stem}.jpg",
        "imageData": None,
        "imageHeight": 80,
        "imageWidth": 100,
    }
    path.write_text(json.dumps(content | fields))
    return path


def test_every_shape_with_an_area_becomes_the_box_around_it(tmp_path):
    save_image(tmp_path / "a.jpg")
    shapes = [
        shape("cat", [[48, 36], [16, 12]]),
        shape("dog", [[10, 20], [30, 20], [30, 50]], "polygon"),
        shape("cat", [[50, 40], [53, 44]], "circle"),
        shape("wire", [[1, 2], [9, 8], [20, 4]], "linestrip"),
        shape("eye", [[5, 5]], "point"),
    ]
    save_labelme(tmp_path / "a.json", shapes)
    data = read(tmp_path)
    assert (data.task, data.format, data.classes) == ("detection", "labelme", ("cat", "dog", "wire"))
    assert data.labels_in == "*.json"
    record = list(data)[0]
    assert record["boxes"].tolist() == [[16, 12, 48, 36], [10, 20, 30, 50], [45, 35, 55, 45], [1, 2, 20, 8]]
    assert record["labels"].tolist() == [0, 1, 0, 2] and record["object_id"].tolist() == [1, 2, 3, 4]
    assert (record["image_id"], record["location"], record["size"].tolist()) == ("a", "a.json", [80, 100])
    assert [(finding.kind, finding.reason) for finding in data.findings] == [
        ("no size", "1 points, which have no size"),
        ("lines", "1 of 4 objects are lines or cuboids"),
    ]


def test_shapes_of_one_label_and_group_are_one_object(tmp_path):
    save_image(tmp_path / "a.jpg")
    shapes = [
        shape("cat", [[10, 10], [20, 20]], group=1),
        shape("cat", [[40, 5], [50, 30]], group=1),
        shape("dog", [[0, 0], [5, 5]], group=1),
        shape("cat", [[60, 60], [70, 70]]),
        shape("cat", [[60, 60], [70, 70]]),
    ]
    save_labelme(tmp_path / "a.json", shapes)
    record = list(read(tmp_path))[0]
    boxes = [[10, 5, 50, 30], [0, 0, 5, 5], [60, 60, 70, 70], [60, 60, 70, 70]]
    assert record["boxes"].tolist() == boxes and record["labels"].tolist() == [0, 1, 0, 0]


def test_a_file_of_names_one_folder_up_orders_and_numbers_the_classes(tmp_path):
    save_image(tmp_path / "data/a.jpg")
    shapes = [shape("cat", [[1, 1], [9, 9]]), shape("__ignore__", [[1, 1], [9, 9]]), shape("ant", [[1, 1], [8, 8]])]
    save_labelme(tmp_path / "data/a.json", shapes)
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ndog\ncat\n")
    data = read(tmp_path / "data")
    assert data.classes == ("dog", "cat", "ant") and data.class_ids == ()
    assert data.columns["labels"].values.tolist() == [1, 2]
    assert [finding.kind for finding in data.findings] == ["unlisted class", "no object"]
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ndog\ncat\nant\n")
    assert read(tmp_path / "data").class_ids == (1, 2, 3)


def test_masks_are_drawn_from_shapes_and_ignored_ones_are_void(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    save_image(tmp_path / "data/a.jpg")
    stamp = io.BytesIO()
    Image.fromarray(np.array([[255, 0], [255, 255]], np.uint8)).save(stamp, "PNG")
    shapes = [
        shape("cat", [[10, 20], [30, 20], [30, 50], [10, 50]], "polygon"),
        shape("dog", [[20, 20], [40, 20], [40, 50], [20, 50]], "polygon"),
        shape("__ignore__", [[0, 0], [100, 0], [100, 10], [0, 10]], "polygon"),
        shape("dog", [[60, 70], [61, 71]], "mask", mask=base64.b64encode(stamp.getvalue()).decode()),
    ]
    save_labelme(tmp_path / "data/a.json", shapes)
    data = read(tmp_path / "data", task="segmentation")
    assert data.classes == ("background", "cat", "dog")
    expected = np.zeros((80, 100), np.uint8)
    expected[20:50, 10:20], expected[20:50, 20:40], expected[:10] = 1, 2, 255
    expected[70, 60], expected[71, 60:62] = 2, 2
    assert np.array_equal(np.asarray(Image.open(data.columns["mask"][0])), expected)
    assert read(tmp_path / "data").columns["boxes"].values.tolist()[-1] == [60, 70, 62, 72]


def test_images_in_another_folder_are_found_by_the_listed_path_or_by_their_names(tmp_path):
    for number in range(3):
        save_image(tmp_path / f"images/{number}.png")
        listed = f"..\\images\\{number}.png" if number else "C:\\old\\first.jpg"
        save_labelme(tmp_path / f"json/{number}.json", [shape("cat", [[1, 2], [30, 40]])], listed)
    files = [f"{tmp_path}/images/{number}.png" for number in range(3)]
    assert list(read(tmp_path).files) == files
    assert list(read(tmp_path / "json").files) == files  # the folder of annotations alone
    assert list(read(tmp_path / "json/2.json").files) == files[2:]


def test_splits_are_those_of_the_folders(tmp_path):
    for folder in ("train", "valid"):
        save_image(tmp_path / folder / "a.jpg")
        save_labelme(tmp_path / folder / "a.json", [shape("cat", [[1, 2], [30, 40]])])
    data = read(tmp_path)
    assert data.splits.tolist() == ["train", "val"]
    assert list(data.files) == [f"{tmp_path}/train/a.jpg", f"{tmp_path}/valid/a.jpg"]


def test_flags_without_shapes_are_classes(tmp_path):
    for name, flags in (("a", {"cat": True, "dog": False}), ("b", {"cat": False, "dog": True}), ("c", {})):
        save_image(tmp_path / f"{name}.jpg")
        save_labelme(tmp_path / f"{name}.json", [], flags=flags)
    data = read(tmp_path)
    assert (data.task, data.classes) == ("classification", ("cat", "dog"))
    assert data.columns["label"].tolist() == [0, 1]
    assert [finding.kind for finding in data.findings] == ["no label"]


def test_what_is_broken_is_named_and_the_rest_is_read(tmp_path):
    for name in "abc":
        save_image(tmp_path / f"{name}.jpg")
    shapes = [
        shape("cat", [[1, 2], [3]], "polygon"),
        shape("", [[1, 2], [3, 4]]),
        shape("cat", [[1, 2], [3, 4], [5, 6]], "star"),
        {"points": [[1, 2], [3, 4]]},
        shape("cat", [[1, 2], [30, 40]]),
    ]
    save_labelme(tmp_path / "a.json", shapes)
    (tmp_path / "b.json").write_text('{"version": "5.2.1", "shapes": [')
    (tmp_path / "c.json").write_text('{"other": 1}')
    data = read(tmp_path)
    assert list(data.files) == [f"{tmp_path}/a.jpg"] and len(data.columns["labels"].values) == 1
    assert [finding.item for finding in data.findings[:4]] == [f"shape {number} of a.json" for number in (1, 2, 3, 4)]
    assert [finding.kind for finding in data.findings[4:]] == ["broken annotation", "not labelme", "not annotated"]
    assert "'star' with 3 points" in data.findings[2].reason and "it has no label" in data.findings[3].reason


def test_missing_images_are_named(tmp_path):
    save_labelme(tmp_path / "a.json", [shape("cat", [[1, 2], [30, 40]])], "pics/first.jpg")
    (explanation,) = explain(FileTree(str(tmp_path)))
    assert "these are annotations of labelme, but its image is not there: pics/a.jpg" in explanation.problem
    assert "labelme_export_json" not in explanation.problem
    save_labelme(tmp_path / "a.json", [shape("cat", [[1, 2], [30, 40]])], imageData="/9j/4AAQ")
    (explanation,) = explain(FileTree(str(tmp_path)))
    assert explanation.problem.endswith("from which labelme_export_json writes them out")


def test_of_very_many_files_all_are_read_but_only_some_to_explain_them(tmp_path):
    for number in range(120):
        save_image(tmp_path / f"{number:03d}.jpg", (10, 8))
        name = "rare" if number == 119 else "cat"
        save_labelme(tmp_path / f"{number:03d}.json", [shape(name, [[1, 2], [3, 4]])], imageHeight=8, imageWidth=10)
    (explanation,) = explain(FileTree(str(tmp_path)))
    assert len(explanation.images) == explanation.num_annotations == 120
    data = read(tmp_path)
    assert len(data) == 120 and data.class_counts().tolist() == [119, 1]


def test_splits_may_be_in_the_folders_of_the_annotations(tmp_path):
    for number, folder in enumerate(("train", "val")):
        save_image(tmp_path / f"images/{number}.jpg")
        save_labelme(tmp_path / "json" / folder / f"{number}.json", [shape("cat", [[1, 2], [30, 40]])])
    assert read(tmp_path).splits.tolist() == ["train", "val"]


def test_only_the_images_of_its_files_are_explained(tmp_path):
    for number in range(4):
        save_image(tmp_path / f"{number}.jpg")
    save_labelme(tmp_path / "1.json", [shape("cat", [[1, 2], [30, 40]])])
    (explanation,) = explain(FileTree(str(tmp_path)))
    assert explanation.images == {f"{tmp_path}/1.jpg"} and explanation.tasks == ("detection",)
    (tmp_path / "1.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    assert explain(FileTree(str(tmp_path))) == []


def test_a_polygon_far_outside_of_its_image_is_named_and_not_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    save_image(tmp_path / "data/a.jpg")
    corners = [[10, 10], [20, 10], [20, 20], [10, 20]]
    shapes = [shape("cat", corners, "polygon"), shape("cat", [*corners, [10, 2e19]], "polygon")]
    save_labelme(tmp_path / "data/a.json", shapes)
    data = read(tmp_path / "data", task="segmentation")
    assert np.asarray(Image.open(data.columns["mask"][0])).sum() == 100
    assert [finding.reason for finding in data.findings] == [
        "object 2 of a.json: its polygon lies far outside of the image"
    ]
