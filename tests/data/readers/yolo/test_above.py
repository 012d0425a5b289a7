"""Folders of labels or of images that are given without the other."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_image


@pytest.fixture
def folder(tmp_path):
    for split in ("train", "val"):
        (tmp_path / f"{split}/labels").mkdir(parents=True)
        save_image(tmp_path / f"{split}/images/a.jpg")
        (tmp_path / f"{split}/labels/a.txt").write_text("0 .5 .5 .5 .5\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../val/images\nnames: [car]\n")
    return tmp_path


@pytest.mark.parametrize(
    ("part", "kinds"),
    [
        ("train", ["class names from above"]),
        ("train/labels", ["class names from above", "images beside the source"]),
        ("train/images", ["class names from above", "label files beside the source"]),
    ],
)
def test_a_part_of_the_data_is_read_with_what_lies_beside_it(folder, part, kinds):
    data = read(folder / part)
    assert (data.format, data.classes, data.files.tolist()) == ("yolo", ("car",), [f"{folder}/train/images/a.jpg"])
    assert data.columns["boxes"].values.tolist() == [[25, 20, 75, 60]]
    assert [finding.kind for finding in data.findings] == kinds


def test_a_yaml_above_must_list_the_folder(folder):
    (folder / "data.yaml").write_text("train: other/images\nnames: [bus]\n")
    assert read(folder / "train").classes == ("0",)
    (folder / "classes.txt").write_text("van\n")
    assert read(folder / "train").classes == ("van",)


@pytest.mark.parametrize("text", ["path: ../SET\ntrain: images\n", "train: SET/train\n"])
def test_a_yaml_above_may_have_any_name(folder, text):
    (folder / "data.yaml").unlink()
    (folder.parent / "toys.yaml").write_text(text.replace("SET", folder.name) + "names: [bus]\n")
    assert read(folder / "train").classes == ("bus",)


def test_labels_whose_folder_has_another_name_find_their_images(tmp_path):
    save_image(tmp_path / "pics/sub/a.jpg")
    (tmp_path / "annots/sub").mkdir(parents=True)
    (tmp_path / "annots/sub/a.txt").write_text("0 .5 .5 .5 .5\n")
    assert read(tmp_path / "annots").files.tolist() == [f"{tmp_path}/pics/sub/a.jpg"]


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 .5 .5 .5 .5\n")
    for source in (tmp_path, tmp_path / "labels"):
        with pytest.raises(RetinueError, match="there are 1 label files of YOLO, but not their images; put the images"):
            read(source)
    (tmp_path / "labels/a.txt").unlink()
    (tmp_path / "labels/classes.txt").write_text("car\n")
    with pytest.raises(RetinueError, match="classes.txt names classes, but there are no images; add them"):
        read(tmp_path)
