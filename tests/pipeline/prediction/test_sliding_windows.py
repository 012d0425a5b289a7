"""Windows over long videos: which frames they have, when they are, and that memory holds one of them."""

import time
import tracemalloc

import numpy as np
import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.prediction.sliding_windows import ahead, check_window, sliding_windows
from retinue.tests.helpers.clips import moving_frames, write_video

SIZE = (24, 32)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """20 frames, 10 a second, each brighter than the last."""
    frames = [np.full((48, 64, 3), 10 * number + 5, np.uint8) for number in range(20)]
    return write_video(tmp_path_factory.mktemp("long") / "long.avi", frames, frame_rate=10)


def numbers(window):
    return [round((float(frame.mean()) - 5) / 10) for frame in window.frames]


@pytest.mark.parametrize(
    "seconds, step, expected",
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
def test_which_frames_are_in_which_window(video, seconds, step, expected):
    windows = list(sliding_windows(video, SIZE, seconds, step))
    assert [numbers(window) for window in windows] == [list(frames) for frames in expected]
    for window, frames in zip(windows, expected, strict=True):
        assert window.start == pytest.approx(frames[0] / 10, abs=0.002)
        assert window.end == pytest.approx((frames[-1] + 1) / 10, abs=0.002)
        assert (window.width, window.height) == (64, 48) and window.frames[0].shape == (24, 32, 3)


def test_memory_holds_a_window_not_the_video(tmp_path):
    path = write_video(
        tmp_path / "long.avi", [np.full((48, 64, 3), number, np.uint8) for number in range(120)], frame_rate=10
    )
    frame_bytes = 240 * 320 * 3
    tracemalloc.start()
    count = sum(1 for _ in sliding_windows(path, (240, 320), 0.4, 0.4))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 30 and peak < 16 * frame_bytes  # the video has 120 frames


def test_what_can_not_be_read(tmp_path):
    with pytest.raises(RetinueError, match="gone.avi"):
        next(sliding_windows(tmp_path / "gone.avi", SIZE, 1, 1))


def test_lengths():
    check_window(None, None)
    check_window(2.0, 0.5)
    with pytest.raises(UsageError, match="--window 0"):
        check_window(0.0, None)
    with pytest.raises(UsageError, match="needs --window"):
        check_window(None, 1.0)


def test_reading_ahead():
    assert list(ahead(iter(range(10)), 2)) == list(range(10))

    def broken():
        yield 1
        raise RetinueError("no more")

    got = []
    with pytest.raises(RetinueError, match="no more"):
        for one in ahead(broken(), 2):
            got.append(one)
    assert got == [1]


def test_reading_ahead_stops_when_nobody_asks():
    made = []

    def endless():
        while True:
            made.append(len(made))
            yield made[-1]

    items = ahead(endless(), 2)
    assert next(items) == 0
    items.close()
    time.sleep(0.4)
    count = len(made)
    time.sleep(0.3)
    assert len(made) == count <= 6


def test_frames_of_a_drifting_clip_are_in_order(tmp_path):
    path = write_video(tmp_path / "clip.avi", moving_frames(0, 2, count=6))
    (window,) = sliding_windows(path, (48, 64), 1.0, 1.0)
    assert len(window.frames) == 6
