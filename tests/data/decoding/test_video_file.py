"""Video files of many containers and codecs: exact frames after a jump, times of frames, rotation, torn files."""

import os

import av
import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.data.decoding.clip_file import Clip, count_frames, frame_range, read_frames
from retinue.data.decoding.clip_probe import probe_clip
from retinue.data.decoding.video_file import frame_index
from retinue.data.readers.read import read
from retinue.data.storage.file_names import looks_like_video
from retinue.tests.helpers.numbered_videos import number_of, write_numbers


def read_all(path):
    frames = []
    with Clip(path) as clip:
        while (frame := clip.read()) is not None:
            frames.append(frame)
    return frames


LONG = {
    "h264.mp4": {"g": 70, "bf": 3},
    "open_gop.mp4": {"g": 70, "bf": 3, "x264-params": "open-gop=1:keyint=70:min-keyint=70"},
    "h264.mkv": {"g": 70, "bf": 2},
    "h264.ts": {"g": 70, "bf": 2},
    "mpeg4.mp4": {"codec": "mpeg4", "g": 70, "bf": 2, "q:v": 2},
    "mpeg4.avi": {"codec": "mpeg4", "g": 70},
    "vp9.webm": {"codec": "libvpx-vp9", "g": 70, "deadline": "realtime", "cpu-used": 8},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
}


@pytest.mark.parametrize("name", LONG)
def test_frames_that_are_far_apart_are_those_of_decoding_from_the_start(tmp_path, name):
    path = write_numbers(tmp_path / name, 300, **LONG[name])
    all_frames = read_all(path)
    assert [number_of(frame) for frame in all_frames] == list(range(300))
    for wanted in ([0, 75, 139, 140, 141, 299], [280], [10, 68, 69, 70, 71, 72, 250]):
        frames, ended = read_frames(path, wanted)
        assert ended is None and list(frames) == wanted
        for number in wanted:
            np.testing.assert_array_equal(frames[number], all_frames[number])
    frames, ended = read_frames(path, [0, 10, 60, 70], first=235)
    assert ended == 65 and [number_of(frames[number]) for number in (0, 10, 60)] == [235, 245, 295]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_seconds_are_those_at_which_frames_are_shown(tmp_path, name):
    # A frame per second for 10 seconds, then 20 per second. By the mean rate, seconds 0 to 10 would be 89 frames.
    times = [1000 * number for number in range(10)] + [10_000 + 50 * number for number in range(100)]
    path = write_numbers(tmp_path / name, len(times), times=times, bf=2)
    with Clip(path) as clip:
        assert frame_range(clip, 0.0, 10.0) == (0, 10)
        assert frame_range(clip, 4.0, 11.0) == (4, 26)
        assert frame_range(clip, 3.5, 5.5) == (4, 2)
        assert frame_range(clip, 12.0) == (50, 60)
        assert frame_range(clip, 60.0, 70.0)[1] == 0
    np.testing.assert_allclose(frame_index(str(path)).times, np.array(times) / 1000, atol=0.001)
    info = probe_clip(str(path), 0.0, 10.0)
    assert info.frame_count == 10 and info.problem is None
    frames, ended = read_frames(path, range(5), first=10)
    assert ended is None and [number_of(frame) for frame in frames.values()] == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_frames_are_turned_upright(tmp_path, rotation):
    plain = write_numbers(tmp_path / "plain.mp4", 3)
    turned = write_numbers(tmp_path / "turned.mov", 3, rotation=rotation)
    expected, _ = read_frames(plain, range(3))
    frames, _ = read_frames(turned, range(3))
    for number in range(3):
        np.testing.assert_array_equal(frames[number], np.rot90(expected[number], rotation // 90))
    with Clip(turned) as clip:
        assert (clip.height, clip.width) == frames[0].shape[:2]


KINDS = {
    "ten_bits.mp4": {"pixels": "yuv420p10le"},
    "odd.mp4": {"pixels": "yuv444p", "size": (63, 47)},
    "av1.mp4": {"codec": "libsvtav1", "preset": 12, "svtav1-params": "lp=1"},
    "hevc.mov": {"codec": "libx265", "x265-params": "log-level=none:pools=1", "preset": "ultrafast"},
    "clip.wmv": {"codec": "wmv2", "q:v": 2},
    "clip.3gp": {"codec": "mpeg4", "q:v": 2},
    "clip.flv": {"codec": "flv", "q:v": 2},
    "clip.mpg": {"codec": "mpeg2video", "q:v": 2},
    "clip.webm": {"codec": "libvpx", "deadline": "realtime", "cpu-used": 8},
    "clip.m2ts": {},
    "clip.TS": {},
    "one frame.mp4": {"count": 1},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_video_is_read(tmp_path, name):
    options = {"count": 12, **KINDS[name]}
    path = write_numbers(tmp_path / name, options.pop("count"), **options)
    count = KINDS[name].get("count", 12)
    assert looks_like_video(str(path)) and count_frames(path) == count
    frames, _ = read_frames(path, range(count))
    assert [number_of(frame) for frame in frames.values()] == list(range(count))
    width, height = options.get("size", (80, 48))
    assert frames[0].shape == (height, width, 3)
    red = frames[0][height // 4, width // 4].astype(int)
    assert red[0] > 190 and red[1:].max() < 90  # RGB, not BGR
    info = probe_clip(str(path))
    assert (info.problem, info.frame_count, info.lost_frames) == (None, count, 0)
    assert (info.width, info.height, info.fps) == (width, height, pytest.approx(25, rel=0.05))


@pytest.mark.parametrize("name", ["cut.mkv", "cut.ts", "cut.avi"])
def test_the_frames_before_the_torn_end_of_a_file_are_read(tmp_path, name):
    path = write_numbers(tmp_path / name, 200, "mpeg4" if name == "cut.avi" else "libx264", g=20, bf=0)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    count = count_frames(path)
    assert 60 < count < 180
    frames, ended = read_frames(path, [0, count - 1, 190])
    assert ended == count and number_of(frames[count - 1]) == count - 1
    frames, ended = read_frames(path, [0, count - 1])
    assert ended is None and number_of(frames[count - 1]) == count - 1
    assert probe_clip(str(path)).frame_count == count


def test_frames_after_damaged_packets_are_read(tmp_path):
    path = write_numbers(tmp_path / "damaged.avi", 60, "mpeg4", g=10)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = np.random.default_rng(0).integers(0, 256, 300, np.uint8).tobytes()
    path.write_bytes(content)
    assert 40 < count_frames(path) <= 60
    assert number_of(read_all(path)[-1]) == 59


def test_a_file_with_sound_only_is_refused_by_name(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(RetinueError, match="sound.mp4: the file has no video, but perhaps sound"):
        Clip(path)
    assert probe_clip(str(path)).problem.kind == "undecodable"


def test_programs_in_typescript_are_no_videos(tmp_path, monkeypatch):
    for label in ("left", "right"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(2):
            write_numbers(tmp_path / "data" / label / f"{number}.ts", 12, g=5 + number)
    program = tmp_path / "data" / "left" / "index.ts"
    program.write_text("Global.export const answer: number = 42;\n" * 20)
    assert not looks_like_video(str(program)) and looks_like_video(str(tmp_path / "data" / "left" / "0.ts"))
    assert looks_like_video("table/says/clip.ts")
    dataset = read(str(tmp_path / "data"), "auto")
    assert sorted(os.path.relpath(file, tmp_path / "data") for file in dataset.files) == [
        "left/0.ts",
        "left/1.ts",
        "right/0.ts",
        "right/1.ts",
    ]
