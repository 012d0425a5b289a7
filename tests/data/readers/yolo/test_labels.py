"""The lines of YOLO's label files."""

import pytest

from retinue.data.readers.yolo.labels import LineForm, corners, line_problem, read_label_file, sample_label_file


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"1 0.5 .5\t5e-1 0.25\r\n\r\n", [(1, 0.5, 0.5, 0.5, 0.25), (), ()]),
        ("0 1 1 1 1".encode("utf-16"), [(0, 1, 1, 1, 1)]),
        (b"", [()]),
    ],
)
def test_lines_become_numbers(tmp_path, content, lines):
    (tmp_path / "a.txt").write_bytes(content)
    assert read_label_file(str(tmp_path / "a.txt")) == lines


def test_a_missing_file_differs_from_one_that_is_not_text(tmp_path):
    assert read_label_file(str(tmp_path / "a.txt")) is None
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")
    (line,) = read_label_file(str(tmp_path / "a.txt")) or ()
    assert line_problem(line, LineForm(), {0: 0}) == (
        "not a box",
        "it does not have five numbers",
        "write class, center x, center y, width, height",
    )


def test_corners_of_boxes_polygons_and_poses():
    assert corners((0, 0.5, 0.5, 0.5, 0.25), LineForm()) == (0.25, 0.375, 0.75, 0.625)
    polygon = (0, 0.25, 0.5, 0.75, 0.125, 0.5, 1.0)
    assert corners(polygon, LineForm()) == (0.25, 0.125, 0.75, 1.0)
    assert corners((*polygon, 0.0625), LineForm(num_ignored=1)) == (0.25, 0.125, 0.75, 1.0)
    assert corners((0, 0.5, 0.5, 0.5, 0.25, 0.9, 0.9), LineForm(box_first=True)) == (0.25, 0.375, 0.75, 0.625)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ((0, 0.5, 0.5, float("nan"), 0.5), "one of its numbers is not finite"),
        ((0, 0.5, 0.5, 0.5, 0.5, 0.5), "it does not have five numbers"),
        ((0, 50, 50, 20, 20), "50 is not a fraction of the image; are these pixels?"),
        ((2, 0.5, 0.5, 0.5, 0.5), "unknown class 2"),
        ((0.5, 0.5, 0.5, 0.5, 0.5), "unknown class 0.5"),
    ],
)
def test_what_is_wrong_with_a_line(line, reason):
    problem = line_problem(line, LineForm(), {0: 0, 1: 1})
    assert problem and problem[1] == reason


def test_a_pose_of_another_length_is_named():
    form = LineForm(box_first=True, lengths=frozenset((5, 9)))
    assert line_problem((0, 0.5, 0.5, 0.5, 0.5, 0.1, 0.2, 0.3, 0.4), form, {0: 0}) is None
    problem = line_problem((0, 0.5, 0.5, 0.5, 0.5, 0.1, 0.2), form, {0: 0})
    assert problem and problem[1] == "it has 7 numbers, not 5 or 9"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0 .5 .5 .2 .2\n", "labels"),
        ("class x y w h\n0 .5 .5 .2 .2\n", "labels"),
        ("0 50 50 20 20\n", "labels"),
        ("0 .1 .1 .2 .1 .2 .2\n", "labels"),
        ("0,.5,.5,.2,.2\n", "commas"),
        ("car 10 20 30 40\n", "words"),
        ("10 20 30 40 car\n", "corners"),
        ("684,8,273,116,1,4,0,0\n", "VisDrone"),
        ("684,8,273,116,4\n", ""),
        ("gsd:1\n10 10 20 10 20 20 10 20 plane 0\n10 10 20 10 20 20 10 20 ship 1\n", "corners of DOTA"),
        ("\n", "empty"),
        ("a dog with 4 legs\n", ""),
        ("numpy==1.2\n", ""),
        ("1 2 3 4 5 6 7 8\n", ""),
        ("0.5 .5 .5 .2 .2\n", ""),
    ],
)
def test_label_files_are_recognized_by_their_lines(tmp_path, text, kind):
    (tmp_path / "a.txt").write_text(text)
    assert sample_label_file(str(tmp_path / "a.txt")) == kind
