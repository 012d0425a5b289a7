"""Tests of windows over long videos: their frames, their times, and that the memory holds one of them."""

import time
import tracemalloc

import numpy as np
import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.prediction.sliding_windows import check_window, prefetch, sliding_windows
from retinue.tests.helpers.clips import moving_frames, write_video
from retinue.tests.helpers.numbered_videos import number_of, write_numbers

SIZE = (24, 32)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video of 20 frames at 10 frames per second. Each frame is brighter than the one before."""
    frames = [np.full((48, 64, 3), 10 * number + 5, np.uint8) for number in range(20)]
    return write_video(tmp_path_factory.mktemp("long") / "long.avi", frames, frame_rate=10)


def frame_numbers(window):
    return [round((float(frame.mean()) - 5) / 10) for frame in window.frames]


@pytest.mark.parametrize(
    "seconds, stride, expected",
    [
        (0.5, 0.5, [range(5), range(5, 10), range(10, 15), range(15, 20)]),
        (0.8, 0.8, [range(8), range(8, 16), range(16, 20)]),
        (0.8, 0.4, [range(8), range(4, 12), range(8, 16), range(12, 20)]),
        (0.8, 0.5, [range(8), range(5, 13), range(10, 18), range(15, 20)]),
        (0.3, 0.9, [range(3), range(9, 12), range(18, 20)]),
        (0.3, 0.8, [range(3), range(8, 11), range(16, 19)]),
        (5.0, 5.0, [range(20)]),
        (0.1, 1.0, [range(1), range(10, 11)]),
    ],
)
def test_frames_and_times_of_the_windows(video, seconds, stride, expected):
    windows = list(sliding_windows(video, SIZE, seconds, stride))
    assert [frame_numbers(window) for window in windows] == [list(frames) for frames in expected]
    for window, frames in zip(windows, expected, strict=True):
        assert window.start == pytest.approx(frames[0] / 10, abs=0.002)
        assert window.end == pytest.approx((frames[-1] + 1) / 10, abs=0.002)
        assert (window.width, window.height) == (64, 48) and window.frames[0].shape == (24, 32, 3)


def test_windows_of_a_variable_rate_have_the_frames_that_are_shown_in_them(tmp_path):
    # A frame per second for 4 seconds, then 10 per second for 2 seconds, and after a gap two frames at 30 seconds.
    times = [0, 1000, 2000, 3000, *range(4000, 6000, 100), 30_000, 30_100]
    path = write_numbers(tmp_path / "variable.mkv", len(times), times=times)
    windows = list(sliding_windows(str(path), (48, 80), 2.0, 2.0))
    assert [[number_of(frame) for frame in window.frames] for window in windows] == [
        [0, 1],
        [2, 3],
        list(range(4, 24)),
        [24, 25],
    ]
    assert [window.start for window in windows] == [0.0, 2.0, 4.0, 30.0]


def test_the_memory_holds_one_window(tmp_path):
    path = write_video(
        tmp_path / "long.avi", [np.full((48, 64, 3), number, np.uint8) for number in range(120)], frame_rate=10
    )
    frame_bytes = 240 * 320 * 3
    tracemalloc.start()
    count = sum(1 for _ in sliding_windows(path, (240, 320), 0.4, 0.4))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 30 and peak < 16 * frame_bytes  # the video has 120 frames


def test_a_missing_video_is_reported(tmp_path):
    with pytest.raises(RetinueError, match="gone.avi"):
        next(sliding_windows(tmp_path / "gone.avi", SIZE, 1, 1))


def test_window_and_stride_are_checked():
    check_window(None, None)
    check_window(2.0, 0.5)
    with pytest.raises(UsageError, match="--window 0"):
        check_window(0.0, None)
    with pytest.raises(UsageError, match="needs --window"):
        check_window(None, 1.0)


def test_prefetching_keeps_the_order_and_raises_errors():
    assert list(prefetch(iter(range(10)), 2)) == list(range(10))

    def broken():
        yield 1
        raise RetinueError("no more")

    received = []
    with pytest.raises(RetinueError, match="no more"):
        for one in prefetch(broken(), 2):
            received.append(one)
    assert received == [1]


def test_prefetching_stops_when_the_iterator_is_closed():
    produced = []

    def endless():
        while True:
            produced.append(len(produced))
            yield produced[-1]

    items = prefetch(endless(), 2)
    assert next(items) == 0
    items.close()
    time.sleep(0.4)
    count = len(produced)
    time.sleep(0.3)
    assert len(produced) == count <= 6


def test_frames_of_a_drifting_clip_are_in_order(tmp_path):
    path = write_video(tmp_path / "clip.avi", moving_frames(0, 2, count=6))
    (window,) = sliding_windows(path, (48, 64), 1.0, 1.0)
    assert len(window.frames) == 6
