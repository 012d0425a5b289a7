"""YOLO's labels, with a data.yaml and without."""

from pathlib import Path

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read, understand
from retinue.tests.helpers.box_files import save_image


def labels(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def folder(tmp_path):
    for name in ("train/images/a.jpg", "train/images/b.jpg", "valid/images/c.jpg"):
        save_image(tmp_path / name)
    labels(tmp_path / "train/labels/a.txt", "1 0.5 0.5 0.2 0.5\n\n0 0.1 0.1 0.2 0.2\n")
    labels(tmp_path / "valid/labels/c.txt", "0 .1 .1 .3 .1 .3 .2\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: valid/images\nnames: [cat, dog]\nnc: 2\n")
    return tmp_path


def test_fractions_become_pixels(folder):
    for source in (folder, folder / "data.yaml"):
        data = read(source)
        assert (data.format, data.task, data.classes, data.class_ids) == ("yolo", "detection", ("cat", "dog"), (0, 1))
        assert data.splits.tolist() == ["train", "train", "val"]
    boxes = data.columns["boxes"]
    assert boxes[0].ravel().tolist() == pytest.approx([40, 20, 60, 60, 0, 0, 20, 16])
    assert data.columns["labels"][0].tolist() == [1, 0] and data.columns["object_id"][0].tolist() == [1, 3]
    assert len(boxes[1]) == 0
    assert boxes[2].ravel().tolist() == pytest.approx([10, 8, 30, 16])  # around the polygon
    assert [finding.reason for finding in data.findings] == ["1 of 3 images have no label file"]


def test_fractions_are_those_of_the_upright_image(folder):
    save_image(folder / "train/images/a.jpg", orientation=6)
    assert read(folder).columns["boxes"][0][0].tolist() == pytest.approx([32, 25, 48, 75])


def test_names_by_number_lists_of_files_and_a_foreign_path_are_read(folder):
    (folder / "train.txt").write_text("./train/images/b.jpg\n")
    (folder / "data.yaml").write_text("path: /gone\ntrain: [train.txt]\nval: valid/images\nnames: {0: cat, 5: dog}\n")
    labels(folder / "train/labels/b.txt", "5 0.5 0.5 1 1")
    data = read(folder)
    assert data.classes == ("cat", "dog") and data.class_ids == (0, 5)
    assert [Path(file).name for file in data.files] == ["b.jpg", "c.jpg"]
    assert data.columns["labels"].values.tolist() == [1, 0]


def test_folders_without_a_yaml_are_read(tmp_path):
    save_image(tmp_path / "images/a.jpg")
    labels(tmp_path / "labels/a.txt", "2 0.5 0.5 0.2 0.5")
    assert understand(str(tmp_path)).format == "yolo"
    data = read(tmp_path)
    assert data.classes == ("0", "1", "2")
    assert data.findings[0].reason == "nothing names the classes (no data.yaml, no classes.txt)"
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert read(tmp_path).classes == ("a", "b", "c")


def test_a_yaml_without_names_is_read(folder):
    (folder / "data.yaml").write_text("train: train/images\nval: valid/images\n")
    for source in (folder, folder / "data.yaml"):
        data = read(source)
        assert data.classes == ("0", "1") and data.splits.tolist() == ["train", "train", "val"]
        note = data.findings[0]
        assert (note.kind, note.file) == ("no class names", f"{folder}/data.yaml")
        assert note.reason == "nothing names the classes (no names in it, no classes.txt)"
    (folder / "classes.txt").write_text("cat\ndog\n")
    assert read(folder).classes == ("cat", "dog")


def test_a_label_file_without_an_image_is_a_finding(folder):
    labels(folder / "train/labels/gone.txt", "0 .5 .5 .2 .2\n")
    labels(folder / "train/labels/notes.txt", "by Ann\n")
    labels(folder / "train/labels/classes.txt", "cat\ndog\n")
    invalid = [finding for finding in read(folder).findings if finding.severity == "invalid"]
    assert [(finding.kind, finding.file) for finding in invalid] == [
        ("label file without image", f"{folder}/train/labels/gone.txt")
    ]
    assert invalid[0].reason == f"train/labels/gone.txt: no image has its name in {folder}/train/images"
    assert not invalid[0].item  # counts as a file


def test_lines_that_are_not_objects_are_findings(folder):
    labels(folder / "train/labels/a.txt", "9 .5 .5 .1 .1\n0 40 30 10 10\n0 .5 .5 .1\nx\n0 .5 .5 .2 .2\n")
    data = read(folder)
    findings = [(finding.kind, finding.reason) for finding in data.findings if finding.severity == "invalid"]
    assert findings == [
        ("unknown class", "line 1 of train/labels/a.txt: unknown class 9"),
        (
            "pixels where fractions are expected",
            "line 2 of train/labels/a.txt: 40 is not a fraction of the image; are these pixels?",
        ),
        ("not a box", "line 3 of train/labels/a.txt: it does not have five numbers"),
        ("not a box", "line 4 of train/labels/a.txt: it does not have five numbers"),
    ]
    assert data.findings[0].file.endswith("train/images/a.jpg")
    assert data.columns["object_id"][0].tolist() == [5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nc: 2", "this is not a YOLO data.yaml"),
        ("train: train/images\nnames: [a]\nnc: 2", "nc is 2, but there are 1 names"),
        ("train: trian/images\nnames: [a]", "train is trian/images, but there is no"),
        ("train: valid/labels\nnames: [a]", "there are no images"),
        ("names: [", "this is not YAML"),
    ],
)
def test_a_broken_yaml_is_refused(folder, text, message):
    (folder / "data.yaml").write_text(text)
    with pytest.raises(RetinueError, match=message):
        read(folder / "data.yaml")


def test_images_without_any_label_file_are_refused(tmp_path):
    save_image(tmp_path / "images/a.jpg")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [a]")
    with pytest.raises(RetinueError, match="none of the 1 images has a label file; put the labels of .*a.jpg into"):
        read(tmp_path)
