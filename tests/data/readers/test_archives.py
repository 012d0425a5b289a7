"""Images that are missing may lie in an archive that nobody unpacked."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.archives import unpack_first
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.read import read
from retinue.tests.helpers.box_files import save_coco


def test_archives_are_named(tmp_path):
    assert unpack_first(FileTree(str(tmp_path))) == ""
    for name in ("a.zip", "b.tar.gz", "c.7z", "d.rar", "e.txt"):
        (tmp_path / name).touch()
    assert unpack_first(FileTree(str(tmp_path))) == "unpack a.zip, b.tar.gz, c.7z and 1 more first"


def test_missing_images_may_be_in_an_archive(tmp_path):
    (tmp_path / "images.zip").touch()
    with pytest.raises(RetinueError, match="there are no images and no videos in it; unpack images.zip first"):
        read(tmp_path)
    save_coco(tmp_path / "boxes.json", [(1, "1.jpg")], [(1, 1, 1, [0, 0, 9, 9])])
    with pytest.raises(RetinueError, match="none of its images is there, the first is 1.jpg; .*; unpack images.zip"):
        read(tmp_path)
    (tmp_path / "boxes.json").unlink()
    (tmp_path / "1.xml").write_text("<annotation><object><name>cat</name></object></annotation>")
    with pytest.raises(RetinueError, match="none of their images is there, the first is 1; unpack images.zip first"):
        read(tmp_path)
