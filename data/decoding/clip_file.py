"""A clip, read with OpenCV frame by frame: a video file, a folder of frames, a camera or a stream. No TensorFlow."""

import os
import re

import cv2

from retinue.configs.errors import RetinueError
from retinue.data.decoding.opencv import ffmpeg_quiet, opencv_quiet
from retinue.data.storage.file_names import IMAGE_SUFFIXES, frame_paths

PICTURES = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix != ".gif")
FOLDER_RATE = 25.0  # frames a second that a folder of frames is taken to have
ADDRESS = re.compile(r"[a-z]+://.+")


class Clip:
    """An open clip, from which frames are taken one after the other. Close it, or use it in a `with`.

    path: a video file, a folder of frames (pictures in the order of the numbers in their names), the number of a
    camera ("0"), or a stream's address ("rtsp://...").
    frames: how many frames the container says it has, 0 where it does not say. rate: frames a second, 0 where unknown.
    width, height: pixels. Raises RetinueError, naming the file, when it can't be opened.
    """

    def __init__(self, path):
        self.path = str(path)
        self._names, self._capture, self._place = None, None, 0
        if os.path.isdir(self.path):
            self._names = frame_paths(self.path)
            first = _image(self._names[0]) if self._names else None
            if first is None:
                raise RetinueError(
                    f"{self.path}: has no frames that can be read; looked for {' '.join(IMAGE_SUFFIXES)}"
                )
            self.frames, self.rate = len(self._names), FOLDER_RATE
            self.height, self.width = first.shape[:2]
            return
        if self.path.lower().endswith(PICTURES) and os.path.isfile(self.path):
            raise RetinueError(f"{self.path}: is a picture, not a clip; give the folder of a clip's frames")
        if not is_stream(self.path) and not os.path.isfile(self.path):
            raise RetinueError(f"{self.path}: there is no such clip")
        self._capture = _opened(self.path)
        if not self._capture.isOpened():
            if is_stream(self.path):
                raise RetinueError(f"{self.path}: this camera or stream can't be opened; is it there, and free?")
            raise RetinueError(f"{self.path}: can't be opened as a video; is it one, and whole?")
        self.frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 10_000 else 0.0
        self.width, self.height = (
            int(self._capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )

    @property
    def is_folder(self):
        """Whether it is a folder of frames."""
        return self._names is not None

    def skip(self):
        """Pass over the next frame. Returns whether there was one."""
        self._place += 1
        if self._names is None:
            with opencv_quiet:
                return self._capture.grab()
        return self._place <= len(self._names)

    def read(self, size=None):
        """The next frame, RGB uint8 `[height, width, 3]`, resized to `size` (height, width) if given; None at the end.

        A frame shrinks by averaging areas and grows linearly.
        """
        self._place += 1
        if self._names is None:
            with opencv_quiet:
                _, frame = self._capture.read()
        else:
            names = self._names[self._place - 1 : self._place]
            frame = _image(names[0]) if names else None
        if frame is None:
            return None
        return resized(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), size)

    def time(self):
        """Seconds from the clip's start to the frame that was taken last."""
        said = 0 if self._names is not None else self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return said / 1000 if said > 0 else max(self._place - 1, 0) / (self.rate or FOLDER_RATE)

    def close(self):
        """Let go of the file."""
        if self._capture is not None:
            self._capture.release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_frames(path, wanted, first=0, size=None):
    """Some frames of a clip, in one pass from its start (seeking is not exact in every file).

    wanted: rising int, numbers of frames from frame `first` on. Returns ({number: uint8 `[h, w, 3]`}, how many frames
    there are where the clip ended before all were read, else None).
    """
    frames, wanted = {}, sorted(set(map(int, wanted)))
    with Clip(path) as clip:
        for number in range(first + wanted[-1] + 1):
            if number - first in wanted:
                frame = clip.read(size)
                if frame is None:
                    return frames, max(number - first, 0)
                frames[number - first] = frame
            elif not clip.skip():
                return frames, max(number - first, 0)
    return frames, None


def count_frames(path):
    """How many frames a clip really gives, found by going through it."""
    with Clip(path) as clip:
        count = 0
        while clip.skip():
            count += 1
    return count


def span(clip, start=0.0, end=0.0):
    """(the first frame, how many there are) of the part of an open `Clip` from `start` to `end` seconds; an `end` of 0
    is the clip's own. The count is what the container says, which may be too much."""
    if not start and not end:
        return 0, clip.frames
    rate = clip.rate or FOLDER_RATE
    first = int(round(start * rate))
    last = int(round(end * rate)) if end else clip.frames
    if clip.frames:
        last = min(last, clip.frames)
    return first, max(last - first, 0)


def resized(frame, size):
    """A frame uint8 `[h, w, 3]` at `size`, (height, width) or None."""
    if size is None or frame.shape[:2] == tuple(size):
        return frame
    shrinks = size[0] <= frame.shape[0] and size[1] <= frame.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, (size[1], size[0]), interpolation=method)


def is_stream(path):
    """Whether a source is a camera's number or a stream's address, and no file of that name is there."""
    could_be = path.isdigit() or ADDRESS.fullmatch(path)
    return bool(could_be) and not os.path.lexists(path)


def _opened(path):
    if path.isdigit() and not os.path.isfile(path):
        with opencv_quiet:
            return cv2.VideoCapture(int(path))
    # One thread a clip: several clips are read at a time, and a decoder that waits for its own threads is slower.
    with opencv_quiet, ffmpeg_quiet():
        return cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])


def _image(path):
    with opencv_quiet:
        return cv2.imread(path, cv2.IMREAD_COLOR)
