"""Clips frame by frame: videos and folders of frames, what is lost, and the check of them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.checking.check import check
from retinue.data.checking.summary import summary_lines
from retinue.data.decoding.clip_file import Clip, count_frames, frame_range, is_stream, read_frames
from retinue.data.decoding.clip_probe import probe_clip, remarks
from retinue.data.readers.clip_folders import read_clip_folders
from retinue.tests.helpers.clips import make_clips, moving_frames, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clip") / "a.avi", moving_frames(0, 2, count=12), frame_rate=10)


def test_a_picture_is_no_clip_and_a_camera_may_be_missing(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.JPG")
    with pytest.raises(RetinueError, match="a.JPG: is a picture, not a clip; give the folder of a clip's frames"):
        Clip(tmp_path / "a.JPG")
    with pytest.raises(RetinueError, match="^63: this camera or stream can't be opened"):
        Clip("63")


def test_a_broken_frame_in_a_folder_is_counted(tmp_path):
    frame_folder(tmp_path / "clip")
    (tmp_path / "clip" / "9.png").write_bytes(b"no picture")
    found = probe_clip(str(tmp_path / "clip"))
    assert found.frames == 8 and found.lost == 4
    assert ("frames lost", "4 of the 12 frames it says it has can't be decoded") in found.remarks


def frame_folder(folder, count=12):
    """PNGs named 1.png .. 12.png, whose red says their number."""
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        Image.fromarray(np.full((20, 30, 3), (number, 0, 255), np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("suffix, codec", [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "MJPG"), ("webm", "VP80")])
def test_every_container(tmp_path, suffix, codec):
    frames = moving_frames(1, 2, count=7)
    path = write_video(tmp_path / f"clip.{suffix}", frames, codec=codec)
    with Clip(path) as clip:
        assert (clip.width, clip.height) == (64, 48) and clip.rate == pytest.approx(10)
        first = clip.read()
    assert count_frames(path) == 7
    assert np.abs(first.astype(int) - frames[0]).mean() < 12  # RGB, not BGR: red and blue differ by much more
    some, ended = read_frames(path, [5, 2])
    assert sorted(some) == [2, 5] and ended is None
    assert np.abs(some[5].astype(int) - frames[5]).mean() < 12


def test_a_folder_of_frames_by_number(tmp_path):
    folder = frame_folder(tmp_path / "frames")
    with Clip(folder) as clip:
        assert clip.frames == 12 and clip.skip()
        assert clip.read()[0, 0].tolist() == [2, 0, 255]
        assert clip.time() == pytest.approx(1 / 25)
    frames, ended = read_frames(folder, [9, 11, 14])
    assert frames[9][0, 0, 0] == 10 and ended == 12


def test_the_end_is_told(video):
    frames, ended = read_frames(video, [10, 20])
    assert list(frames) == [10] and ended == 12
    frames, ended = read_frames(video, [0, 3], first=10)
    assert list(frames) == [0] and ended == 2


def test_parts_in_seconds(video):
    with Clip(video) as clip:
        assert frame_range(clip) == (0, 12)
        assert frame_range(clip, 0.5, 0.8) == (5, 3)
        assert frame_range(clip, 1.0) == (10, 2)
        assert frame_range(clip, 0.0, 9.0) == (0, 12)
        assert frame_range(clip, 5.0, 9.0) == (50, 0)


def test_sizes():
    frame = (4 * np.arange(16, dtype=np.uint8)).reshape(4, 4, 1).repeat(3, axis=2)
    assert resize_frame(frame, None) is frame
    assert resize_frame(frame, (2, 2))[..., 0].tolist() == [[10, 18], [42, 50]]  # means of 2x2
    assert resize_frame(frame, (8, 8)).shape == (8, 8, 3)


def test_what_can_not_be_opened_is_named(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    for name, reason in (("text.mp4", "can't be opened"), ("no.mp4", "there is no such clip"), ("empty", "no frames")):
        with pytest.raises(RetinueError, match=reason) as told:
            Clip(tmp_path / name)
        assert name in str(told.value)


def test_streams_are_told_from_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_stream("0") and is_stream("rtsp://camera/1") and not is_stream("clip.mp4")
    Path("0").write_text("a file")
    assert not is_stream("0")


def test_probing(video, tmp_path):
    good = probe_clip(video)
    assert (good.frames, good.lost, good.format, good.problem) == (12, 0, "avi", None) and good.remarks == ()
    part = probe_clip(video, 0.2, 0.6)
    assert part.frames == 4 and part.remarks[0][0] == "very short" and part.content_id == good.content_id + "@0.2-0.6"
    content = video.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    cut = probe_clip(tmp_path / "cut.avi")
    assert 0 < cut.frames < 12 and cut.frames + cut.lost == 12 and "frames lost" in [kind for kind, _ in cut.remarks]
    (tmp_path / "none.avi").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video")
    header = content[: content.index(b"movi") + 4]
    (tmp_path / "header.avi").write_bytes(header)
    kinds = {
        name: probe_clip(tmp_path / name).problem[0] for name in ("none.avi", "text.mp4", "header.avi", "gone.avi")
    }
    assert kinds["none.avi"] == "empty" and kinds["text.mp4"] == "undecodable" and kinds["gone.avi"] == "missing"
    assert kinds["header.avi"] in ("undecodable", "zero frames")
    assert probe_clip(video, 3.0, 4.0).problem[0] == "zero frames"
    assert probe_clip(video, max_pixels=100).problem[0] == "too large"
    assert probe_clip(frame_folder(tmp_path / "frames")).frames == 12


def test_a_rate_that_varies():
    even = remarks(20, 0, 20, np.arange(20) / 25)
    assert list(even) == []
    uneven = dict(remarks(20, 0, 20, np.cumsum([0.04] * 15 + [0.2] * 5)))
    assert uneven == {"variable rate": "26% of its frames come sooner or later than the others"}
    assert dict(remarks(3, 0, 3, [0, 0.1, 0.2]))["very short"].startswith("3 frames")


def test_checking_a_folder(tmp_path):
    folder = make_clips(tmp_path / "clips", clips_per_class=2)
    (folder / "blue left" / "bad.mp4").write_text("no video")
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
