"""What the numbers of a YOLO data set's lines mean."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.yolo.labels import LineForm
from retinue.data.readers.yolo.line_forms import decide_form

BOX = (0, 0.5, 0.5, 0.25, 0.25)
RECTANGLE = (0, 0.2, 0.5, 0.5, 0.2, 0.8, 0.5, 0.5, 0.8)  # rotated by 45 degrees
TRIANGLE = (0, 0.9, 0.1, 0.95, 0.1, 0.95, 0.2)  # no pose, whose box would reach out
PENTAGON = (0, 0.1, 0.9, 0.2, 0.8, 0.3, 0.9, 0.3, 0.95, 0.1, 0.95)
POSE_2D = (*BOX, 0.4, 0.4, 0.6, 0.4, 0.6, 0.6, 0.4, 0.6)
POSE_3D = (*BOX, 0.4, 0.4, 2, 0.6, 0.4, 1, 0, 0, 0)


def form_of(*files, **settings):
    return decide_form(files, "data", **settings)[0]


def test_boxes_polygons_and_both():
    assert form_of([BOX, ()], None, []) == LineForm()
    assert form_of([TRIANGLE, RECTANGLE, PENTAGON, BOX]) == LineForm()
    assert form_of([RECTANGLE]) == LineForm()
    assert form_of([TRIANGLE]) == LineForm()


def test_keypoints_are_ignored_where_the_yaml_names_them():
    form, findings = decide_form([[POSE_2D, BOX]], "data", keypoints=(4, 2))
    assert form == LineForm(box_first=True, lengths=frozenset((5, 13, 14, 15)))
    assert [finding.reason for finding in findings] == ["lines of 13 numbers hold the keypoints besides the box"]


def test_poses_are_recognized_by_visibility_or_by_their_number():
    assert form_of([POSE_3D]) == LineForm(box_first=True, lengths=frozenset((5, 14)))
    assert form_of([POSE_2D] * 10).box_first
    assert form_of([POSE_2D], task="pose").box_first


@pytest.mark.parametrize("line", [POSE_2D, (*BOX, 0.5, 0.5), (*BOX, 0.5, 0.5, 0.6, 0.7)])
def test_a_pose_that_can_be_a_polygon_is_refused(line):
    shape = rf"kpt_shape: \[{(len(line) - 5) // 2}, 2\]"
    with pytest.raises(RetinueError, match=f"can be a pose .*{shape}` if they are poses, or with `task: segment`"):
        form_of([line, line])
    assert form_of([line, line], task="segment") == LineForm()


def test_confidences_and_tracks_behind_boxes_are_ignored():
    tracks = LineForm(box_first=True, lengths=frozenset((5, 6, 7)))
    assert form_of([(*BOX, 0.9), (*BOX, 0.1)]) == tracks
    assert form_of([(*BOX, 3), (*BOX, 7)], [(*BOX, 3)]) == tracks
    assert form_of([(*BOX, 0.9, 3), (*BOX, 0.8, 4)]) == tracks


def test_confidences_and_tracks_behind_polygons_are_ignored():
    assert form_of([(*TRIANGLE, 0.9), (*PENTAGON, 0.8)]) == LineForm(num_ignored=1)
    assert form_of([(*TRIANGLE, 0.9, 3), (*PENTAGON, 0.8, 4)]) == LineForm(num_ignored=2)
    assert form_of([(*RECTANGLE, 0.9)]) == LineForm(num_ignored=1)
    assert form_of([(*RECTANGLE, 0.9, 12)]) == LineForm(num_ignored=2)


@pytest.mark.parametrize("angles", [(-0.5, 1.2), (45, 45), (0.5, 90)])
def test_six_numbers_that_can_be_angles_are_refused(angles):
    with pytest.raises(RetinueError, match="2 lines have 6 numbers, .* are these rotated boxes"):
        form_of([(*BOX, angle) for angle in angles])


def test_a_rare_length_decides_nothing():
    assert form_of([TRIANGLE, PENTAGON] * 20 + [(*BOX, 45)]) == LineForm()


def test_corners_in_place_of_sizes_are_refused():
    with pytest.raises(RetinueError, match="the boxes are corners x1 y1 x2 y2.*all 2 boxes .* and 1 would reach out"):
        form_of([(0, 0.1, 0.1, 0.2, 0.2), (0, 0.8, 0.8, 0.9, 0.9)])
    assert form_of([(0, 0.1, 0.1, 0.2, 0.2), (0, 0.8, 0.8, 0.9, 0.7)]) == LineForm()  # one is no corner
    assert form_of([(0, 0.1, 0.1, 0.2, 0.2)]) == LineForm()  # it lies in the image
