"""Tests of the order of names and of the paths at which results are written."""

import itertools
import os

import pytest

from retinue.pipeline.inputs.path_names import natural_sort_key, output_path


def test_natural_order():
    assert sorted(["x10", "x9", "x010", "y1", "x"], key=natural_sort_key) == ["x", "x9", "x10", "x010", "y1"]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("images/1.jpg", "images/1.jpg.png"),
        ("/images/1.jpg", "_root/images/1.jpg.png"),
        ("../../images/1.jpg", "_parent/_parent/images/1.jpg.png"),
        ("_root/images/1.jpg", "__root/images/1.jpg.png"),
        ("s3://bucket/images/1.jpg", "s3:/bucket/images/1.jpg.png"),
    ],
)
def test_output_paths(file, expected):
    assert output_path(file, ".png").as_posix() == expected


def test_every_file_has_an_output_path_of_its_own():
    names = ("images/1.jpg", "images/1.png", "images/1", "images/1.jpg.jpg", "images/1.png.jpg", "1.jpg")
    folders = (
        "",
        "/",
        "../",
        "../../",
        "_root/",
        "_parent/",
        "__root/",
        "s3:/",
        "s3://",
        "s3:///",
        "s3://../",
        "_s3:/",
    )
    files = [folder + name for folder, name in itertools.product(folders, names)]
    paths = {output_path(file, ".jpg") for file in files}
    assert len(paths) == len(files)
    assert not any(path.is_absolute() or os.pardir in path.parts for path in paths)
