"""Reading clips frame by frame: video files, folders of frames, cameras and streams. No TensorFlow."""

import os
import re
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.opencv import silence_ffmpeg, silence_opencv
from retinue.data.decoding.video_file import VideoFile, frame_index
from retinue.data.storage.file_names import IMAGE_SUFFIXES, frame_paths

STILL_IMAGE_SUFFIXES = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix != ".gif")
FOLDER_FPS = 25.0  # assumed frames per second of a folder of frames
TIME_TOLERANCE = 0.0005  # seconds; containers round times to milliseconds
MIN_FRAMES_TO_SEEK = 50  # a jump to a keyframe takes as long as decoding about so many small frames
_URL = re.compile(r"[a-z]+://.+")


class Clip:
    """An open clip whose frames are read one after the other. Close it, or use it in a `with` statement.

    Args:
        path: A video file, a folder of frames (images in the order of the numbers in their names), the number of a
            camera ("0"), or the address of a stream ("rtsp://...").

    Attributes:
        path: The path as text.
        frame_count: Number of frames according to the container, 0 if unknown.
        fps: Frames per second, 0 if unknown.
        width: Width in pixels.
        height: Height in pixels.

    Raises:
        RetinueError: If the clip cannot be opened. The message names the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self.frame_count, self.fps = 0, 0.0
        self.width, self.height = 0, 0
        self._frame_paths: list[str] | None = None  # of a folder of frames
        self._video: VideoFile | None = None  # of a video file
        self._capture: Any = None  # OpenCV's object for cameras and streams; OpenCV has no usable types
        self._frames_taken = 0
        if os.path.isdir(self.path):
            self._open_folder()
        elif is_stream(self.path):
            self._open_stream()
        else:
            self._open_file()

    @property
    def is_folder(self) -> bool:
        """Whether the clip is a folder of frames."""
        return self._frame_paths is not None

    def skip(self) -> bool:
        """Skip the next frame. Returns whether there was one."""
        self._frames_taken += 1
        if self._video is not None:
            return self._video.skip()
        if self._frame_paths is not None:
            return self._frames_taken <= len(self._frame_paths)
        with silence_opencv:
            return bool(self._capture.grab())

    def read(self, size: tuple[int, int] | None = None) -> np.ndarray | None:
        """Read the next frame.

        Args:
            size: Height and width in pixels to which the frame is resized, or None. A frame is downscaled by averaging
                areas and upscaled by linear interpolation.

        Returns:
            uint8 [height, width, 3], RGB, or None at the end of the clip.
        """
        self._frames_taken += 1
        if self._video is not None:
            frame = self._video.read()
            return None if frame is None else resize_frame(frame, size)
        if self._frame_paths is not None:
            paths = self._frame_paths[self._frames_taken - 1 : self._frames_taken]
            frame = _read_image(paths[0]) if paths else None
        else:
            with silence_opencv:
                _, frame = self._capture.read()
        return None if frame is None else resize_frame(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), size)

    def time(self) -> float:
        """Return the seconds from the start of the clip to the last frame that was read or skipped."""
        seconds: float | None = None
        if self._video is not None:
            seconds = self._video.seconds()
        elif self._capture is not None:
            seconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000 or None
        return max(self._frames_taken - 1, 0) / (self.fps or FOLDER_FPS) if seconds is None else seconds

    def close(self) -> None:
        """Close the file, camera or stream."""
        if self._video is not None:
            self._video.close()
        if self._capture is not None:
            self._capture.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open_folder(self) -> None:
        self._frame_paths = frame_paths(self.path)
        first = _read_image(self._frame_paths[0]) if self._frame_paths else None
        if first is None:
            raise RetinueError(
                f"{self.path}: the folder contains no frames that can be read; add images "
                f"({' '.join(IMAGE_SUFFIXES)}), or remove the folder"
            )
        self.frame_count, self.fps = len(self._frame_paths), FOLDER_FPS
        self.height, self.width = first.shape[:2]

    def _open_file(self) -> None:
        if self.path.lower().endswith(STILL_IMAGE_SUFFIXES) and os.path.isfile(self.path):
            raise RetinueError(f"{self.path}: this is an image, not a clip; give the folder that contains the frames")
        if not os.path.isfile(self.path):
            raise RetinueError(f"{self.path}: there is no such clip; correct the path")
        video = self._video = VideoFile(self.path)
        self.frame_count, self.fps = video.frame_count, video.fps
        self.width, self.height = video.width, video.height

    def _open_stream(self) -> None:
        self._capture = _open_capture(self.path)
        if not self._capture.isOpened():
            raise RetinueError(
                f"{self.path}: this camera or stream cannot be opened; check that it is connected and not in use"
            )
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 10_000 else 0.0
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))


def read_frames(
    path: str | os.PathLike[str], wanted: Iterable[int], first: int = 0, size: tuple[int, int] | None = None
) -> tuple[dict[int, np.ndarray], int | None]:
    """Read some frames of a clip in one pass.

    Frames that are far apart, or far from the start, are reached by jumping to the last keyframe before them, in files
    in which every frame is identified by its timestamp. The result is the same as that of decoding from the start, if
    no frame is damaged.

    Args:
        path: As for `Clip`.
        wanted: Numbers of frames, counted from the frame `first`.
        first: Index of the first frame of the part that is meant.
        size: Height and width in pixels to which the frames are resized, or None.

    Returns:
        The frames by their numbers, uint8 [height, width, 3], and the number of frames of the part if the clip ended
        before all of them were read, or None otherwise.
    """
    numbers = sorted(set(map(int, wanted)))
    gaps = np.diff([0, *(first + number for number in numbers)])
    if gaps.max() >= MIN_FRAMES_TO_SEEK and os.path.isfile(path):
        frames = _read_by_timestamps(os.fspath(path), numbers, first, size)
        if frames is not None:
            return frames, None
    frames = {}
    with Clip(path) as clip:
        for index in range(first + numbers[-1] + 1):
            number = index - first
            if number in numbers:
                frame = clip.read(size)
                if frame is None:
                    return frames, max(number, 0)
                frames[number] = frame
            elif not clip.skip():
                return frames, max(number, 0)
    return frames, None


def _read_by_timestamps(
    path: str, numbers: Sequence[int], first: int, size: tuple[int, int] | None
) -> dict[int, np.ndarray] | None:
    """Read the frames by their timestamps, or return None if one of them is not found."""
    index = frame_index(path)
    if index.timestamps is None or first + numbers[-1] >= len(index.timestamps):
        return None
    frames: dict[int, np.ndarray] = {}
    position = -1  # the index of the last frame that was decoded
    with VideoFile(path) as video:
        for number in numbers:
            target = int(index.timestamps[first + number])
            before = index.keyframes[: np.searchsorted(index.keyframes, target, side="right")]
            if len(before):
                keyframe = int(np.searchsorted(index.timestamps, before[-1]))
                if keyframe - position > MIN_FRAMES_TO_SEEK:
                    video.seek(int(before[-1]))
            while video.skip() and video.timestamp is not None and video.timestamp < target:
                pass
            frame = video.last_frame()
            if frame is None or video.timestamp != target or video.last_is_damaged():
                return None
            frames[number] = resize_frame(frame, size)
            position = first + number
    return frames


def count_frames(path: str | os.PathLike[str]) -> int:
    """Count the frames that a clip really has, by going through it."""
    with Clip(path) as clip:
        count = 0
        while clip.skip():
            count += 1
    return count


def frame_range(clip: Clip, start: float = 0.0, end: float = 0.0) -> tuple[int, int]:
    """Convert a part of a clip from seconds to frames, by the times at which the frames are shown.

    Args:
        clip: An open clip.
        start: Start of the part in seconds.
        end: End of the part in seconds; 0 is the end of the clip.

    Returns:
        The index of the first frame that is shown at `start` or later, and the number of frames from it that are shown
        before `end`. The number for a whole clip is the container's, which can be too high.
    """
    if not start and not end:
        return 0, clip.frame_count
    if clip.is_folder:
        times = np.arange(clip.frame_count) / FOLDER_FPS
    else:
        times = frame_index(clip.path).times
    first, last = np.searchsorted(times, [start - TIME_TOLERANCE, (end or np.inf) - TIME_TOLERANCE])
    return int(first), max(int(last - first), 0)


def resize_frame(frame: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Resize a frame, uint8 [height, width, 3], to a height and width in pixels, or return it unchanged for None."""
    if size is None or frame.shape[:2] == tuple(size):
        return frame
    shrinks = size[0] <= frame.shape[0] and size[1] <= frame.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: np.ndarray = cv2.resize(frame, (size[1], size[0]), interpolation=method)
    return resized


def is_stream(path: str) -> bool:
    """Return whether a source is the number of a camera or the address of a stream, and no file has this name."""
    return bool(path.isdigit() or _URL.fullmatch(path)) and not os.path.lexists(path)


def _open_capture(path: str) -> Any:
    """Return OpenCV's VideoCapture of a camera or stream. OpenCV has no usable types, hence Any."""
    if path.isdigit():
        with silence_opencv:
            return cv2.VideoCapture(int(path))
    with silence_opencv, silence_ffmpeg():
        return cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])


def _read_image(path: str) -> np.ndarray | None:
    with silence_opencv:
        pixels: np.ndarray | None = cv2.imread(path, cv2.IMREAD_COLOR)
    return pixels
