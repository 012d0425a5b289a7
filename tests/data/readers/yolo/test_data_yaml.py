"""YOLO's data.yaml as it is written on other machines."""

from collections import Counter
from pathlib import Path

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.read import read
from retinue.data.readers.yolo.data_yaml import is_data_yaml, read_data_yaml
from retinue.tests.helpers.box_files import save_image

NAMES = "names: [car, bus]\n"


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "val"):
        for number in range(2):
            save_image(tmp_path / f"images/{split}/{number}.jpg", (20, 16))
            path = tmp_path / f"labels/{split}/{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number} 0.5 0.5 0.5 0.5\n")
    return tmp_path


def load(folder, text):
    (folder / "data.yaml").write_text(text)
    return read_data_yaml(str(folder / "data.yaml"), FileTree(str(folder)))


@pytest.mark.parametrize(
    "text",
    [
        "path: .\ntrain: images\\train\nval: images\\val\n",
        "train: C:/Users/me/set/images/train\nval: C:/Users/me/set/images/val\n",
        "path: C:\\Users\\me\\set\ntrain: images/train\nval: images/val\ntest: # none\n",
        "train: /images/train\nval: /images/val\ntest: null\n",
        "train: ../images/train\nval: ../images/val\n",
        "train: [images/train]\nvalid: [images/val/]\n",
        "path: /gone\ntrain: /gone/train\nval: /gone/val\n",
    ],
)
def test_folders_are_found_by_the_end_of_their_paths(folder, text):
    files = load(folder, text + NAMES).split_of
    assert {Path(file).parent.name: split for file, split in files.items()} == {"train": "train", "val": "val"}
    assert len(files) == 4
    (folder / "data.yaml").write_text(text + NAMES)
    data = read(folder)
    assert (data.format, data.classes) == ("yolo", ("car", "bus"))
    assert data.columns["labels"].values.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("line", [r".\images\{}\0.jpg", r"C:\Users\me\set\images\{}\0.jpg", "data/images/{}/0.jpg"])
def test_lists_of_images_may_be_of_another_machine(folder, line):
    for split in ("train", "val"):
        (folder / f"{split}.txt").write_text(line.format(split) + "\n")
    files = load(folder, "train: train.txt\nval: val.txt\n" + NAMES).split_of
    assert files == {f"{folder}/images/{split}/0.jpg": split for split in ("train", "val")}


def test_missing_images_of_a_list_are_named(folder):
    (folder / "train.txt").write_text("images/train/0.jpg\nimages/train/7.jpg\n")
    (finding,) = load(folder, "train: train.txt\n" + NAMES).findings
    assert finding.reason == "1 of its 2 images are not there, the first is images/train/7.jpg"
    (folder / "train.txt").write_text("images/train/7.jpg\n")
    with pytest.raises(RetinueError, match="train.txt: none of its 1 images is there, the first is images/train/7.jpg"):
        load(folder, "train: train.txt\n" + NAMES)


def test_a_folder_of_another_split_is_never_taken(folder):
    with pytest.raises(RetinueError, match="train is D:/set/images/training, but there is no"):
        load(folder, "train: D:/set/images/training\n" + NAMES)
    content = load(folder, "train: images/train\ntest: ../test/images\n" + NAMES)
    assert [(finding.kind, finding.item) for finding in content.findings] == [("no such folder", "test")]


def test_a_folder_whose_name_is_no_split_is_honored(folder):
    (folder / "images/val").rename(folder / "images/holdout")
    (folder / "labels/val").rename(folder / "labels/holdout")
    text = "path: 'D:\\set'\ntrain: images/train\nval: images/holdout\n"
    assert Counter(load(folder, text + NAMES).split_of.values()) == {"train": 2, "val": 2}
    (folder / "data.yaml").write_text(text.replace("'", '"') + NAMES)
    with pytest.raises(RetinueError, match=r"data.yaml line 1, column \d+: this is not YAML .* in single quotes"):
        read(folder)  # and not the images without their splits


def test_an_image_of_two_splits_stays_in_the_first(folder):
    content = load(folder, "train: images/train\nval: images/train\n" + NAMES)
    assert set(content.split_of.values()) == {"train"}
    assert content.findings[0].reason == "2 images are listed for val and for an earlier split"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: [yes, no]", {0: "yes", 1: "no"}),
        ("names: [1, 2.50]", {0: "1", 1: "2.50"}),
        ("names: {'0': a, 5: null}\nnc: 2", {0: "a", 5: "null"}),
        ("names: classes.txt", {0: "x", 1: "y"}),
        ("names:\nnc: 1", None),
    ],
)
def test_names_are_the_text_that_is_written(folder, names, expected):
    (folder / "classes.txt").write_text("x\ny\n")
    assert load(folder, "train: images/train\n" + names).settings.names == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: images/train\nnames:\n\t0: car\n", r"line 3, column 1: this is not YAML .*replace the tabs by spaces"),
        ("train: images/train\nnames: ['car' 'bus']", r"line 2, column 15: .* write a comma between the names"),
        ("train: images/train\nnames: {0: a, 0: b}", "line 2, column 15: .*the key 0 is there twice"),
        ("train: images/train\nnames: [car, car]", "the classes 0 and 1 are both called car"),
        ("train: images/train\nnames: car", r"names is the text car, but must be a list .* write names: \[car\]"),
        ("train: images/train\nnames: [a, '']", "class 1 has an empty name"),
        ("train: images/train\nnames: {a: 1}", "names must be a list of class names"),
        ("train: {a: b}\nnames: [a]", "train must be a folder, a text file of paths, or a list"),
        ("train: images/train\nnames: [a]\nkpt_shape: 3", "kpt_shape must be the number of keypoints and 2 or 3"),
        ("train: images/train\nnames: [a]\ntask: box", "task is box, but labels are of detect"),
    ],
)
def test_a_fault_is_named_with_its_cure(folder, text, message):
    with pytest.raises(RetinueError, match=message):
        load(folder, text)
    with pytest.raises(RetinueError, match=message):
        read(folder)


def test_a_data_yaml_is_known_by_its_name_or_its_keys(tmp_path):
    texts = {
        "data.yaml": "[",
        "coco.yml": "train: a\nnames: [x",
        "args.yaml": "val: true\ntask: detect\n",
        "model.yaml": "nc: 80\nbackbone: []\n",
        "config.yaml": "train:\n  epochs: 3\nval:\n  x: 1\nnames: []\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert [name for name in texts if is_data_yaml(str(tmp_path / name))] == ["data.yaml", "coco.yml"]


def test_a_folder_for_validation_that_is_not_there_is_named(folder):
    content = load(folder, "train: [images/train, images/val]\nval: ../valid/images\n" + NAMES)
    assert Counter(content.split_of.values()) == {"train": 4}
    assert [(finding.kind, finding.item) for finding in content.findings] == [("no such folder", "val")]
    with pytest.raises(RetinueError, match="val is ../valid/images, but there is no"):  # images/val may be meant
        load(folder, "train: images/train\nval: ../valid/images\n" + NAMES)


def test_keys_may_be_in_upper_case(folder):
    text = "Train: images/train\nValidation: images/val\n" + NAMES
    assert Counter(load(folder, text).split_of.values()) == {"train": 2, "val": 2}
    assert is_data_yaml(str(folder / "data.yaml"))
    (folder / "data.yaml").rename(folder / "set.yaml")
    assert is_data_yaml(str(folder / "set.yaml"))
