"""Lists of ImageSets: names with blanks, columns of flags, and paths."""

import pytest

from retinue.data.readers.split_lists import read_split_lists


def write(folder, **lists):
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")


def test_trainval_only_adds_what_is_in_no_other_list(tmp_path):
    write(tmp_path, train=["1"], val=["2"], test=["3"], trainval=["1", "2", "4"], cat_train=["5 1"], default=["6"])
    assert read_split_lists(tmp_path) == {"1": "train", "2": "val", "3": "test", "4": ""}


def test_lists_have_other_names_and_numbers(tmp_path):
    write(tmp_path, train2017=["1"], val_list=["2"], trainval_2=["3"])
    (tmp_path / "Test.TXT").write_text("4\n")
    assert read_split_lists(tmp_path) == {"1": "train", "2": "val", "3": "", "4": "test"}


@pytest.mark.parametrize(
    ("line", "known", "stem"),
    [
        ("my cat 2", (), "my cat 2"),
        ("000007  1", (), "000007"),
        ("000007 -1", (), "000007"),
        ("my cat  0", (), "my cat"),
        ("scan 1", ("scan 1",), "scan 1"),
        ("scan 1", ("scan",), "scan"),
        ("a.b.c", (), "a.b.c"),
        ("./JPEGImages/a.b.jpg", (), "a.b"),
        ("images/a.jpg annotations/a.xml", (), "a"),
        ("images\\a.jpg", (), "a"),
    ],
)
def test_a_line_is_the_name_of_an_image(tmp_path, line, known, stem):
    write(tmp_path, train=[line])
    assert read_split_lists(tmp_path, known) == {stem: "train"}


def test_a_folder_without_lists_has_none(tmp_path):
    assert read_split_lists(tmp_path) == {} == read_split_lists(tmp_path / "no folder")
