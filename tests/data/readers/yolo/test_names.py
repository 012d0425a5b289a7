"""The files that name the classes of YOLO data."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.yolo.names import (
    find_names_files,
    governing_names_files,
    merged_names,
    number_names,
    read_names_file,
)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_names_are_counted_from_0(tmp_path):
    assert read_names_file(write(tmp_path / "a.names", "car\n yes \n\n")) == {0: "car", 1: "yes"}
    notes = '{"categories": [{"id": 1, "name": "b"}, {"id": 0, "name": "a"}]}'
    assert read_names_file(write(tmp_path / "notes.json", notes)) == {0: "a", 1: "b"}


@pytest.mark.parametrize(
    "text",
    [
        "0: a\n1: b c\n2: d\n",
        "0 a\n1 b c\n2 d\n",
        "a 0\nb c 1\nd 2\n",
        "a, b c, d\n",
        '["a", "b c", "d"]\n',
        "['a', 'b c', 'd']\n",
        '{"0": "a", "1": "b c", "2": "d"}',
        "{'a': 0, 'b c': 1, 'd': 2}",
    ],
)
def test_numbers_and_lists_are_no_part_of_the_names(tmp_path, text):
    assert read_names_file(write(tmp_path / "classes.txt", text)) == {0: "a", 1: "b c", 2: "d"}


@pytest.mark.parametrize("names", [["1 cent", "2 cent"], ["class 0", "class 1"], ["3 d", "4 d"], ["0 a", "b"]])
def test_names_may_have_numbers(tmp_path, names):
    path = write(tmp_path / "classes.txt", "\n".join(names))
    assert read_names_file(path) == dict(enumerate(names))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("classes.txt", "", "this file is empty"),
        ("classes.txt", "a\n\nb\n", "classes.txt line 2: this line is empty"),
        ("classes.txt", "a\nb\na\n", "the classes 0 and 2 are both called a"),
        ("notes.json", '{"categories": [1]}', "its categories have no id and name"),
        ("notes.json", "{", "its categories have no id and name"),
        ("classes.txt", "[a, [b]]", "neither a name in each line nor a list of names; write a class name into each"),
        ("classes.txt", "{a: b", "neither a name in each line nor a list of names"),
    ],
)
def test_broken_lists_are_refused(tmp_path, name, text, message):
    with pytest.raises(RetinueError, match=message):
        read_names_file(write(tmp_path / name, text))


def test_files_that_name_classes_are_found_by_name_and_content(tmp_path):
    write(tmp_path / "labels/classes.txt", "a\n")
    write(tmp_path / "obj.names", "a\n")
    write(tmp_path / "my_labels.txt", "a cat\nb\n")
    write(tmp_path / "label_counts.txt", "a 7\n")
    write(tmp_path / "class_list.txt", "x/1.jpg\n")
    write(tmp_path / "README.txt", "a\n")
    write(tmp_path / "class1.txt", "a\n")
    write(tmp_path / "class1.jpg", "")
    assert find_names_files(FileTree(str(tmp_path))) == ["obj.names", "labels/classes.txt", "my_labels.txt"]


def test_the_nearest_file_above_governs():
    paths = ["classes.txt", "b/classes.txt", "c/classes.txt"]
    assert governing_names_files(paths, ["b/labels", "b/images"]) == ["b/classes.txt"]
    assert governing_names_files(paths, ["a/labels"]) == ["classes.txt"]
    assert governing_names_files(["models/classes.txt"], ["a/labels"]) == ["models/classes.txt"]


def test_a_list_that_continues_another_one_is_taken(tmp_path):
    short, long = write(tmp_path / "a/classes.txt", "x\n"), write(tmp_path / "b/classes.txt", "x\ny\n")
    assert merged_names([short, long]) == ({0: "x", 1: "y"}, long)
    assert merged_names([]) == (None, "")
    other = write(tmp_path / "c/classes.txt", "y\nx\n")
    with pytest.raises(RetinueError, match="class 0 is x, but y in|class 0 is y, but x in"):
        merged_names([other, long])


def test_numbers_are_names_where_nothing_else_is():
    assert number_names([2.0, 0.0, 0.5, -1.0, 1e9]) == {0: "0", 1: "1", 2: "2"}
    assert number_names([]) == {0: "0"}
