"""Folders of numbered frames below class folders are clips, and other folders of images are not."""

import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.readers.clips.frame_folders import are_frames
from retinue.data.readers.read import read, understand
from retinue.tests.helpers.empty_files import make


@pytest.mark.parametrize(
    ("stems", "expected"),
    [
        (("frame_0001", "frame_0002", "frame_0003"), True),
        (("v_Run_g01_c02_1", "v_Run_g01_c02_2", "v_Run_g01_c02_3"), True),
        (("0", "10", "20", "30"), True),  # every tenth
        (("1", "2", "3", "5"), True),  # one is missing
        (("1", "2"), False),
        (("1", "40", "977"), False),  # ids
        (("a1", "b2", "c3"), False),
        (("1_1", "1_2", "2_1", "2_2"), False),
    ],
)
def test_frames_differ_in_one_running_number(stems, expected):
    assert are_frames(stems) is expected


CLIPS = [f"{label}/{label}{clip}" for label in ("run", "walk") for clip in range(3)]


@pytest.mark.parametrize("name", ["frame{}", "img_{:05d}", "{:06d}"])
@pytest.mark.parametrize("split", ["", "train/"])
def test_folders_of_frames_in_class_folders_are_clips(tmp_path, name, split):
    make(tmp_path, *(f"{split}{clip}/{name.format(number)}.jpg" for clip in CLIPS for number in range(1, 5)))
    explanation = understand(str(tmp_path))
    assert (explanation.format, explanation.tasks) == ("clip folders", ("video", "classification"))
    dataset = read(tmp_path)
    assert (dataset.task, dataset.classes, dataset.class_counts().tolist()) == ("video", ("run", "walk"), [3, 3])
    assert len(read(tmp_path, "classification")) == 24


def test_folders_that_are_named_clips_are_clips(tmp_path):
    make(tmp_path, *(f"{label}/{label}_video_{clip}/{n}.jpg" for label in "ab" for clip in range(3) for n in range(5)))
    assert understand(str(tmp_path)).tasks == ("video", "classification")


def test_folders_of_numbered_images_may_be_both_and_the_commands_are_named(tmp_path):
    make(tmp_path, *(f"{clip}/{number}.jpg" for clip in CLIPS for number in range(1, 5)))
    with pytest.raises(UsageError) as raised:
        read(tmp_path)
    assert f"retinue check {tmp_path} --task video" in str(raised.value)
    assert f"retinue check {tmp_path} --task classification" in str(raised.value)
    assert len(read(tmp_path, "video")) == 6 and len(read(tmp_path, "classification")) == 24


def test_frames_beside_optical_flow_are_refused(tmp_path):
    names = ("img_{:05d}.jpg", "flow_x_{:05d}.jpg", "flow_y_{:05d}.jpg")
    make(tmp_path, *(f"{clip}/{name.format(number)}" for clip in CLIPS for name in names for number in range(1, 5)))
    with pytest.raises(RetinueError, match="run/run0: this folder of frames also holds other images with the same num"):
        read(tmp_path)


def test_images_of_several_kinds_are_no_frames(tmp_path):
    make(tmp_path, *(f"{clip}/{name}{n}.jpg" for clip in CLIPS for name in ("left", "right") for n in range(1, 5)))
    assert understand(str(tmp_path)).tasks[0] == "classification"


def test_frames_in_folders_of_equal_names_can_be_read_as_video(tmp_path):
    make(tmp_path, *(f"{label}/{clip}/{number}.jpg" for label in "ab" for clip in (1, 2) for number in range(1, 5)))
    assert len(read(tmp_path, "video")) == 4


def test_class_folders_with_one_folder_of_images_each_are_no_clips(tmp_path):
    make(tmp_path, *(f"train/{label}/images/{label}_{number}.jpg" for label in ("n01", "n02") for number in range(4)))
    assert understand(str(tmp_path)).tasks[0] == "classification"
    make(tmp_path / "b", *(f"{label}/{part}/{n}.jpg" for label in "xy" for part in ("train", "test") for n in range(4)))
    assert understand(str(tmp_path / "b")).tasks[0] == "classification"
