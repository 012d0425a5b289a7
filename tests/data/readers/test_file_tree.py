"""`FileTree`: what is listed, and which images belong to the annotation files of a folder."""

import pytest

from retinue.data.readers.file_tree import FileTree, common_folder, split_in_path, tree_around
from retinue.data.storage.file_names import split_of_name


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return FileTree(str(folder))


def test_all_files_are_listed_but_what_systems_leave_behind(tmp_path):
    tree = make(tmp_path, "b.txt", "a/2.JPG", "a/1.png", "__pycache__/x.jpg", ".git/1.jpg", "lost+found/1.jpg")
    assert tree.names == {"": ["b.txt"], "a": ["1.png", "2.JPG"]}
    assert tree.images == {"a": {"1": "1.png", "2": "2.JPG"}}
    assert tree.image_paths == {str(tmp_path / "a/1.png"), str(tmp_path / "a/2.JPG")}
    assert list(tree.files((".txt", ".png"))) == [("", "b.txt"), ("a", "1.png")]


def test_the_depth_can_be_limited(tmp_path):
    make(tmp_path, "1.jpg", "a/2.jpg", "a/b/3.jpg")
    assert set(FileTree(str(tmp_path), depth=1).names) == {"", "a"}


def test_only_a_folder_of_annotations_has_images_beside_it(tmp_path):
    make(tmp_path, "images/a/1.jpg", "Annotations/1.xml", "cats/boxes.json")
    assert set(tree_around(str(tmp_path / "Annotations")).images) == {"images/a"}
    assert tree_around(str(tmp_path / "cats")) is None


@pytest.mark.parametrize("name", ["cars_voc", "coco", "s_coco", "voc_noimages", "dataset", "cat_annotations"])
def test_a_data_set_without_images_takes_none_of_its_neighbors(tmp_path, name):
    make(tmp_path, "other/JPEGImages/1.jpg", f"{name}/1.xml")
    assert tree_around(str(tmp_path / name)) is None


@pytest.mark.parametrize("name", ["annotations_trainval2017", "voc_labels", "xml", "train_annot", "Ground_Truth"])
def test_folders_of_annotations_have_images_beside_them(tmp_path, name):
    make(tmp_path, "images/1.jpg", f"{name}/1.xml")
    assert set(tree_around(str(tmp_path / name)).images) == {"images"}


def test_links_are_followed_but_never_in_circles(tmp_path):
    make(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "a/b").symlink_to(tmp_path / "b")
    (tmp_path / "b/a").symlink_to(tmp_path / "a")
    assert set(FileTree(str(tmp_path)).images) == {"a", "a/b", "b", "b/a"}


def test_the_images_of_annotations_are_those_with_the_same_stems(tmp_path):
    tree = make(tmp_path, *(f"Pics/{number}.jpg" for number in range(9)), "other/0.jpg", "Labels/0.xml")
    assert tree.find_image_folder("Labels", [str(number) for number in range(9)]) == "Pics"
    assert tree.find_image_folder("Labels", ["0"], excluded=["Pics"]) == "other"
    assert tree.find_image_folder("Labels", ["none"]) is None


@pytest.mark.parametrize(
    "names",
    [
        ("train/images", "train/labels"),
        ("images/train", "labels/train"),
        ("train", "trainannot"),
        ("i/train2017", "l/train"),
    ],
)
def test_of_equal_stems_the_folder_of_the_same_split_is_taken(tmp_path, names):
    def of_split(name, split):
        return name.replace("train", split)

    for split in ("train", "val", "test"):
        make(tmp_path, f"{of_split(names[0], split)}/1.jpg", f"{of_split(names[1], split)}/1.txt")
    tree = FileTree(str(tmp_path))
    for split in ("train", "val", "test"):
        assert tree.find_image_folder(of_split(names[1], split), ["1"]) == of_split(names[0], split)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("train", "train"), ("Training", "train"), ("train2017", "train"), ("training_set", "train")),
        *(("obj_Train_data", "train"), ("trainannot", "train"), ("test1", "test"), ("dev", "val"), ("seg_val", "val")),
        *(("trainval", ""), ("train_dog", ""), ("images", ""), ("testimony", ""), ("streetcar", ""), ("2017", "")),
    ],
)
def test_splits_are_found_in_names(name, split):
    assert split_of_name(name) == split


def test_the_innermost_split_of_a_path_decides():
    assert split_in_path("train/val/images") == "val"
    assert split_in_path("a/b") == "" == split_in_path("")


def test_the_common_folder_is_the_innermost():
    assert common_folder(["a/b/c", "a/b/d"]) == "a/b"
    assert common_folder(["a/b", "a/bc"]) == "a"
    assert common_folder(["a", ""]) == "" == common_folder([])
