"""A video model over long videos, cameras and streams: one prediction for each window of time.

The memory holds the frames of one window, at the frame size of the model, and the few windows that are read ahead.
"""

import collections
import dataclasses
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.clip_file import FOLDER_FPS, TIME_TOLERANCE, Clip, is_stream
from retinue.pipeline.prediction.predictor import Predictor, Result

WINDOWS_AHEAD = 2  # windows that are read while the model works

Item = TypeVar("Item")


class SlidingPredictor:
    """Predicts windows of videos.

    Args:
        predictor: the predictor of a video model.
        window: the seconds of a window.
        stride: the seconds from the start of one window to the start of the next; by default `window`.
        is_predicted: function from a result without a prediction to whether to skip its window.

    Attributes:
        task: the task.
        decode_seconds: the time that was spent waiting for frames.
        model_seconds: the time that was spent waiting for the model.
    """

    def __init__(
        self,
        predictor: Predictor,
        window: float,
        stride: float | None = None,
        is_predicted: Callable[[Result], bool] = lambda result: False,
    ) -> None:
        self._predictor, self._window, self._stride = predictor, window, stride or window
        self._is_predicted = is_predicted
        self.task = predictor.task
        self.decode_seconds = self.model_seconds = 0.0

    def __call__(self, sources: Iterable[str], /) -> Iterator[Result]:
        """Yield a result for each window, or one with a reason for a source that can't be read.

        Args:
            sources: paths of videos, numbers of cameras, and addresses of streams.
        """
        for source in sources:
            with self._predictor.reading(source):
                yield from self._results(source, 1 if is_stream(source) else self._predictor.batch_size)

    def _results(self, source: str, batch_size: int) -> Iterator[Result]:
        batch: list[tuple[Result, Any]] = []
        started = time.perf_counter()
        try:
            for item in prefetch(self._inputs(source), WINDOWS_AHEAD):
                batch.append(item)
                if len(batch) == batch_size:
                    self.decode_seconds += time.perf_counter() - started
                    yield from self._predict(batch)
                    batch, started = [], time.perf_counter()
        except RetinueError as error:
            yield from self._predict(batch)
            yield Result(source, reason=str(error).removeprefix(f"{source}: "))
            return
        yield from self._predict(batch)

    def _inputs(self, source: str) -> Iterator[tuple[Result, Any]]:
        """Yield (result without a prediction, what the model takes) for each window that is not skipped."""
        frame_size, task = self.task.config.video.frame_size, self.task
        for window in sliding_windows(source, frame_size, self._window, self._stride):
            result = Result(source, window.width, window.height, start=window.start, end=window.end)
            if not self._is_predicted(result):
                yield result, task.read_frames(window.frames)  # type: ignore[attr-defined]  # tasks for video have it

    def _predict(self, batch: list[tuple[Result, Any]]) -> Iterator[Result]:
        if not batch:
            return
        started = time.perf_counter()
        predictions = self._predictor.predict([inputs for _, inputs in batch])
        self.model_seconds += time.perf_counter() - started
        for (result, _), prediction in zip(batch, predictions, strict=True):
            yield dataclasses.replace(result, prediction=prediction)


@dataclasses.dataclass(frozen=True)
class Window:
    """A window of a clip.

    Attributes:
        frames: uint8 `[h, w, 3]` each, RGB.
        start: the second at which the window starts.
        end: the second at which the window ends.
        width: the width of the clip in pixels.
        height: the height of the clip in pixels.
    """

    frames: Sequence[np.ndarray]
    start: float
    end: float
    width: int
    height: int


def sliding_windows(source: str, size: tuple[int, int], window: float, stride: float) -> Iterator[Window]:
    """Yield the windows of a clip, a camera or a stream. The last window may be shorter.

    A window has the frames that are shown within its seconds, however many these are. Every frame is in a window,
    unless `stride` is longer than `window`.

    Args:
        source: the path, number or address.
        size: (height, width) in pixels to which the frames are resized.
        window: the seconds of a window.
        stride: the seconds from the start of one window to the start of the next.

    Raises:
        RetinueError: the source can't be opened or has no frame.
    """
    with Clip(source) as clip:
        interval = 1 / (clip.fps or FOLDER_FPS)  # the mean seconds between two frames
        frames: collections.deque[tuple[np.ndarray, float]] = collections.deque()
        origin = covered = last = -math.inf  # seconds: of the first frame, of the last one in a window, of the last one
        number = 0  # of the window that is not yet complete
        while (frame := clip.read(size)) is not None:
            last = max(clip.time(), last + interval if clip.time() <= last else last)
            if not math.isfinite(origin):
                origin = last - TIME_TOLERANCE
            while last >= origin + number * stride + window:
                if frames:
                    yield _make_window(list(frames), interval, clip)
                    covered = frames[-1][1]
                    number += 1
                else:  # windows without a frame, as in a gap of a recording, are passed over
                    number = math.floor((last - origin - window) / stride) + 1
                while frames and frames[0][1] < origin + number * stride:
                    frames.popleft()
            if last >= origin + number * stride:
                frames.append((frame, last))
        if not math.isfinite(origin):
            raise RetinueError(f"{source}: the source has no frame; check that it is a video and not empty")
        if frames and frames[-1][1] > covered:
            yield _make_window(list(frames), interval, clip)


def _make_window(frames: list[tuple[np.ndarray, float]], interval: float, clip: Clip) -> Window:
    images, times = zip(*frames, strict=True)
    return Window(list(images), round(times[0], 3), round(times[-1] + interval, 3), clip.width, clip.height)


def check_window(window: float | None, stride: float | None) -> None:
    """Raise UsageError unless the seconds of a window and the stride are positive, and a stride has a window."""
    for name, value in (("--window", window), ("--stride", stride)):
        if value is not None and value <= 0:
            raise UsageError(f"{name} {value:g}: use a number of seconds above 0")
    if stride is not None and window is None:
        raise UsageError("--stride: it is the time between the starts of windows, so it needs --window")


def prefetch(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield `items`, up to `count` of which a thread makes before they are requested.

    Args:
        items: the items. An error that they raise is raised where the item is requested.
        count: the largest number of items that wait.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(count)
    wanted = threading.Event()
    wanted.set()

    def put(kind: str, value: Any) -> None:
        while wanted.is_set():
            try:
                return waiting.put((kind, value), timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if not wanted.is_set():
                    return
            put("end", None)
        except BaseException as error:  # it is raised again where the item is requested
            put("error", error)

    threading.Thread(target=work, daemon=True, name="prefetch").start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "item":
                yield value
            elif kind == "end":
                return
            else:
                raise value
    finally:
        wanted.clear()
