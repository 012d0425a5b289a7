"""Clips frame by frame: videos, folders of frames, lost frames, and the check of clips."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.checking.check import check
from retinue.data.checking.summary import summary_lines
from retinue.data.decoding.clip_file import Clip, count_frames, frame_range, is_stream, read_frames, resize_frame
from retinue.data.decoding.clip_probe import clip_remarks, probe_clip
from retinue.data.readers.clips.clip_folders import read_clip_folders
from retinue.tests.helpers.clips import make_clips, moving_frames, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clip") / "a.avi", moving_frames(0, 2, count=12), frame_rate=10)


def test_an_image_and_a_missing_camera_cannot_be_opened_as_clips(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.JPG")
    with pytest.raises(
        RetinueError, match="a.JPG: this is an image, not a clip; give the folder that contains the frames"
    ):
        Clip(tmp_path / "a.JPG")
    with pytest.raises(RetinueError, match="^63: this camera or stream cannot be opened; check"):
        Clip("63")


def test_frames_after_a_broken_image_of_a_folder_are_counted_as_lost(tmp_path):
    frame_folder(tmp_path / "clip")
    (tmp_path / "clip" / "9.png").write_bytes(b"no image")
    info = probe_clip(str(tmp_path / "clip"))
    assert info.frame_count == 8 and info.lost_frames == 4
    assert ("frames lost", "4 of the 12 frames in its header cannot be decoded") in info.remarks


def frame_folder(folder, count=12):
    """Write 1.png, 2.png, ... The level of red is the number of the file."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        Image.fromarray(np.full((20, 30, 3), (number, 0, 255), np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("suffix, codec", [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "MJPG"), ("webm", "VP80")])
def test_every_container_is_read_in_rgb(tmp_path, suffix, codec):
    frames = moving_frames(1, 2, count=7)
    path = write_video(tmp_path / f"clip.{suffix}", frames, codec=codec)
    with Clip(path) as clip:
        assert (clip.width, clip.height) == (64, 48) and clip.fps == pytest.approx(10)
        first = clip.read()
    assert count_frames(path) == 7
    assert np.abs(first.astype(int) - frames[0]).mean() < 12  # RGB, not BGR: red and blue differ by much more
    some, ended = read_frames(path, [5, 2])
    assert sorted(some) == [2, 5] and ended is None
    assert np.abs(some[5].astype(int) - frames[5]).mean() < 12


def test_a_folder_of_frames_is_read_in_the_order_of_its_numbers(tmp_path):
    folder = frame_folder(tmp_path / "frames")
    with Clip(folder) as clip:
        assert clip.frame_count == 12 and clip.skip()
        assert clip.read()[0, 0].tolist() == [2, 0, 255]
        assert clip.time() == pytest.approx(1 / 25)
    frames, ended = read_frames(folder, [9, 11, 14])
    assert frames[9][0, 0, 0] == 10 and ended == 12


def test_read_frames_reports_where_the_clip_ended(video):
    frames, ended = read_frames(video, [10, 20])
    assert list(frames) == [10] and ended == 12
    frames, ended = read_frames(video, [0, 3], first=10)
    assert list(frames) == [0] and ended == 2


def test_seconds_are_converted_to_frames(video):
    with Clip(video) as clip:
        assert frame_range(clip) == (0, 12)
        assert frame_range(clip, 0.5, 0.8) == (5, 3)
        assert frame_range(clip, 1.0) == (10, 2)
        assert frame_range(clip, 0.0, 9.0) == (0, 12)
        assert frame_range(clip, 5.0, 9.0) == (12, 0)


def test_frames_shrink_by_averaging_and_can_grow():
    frame = (4 * np.arange(16, dtype=np.uint8)).reshape(4, 4, 1).repeat(3, axis=2)
    assert resize_frame(frame, None) is frame
    assert resize_frame(frame, (2, 2))[..., 0].tolist() == [[10, 18], [42, 50]]  # means of 2x2
    assert resize_frame(frame, (8, 8)).shape == (8, 8, 3)


def test_errors_name_the_clip_that_cannot_be_opened(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    for name, reason in (
        ("text.mp4", "cannot be opened as a video"),
        ("no.mp4", "there is no such clip"),
        ("empty", "contains no frames"),
    ):
        with pytest.raises(RetinueError, match=reason) as error:
            Clip(tmp_path / name)
        assert name in str(error.value)


def test_a_file_is_not_a_stream(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_stream("0") and is_stream("rtsp://camera/1") and not is_stream("clip.mp4")
    Path("0").write_text("a file")
    assert not is_stream("0")


def test_probe_clip_reports_frames_remarks_and_problems(video, tmp_path):
    good = probe_clip(video)
    assert (good.frame_count, good.lost_frames, good.format, good.problem) == (
        12,
        0,
        "avi",
        None,
    ) and good.remarks == ()
    part = probe_clip(video, 0.2, 0.6)
    assert (
        part.frame_count == 4 and part.remarks[0][0] == "very short" and part.content_id == good.content_id + "@0.2-0.6"
    )
    content = video.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    cut = probe_clip(tmp_path / "cut.avi")
    assert (
        0 < cut.frame_count < 12
        and cut.frame_count + cut.lost_frames == 12
        and "frames lost" in [kind for kind, _ in cut.remarks]
    )
    (tmp_path / "none.avi").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video")
    header = content[: content.index(b"movi") + 4]
    (tmp_path / "header.avi").write_bytes(header)
    kinds = {
        name: probe_clip(tmp_path / name).problem.kind for name in ("none.avi", "text.mp4", "header.avi", "gone.avi")
    }
    assert kinds["none.avi"] == "empty" and kinds["text.mp4"] == "undecodable" and kinds["gone.avi"] == "missing"
    assert kinds["header.avi"] in ("undecodable", "zero frames")
    assert probe_clip(video, 3.0, 4.0).problem.kind == "zero frames"
    assert probe_clip(video, max_pixels=100).problem.kind == "too large"
    assert probe_clip(frame_folder(tmp_path / "frames")).frame_count == 12


def test_a_variable_frame_rate_is_remarked():
    even = clip_remarks(20, 0, 20, np.arange(20) / 25)
    assert list(even) == []
    uneven = dict(clip_remarks(20, 0, 20, np.cumsum([0.04] * 15 + [0.2] * 5)))
    assert uneven == {"variable rate": "26% of its frames come earlier or later than the others"}
    assert dict(clip_remarks(3, 0, 3, [0, 0.1, 0.2]))["very short"].startswith("it has only 3 frames")


def test_the_check_of_clips_finds_duplicates_and_draws_samples(tmp_path):
    folder = make_clips(tmp_path / "clips", clips_per_class=2)
    (folder / "blue left" / "invalid.mp4").write_text("no video")
    copy = folder / "red left" / "copy.avi"
    copy.write_bytes((folder / "red right" / "0.avi").read_bytes())
    report = check(read_clip_folders(folder), on_invalid="skip")
    kinds = {finding.kind for finding in report.findings}
    assert {"undecodable", "same image, other label", "very short"} <= kinds
    assert report.usable()[0].class_counts().tolist() == [2, 2, 3, 2]
    assert report.to_dict()["frames"] == {"decoded": 72, "lost": 0}
    lines = summary_lines(report)
    assert "10 clips" in lines[0] and any("median 8 frames, 8 to 8" in line for line in lines)
    report.write(tmp_path / "check")
    sheet = cv2.imread(str(tmp_path / "check" / "samples.jpg"))
    assert sheet is not None and sheet.std() > 10
