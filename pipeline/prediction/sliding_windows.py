"""A net for clips over long videos, cameras and streams: window after window, each with its times.

Memory holds one window's frames, at the net's frame size, and the few windows that are read ahead.
"""

import collections
import dataclasses
import queue
import threading
import time

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.clip_file import FOLDER_FPS, Clip, is_stream
from retinue.pipeline.prediction.predictor import Result

AHEAD = 2  # windows that are read while the model works


class SlidingPredictor:
    """Called with sources, it yields a `Result` a window, or one with a reason for a source that can't be read.

    predictor: `Predictor` of a net for clips. seconds: of a window; step: seconds from one window's start to the next
    one's, by default as long as a window. done: function from a `Result` without prediction to whether it is known
    already; such windows are passed over.
    """

    def __init__(self, predictor, seconds, step=None, done=lambda result: False):
        self._predictor, self._seconds, self._step, self._done = predictor, seconds, step or seconds, done
        self.task = predictor.task
        self.decode_seconds = self.model_seconds = 0.0

    def __call__(self, sources):
        for source in sources:
            live = is_stream(source)
            yield from self._batches(source, 1 if live else self._predictor.batch)

    def _batches(self, source, most):
        pending, started = [], time.perf_counter()
        try:
            for result, tensors in ahead(self._windows(source), AHEAD):
                pending.append((result, tensors))
                if len(pending) == most:
                    self.decode_seconds += time.perf_counter() - started
                    yield from self._answer(pending)
                    pending, started = [], time.perf_counter()
        except RetinueError as error:
            yield from self._answer(pending)
            yield Result(source, reason=str(error).removeprefix(f"{source}: "))
            return
        yield from self._answer(pending)

    def _windows(self, source):
        settings = self.task.config.video
        for window in sliding_windows(source, settings.frame_size, self._seconds, self._step):
            result = Result(source, window.width, window.height, start=window.start, end=window.end)
            if not self._done(result):
                yield result, self.task.read_frames(window.frames)

    def _answer(self, pending):
        if not pending:
            return
        started = time.perf_counter()
        predictions = self._predictor.predict_tensors([tensors for _, tensors in pending])
        self.model_seconds += time.perf_counter() - started
        for (result, _), prediction in zip(pending, predictions, strict=True):
            yield dataclasses.replace(result, prediction=prediction)


class Window:
    """Frames of a clip, RGB uint8 `[H, W, 3]` each, from `start` to `end` seconds; width and height are the clip's."""

    def __init__(self, frames, start, end, width, height):
        self.frames, self.start, self.end, self.width, self.height = frames, start, end, width, height


def sliding_windows(source, size, seconds, step):
    """Yield the `Window`s of a clip, a camera or a stream, one after the other; the last may be shorter.

    size: (height, width) that the frames are resized to. seconds, step: of a window, and from start to start. Every
    frame is in a window, unless `step` is longer. Raises RetinueError when it can't be opened or gives no frame.
    """
    with Clip(source) as clip:
        rate = clip.fps or FOLDER_FPS
        length, stride = max(1, round(seconds * rate)), max(1, round(step * rate))
        frames, number, first = collections.deque(maxlen=length), 0, 0  # first: of the window that is not yet full
        while (frame := clip.read(size)) is not None:
            frames.append((frame, clip.time()))
            number += 1
            if number == first + length:
                yield _window(frames, rate, clip)
                first += stride
        if not number:
            raise RetinueError(f"{source}: gives no frame")
        covered = first - stride + length if first else 0
        if number > max(first, covered):
            yield _window(list(frames)[first - number :], rate, clip)


def _window(frames, rate, clip):
    pictures, times = zip(*frames, strict=True)
    return Window(list(pictures), round(times[0], 3), round(times[-1] + 1 / rate, 3), clip.width, clip.height)


def check_window(window, step):
    """Raise UsageError for lengths that are no lengths."""
    for name, value in (("--window", window), ("--stride", step)):
        if value is not None and value <= 0:
            raise UsageError(f"{name} {value:g}: give a number of seconds above 0")
    if step is not None and window is None:
        raise UsageError("--stride: says how far windows are apart, so it needs --window")


def ahead(items, count):
    """Yield `items`, up to `count` of which a thread of its own makes before they are asked for."""
    made, wanted = queue.Queue(count), threading.Event()
    wanted.set()

    def put(kind, value):
        while wanted.is_set():
            try:
                return made.put((kind, value), timeout=0.1)
            except queue.Full:
                continue

    def work():
        try:
            for item in items:
                put("item", item)
                if not wanted.is_set():
                    return
            put("end", None)
        except BaseException as error:  # raised again where the items are asked for
            put("error", error)

    threading.Thread(target=work, daemon=True, name="read ahead").start()
    try:
        while True:
            kind, value = made.get()
            if kind == "item":
                yield value
            elif kind == "end":
                return
            else:
                raise value
    finally:
        wanted.clear()
