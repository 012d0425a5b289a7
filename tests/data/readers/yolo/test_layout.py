"""YOLO data as it lies: folders are paired by stems and content, whatever they are called."""

from collections import Counter

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.explanation import ReadOptions
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.read import read, understand
from retinue.data.readers.yolo.layout import explain
from retinue.tests.helpers.box_files import save_image

LINE = "0 0.5 0.5 0.5 0.5\n"


def save(root, images, labels, stems, text=LINE, suffix=".jpg"):
    """Save images with their label files."""
    for stem in stems:
        save_image(root / images / f"{stem}{suffix}", (20, 16))
        write(root / labels / f"{stem}.txt", text)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def kinds(data):
    return [finding.kind for finding in data.findings]


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        ([("images", "labels", "ab")], {"": 2}),
        ([("Images", "Labels", "ab")], {"": 2}),
        ([("", "", "ab")], {"": 2}),
        ([("pics", "annots", "ab")], {"": 2}),
        ([("train/images", "train/labels", "ab"), ("valid/images", "valid/labels", "ab")], {"train": 2, "val": 2}),
        ([("images/train", "labels/train", "ab"), ("images/val", "labels/val", "ab")], {"train": 2, "val": 2}),
        ([("obj_Train_data", "obj_Train_data", "ab"), ("obj_Test_data",) * 2 + ("cd",)], {"train": 2, "test": 2}),
        ([("images/train", "labels", "ab"), ("images/val", "labels", "c")], {"train": 2, "val": 1}),
        ([("images", "labels/train", "ab"), ("images", "labels/val", "c")], {"train": 2, "val": 1}),
    ],
)
def test_labels_belong_to_the_images_of_the_same_stems(tmp_path, folders, splits):
    for images, labels, stems in folders:
        save(tmp_path, images, labels, stems)
    write(tmp_path / "classes.txt", "car\n")
    data = read(tmp_path)
    assert (data.format, data.classes, Counter(data.splits)) == ("yolo", ("car",), splits)
    assert data.columns["boxes"].values.tolist() == [[5, 4, 15, 12]] * len(data)
    assert understand(str(tmp_path)).images == FileTree(str(tmp_path)).image_paths


def test_captions_and_other_texts_are_no_labels(tmp_path):
    save(tmp_path, "cat", "cat", "ab", "a cat with 4 legs\n")
    save(tmp_path, "dog", "dog", "cd", "a dog\n")
    write(tmp_path / "requirements.txt", "numpy==1.2\n")
    assert explain(FileTree(str(tmp_path))) == []
    assert understand(str(tmp_path)).format == "class folders"


def test_images_without_labels_count_where_most_have_some(tmp_path):
    save(tmp_path, "images", "labels", "abc")
    save_image(tmp_path / "images/d.jpg")
    assert len(explain(FileTree(str(tmp_path)))[0].images) == 4
    data = read(tmp_path)
    assert np_lengths(data) == [1, 1, 1, 0]
    for number in range(9):
        save_image(tmp_path / f"images/{number}.jpg")
    assert len(explain(FileTree(str(tmp_path)))[0].images) == 3


def np_lengths(data):
    return [len(boxes) for boxes in data.columns["boxes"]]


def test_two_images_of_one_label_file_are_a_warning(tmp_path):
    save(tmp_path, "images", "labels", "a")
    save_image(tmp_path / "images/a.png")
    data = read(tmp_path)
    (finding,) = [finding for finding in data.findings if finding.severity == "warning"]
    assert finding.reason == "labels/a.txt is the label file of a.jpg and a.png"
    assert np_lengths(data) == [1, 1]


def test_labels_of_another_split_are_never_taken(tmp_path):
    save(tmp_path, "images/train", "labels/val", "ab")
    assert explain(FileTree(str(tmp_path))) == []


def test_two_folders_of_labels_for_the_same_images_are_refused(tmp_path):
    save(tmp_path, "pics", "first", "ab")
    save(tmp_path, "pics", "second", "ab")
    with pytest.raises(RetinueError, match="first and .*second have label files for the same images; give one"):
        read(tmp_path)
    assert len(read(tmp_path / "second").columns["labels"].values) == 2
    save(tmp_path, "pics", "pics", "ab", LINE * 2)  # labels beside the images are meant
    assert np_lengths(read(tmp_path)) == [2, 2]


def test_predictions_of_ultralytics_are_no_data(tmp_path):
    save(tmp_path, "images", "labels", "ab")
    save(tmp_path, "runs/detect/predict", "runs/detect/predict/labels", "ab", "0 .5 .5 .1 .1 .9\n")
    data = read(tmp_path)
    assert len(data) == 2 and data.columns["boxes"].values[0].tolist() == [5, 4, 15, 12]
    assert "images without label files" in kinds(data)


def test_class_names_come_from_the_file_that_governs_the_labels(tmp_path):
    save(tmp_path, "train", "train", "ab")
    save(tmp_path, "val", "val", "cd", "1 .5 .5 .1 .1\n")
    write(tmp_path / "train/classes.txt", "x\n")
    write(tmp_path / "val/classes.txt", "x\ny\n")  # labelImg adds the classes that it meets
    assert read(tmp_path).classes == ("x", "y")


def test_notes_json_names_the_classes(tmp_path):
    save(tmp_path, "images", "labels", "ab")
    write(tmp_path / "notes.json", '{"categories": [{"id": 0, "name": "Car"}], "info": {"version": "1.0"}}')
    (explanation,) = explain(FileTree(str(tmp_path)))
    assert explanation.read(ReadOptions()).classes == ("Car",)


def test_several_data_sets_are_refused_with_the_command_for_each(tmp_path):
    for name in "xy":
        save(tmp_path, f"{name}/images", f"{name}/labels", "ab")
        write(tmp_path / f"{name}/classes.txt", f"{name}\n")
    with pytest.raises(RetinueError, match="several YOLO data sets .*retinue check .*/x, retinue check .*/y"):
        read(tmp_path)
    assert read(tmp_path / "y").classes == ("y",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,.5,.5,.1,.1\n", "are separated by commas"),
        ("car 10 10 20 20\n", "begin with the names of classes"),
        ("1 1 5 1 5 5 1 5 plane 0\n", "text files are DOTA's"),
        ("10 10 20 20 car\n", "have corners in pixels, then the class name; list the boxes in a CSV"),
        ("9,8,5,4,1,4,0,0\n", "are VisDrone's"),
    ],
)
def test_labels_that_only_resemble_yolo_are_named(tmp_path, text, message):
    save(tmp_path, "images", "labels", "ab", text)
    with pytest.raises(RetinueError, match=message):
        read(tmp_path)
    write(tmp_path / "data.yaml", "train: images\nnames: [car]\n")
    with pytest.raises(RetinueError, match=message):
        read(tmp_path)


def test_a_split_without_any_label_file_is_left_out(tmp_path):
    save(tmp_path, "train/images", "train/labels", "ab")
    save(tmp_path, "valid/images", "valid/labels", "c")
    save_image(tmp_path / "valid/images/background.jpg")
    save_image(tmp_path / "test/images/e.jpg")
    write(tmp_path / "data.yaml", "train: train/images\nval: valid/images\ntest: test/images\nnames: [car]\n")
    data = read(tmp_path)
    assert data.splits.tolist() == ["train", "train", "val", "val"]
    (finding,) = [finding for finding in data.findings if finding.kind == "split without labels"]
    assert (finding.severity, finding.reason) == ("warning", "none of the 1 images of test has a label file")


def test_a_data_yaml_deeper_in_the_tree_is_found(tmp_path):
    save(tmp_path, "set/images", "set/annots", "ab")
    write(tmp_path / "set/data.yaml", "train: images\nnames: [car]\n")
    write(tmp_path / "model.yaml", "nc: 3\nbackbone: []\n")
    assert read(tmp_path).classes == ("car",)
    assert read(tmp_path).splits.tolist() == ["train", "train"]


def test_poses_are_read_by_their_boxes(tmp_path):
    save(tmp_path, "images", "labels", "ab", "0 .5 .5 .5 .5 .6 .6 .3 .4\n")
    with pytest.raises(RetinueError, match="can be a pose"):
        read(tmp_path)
    write(tmp_path / "data.yaml", "train: images\nnames: [hand]\nkpt_shape: [2, 2]\n")
    data = read(tmp_path)
    assert data.columns["boxes"].values.tolist() == [[5, 4, 15, 12]] * 2
    assert kinds(data) == ["numbers that are not used"]


def test_labels_that_the_data_yaml_does_not_list_are_left_out_with_a_note(tmp_path):
    save(tmp_path, "train/images", "train/labels", "ab")
    save(tmp_path, "test/images", "test/labels", "cd")
    write(tmp_path / "data.yaml", "train: ../train/images\nnames: [car]\n")
    data = read(tmp_path)
    assert data.splits.tolist() == ["train", "train"]
    assert [finding.reason for finding in data.findings] == [
        "2 images are labeled, but in none of its folders and lists"
    ]


def test_images_with_a_file_of_another_format_are_no_images_without_objects(tmp_path):
    save(tmp_path, "", "", "ab")
    save_image(tmp_path / "c.jpg")
    save_image(tmp_path / "d.jpg")
    write(tmp_path / "c.json", '{"boxes": []}')
    data = read(tmp_path)
    assert [file[-5:] for file in data.files] == ["a.jpg", "b.jpg", "d.jpg"]
    assert "not used" in kinds(data)
