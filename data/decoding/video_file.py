"""Reading the frames of a video file with FFmpeg's libraries (PyAV): one after the other, or from a keyframe on."""

import contextlib
import functools
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from retinue.configs.errors import RetinueError, first_line

# Containers and codecs in which one packet is one frame and carries the time at which it is shown, and in which
# decoding can start at every keyframe. In others (AVI, MPEG-TS, ...) frames can only be counted by decoding them.
INDEXED_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
INDEXED_CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg")
MAX_FPS = 10_000  # a larger number in a header is wrong
MAX_DAMAGED_PACKETS = 4096  # in a row

av.logging.set_level(None)  # FFmpeg would print a line for every damaged packet


@dataclass(frozen=True)
class FrameIndex:
    """When the frames of a video file are shown.

    Attributes:
        times: float64 [n], seconds from the start of the file to each frame, in the order in which they are shown.
        timestamps: int64 [n], the same in the unit of the file; None if they identify no frames, so that frames have to
            be counted from the start of the file.
        keyframes: int64 [k], the timestamps of those frames at which decoding can start.
    """

    times: np.ndarray
    timestamps: np.ndarray | None
    keyframes: np.ndarray


class VideoFile:
    """An open video file. Its first video stream that is not a cover image is read.

    Args:
        path: The file.

    Attributes:
        frame_count: Number of frames according to the container, 0 if unknown.
        fps: Mean number of frames per second, 0 if unknown.
        width: Width in pixels of the upright frames.
        height: Height in pixels of the upright frames.
        timestamp: When the last frame that was decoded is shown, in the unit of the file; None if unknown.

    Raises:
        RetinueError: If the file cannot be opened. The message names it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._container, self._stream = _open(path)
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate and 0 < rate < MAX_FPS else 0.0
        self.frame_count = self._stream.frames or round(self._duration() * self.fps)
        self.timestamp: int | None = None
        self._converter = VideoReformatter()  # one for all frames, since it computes its tables anew otherwise
        self._frames = self._decode()
        # The first frame tells how the video is turned, which FFmpeg does not tell before.
        self._first: VideoFrame | None = None
        self._last: VideoFrame | None = None
        self._first = self._next()
        context = self._stream.codec_context
        self.width, self.height = context.width, context.height
        if self._first is not None:
            self.width, self.height = self._first.width, self._first.height
            if self._first.rotation % 180:
                self.width, self.height = self.height, self.width

    def skip(self) -> bool:
        """Decode the next frame without converting it. Returns whether there was one."""
        return self._next() is not None

    def read(self) -> np.ndarray | None:
        """Decode the next frame: uint8 [height, width, 3], RGB and upright, or None at the end of the file."""
        frame = self._next()
        return None if frame is None else self._to_rgb(frame)

    def last_frame(self) -> np.ndarray | None:
        """Return the last frame that was decoded, like `read`, or None if there is none."""
        return None if self._last is None else self._to_rgb(self._last)

    def last_is_damaged(self) -> bool:
        """Return whether FFmpeg could decode only a part of the last frame, for instance because a part is missing."""
        return self._last is not None and self._last.is_corrupt

    def seconds(self) -> float | None:
        """Return the seconds from the start of the file to the last frame that was decoded, or None if unknown."""
        return None if self.timestamp is None else _to_seconds(self.timestamp, self._stream)

    def seek(self, keyframe: int) -> None:
        """Continue with the frame at a timestamp of `FrameIndex.keyframes`, or an earlier one."""
        with contextlib.suppress(av.error.FFmpegError):  # then the next frame is read
            self._container.seek(keyframe, stream=self._stream)
        self._first, self._frames = None, self._decode()

    def close(self) -> None:
        """Close the file."""
        self._frames.close()
        self._container.close()

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _duration(self) -> float:
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return (self._container.duration or 0) / av.time_base

    def _to_rgb(self, frame: VideoFrame) -> np.ndarray:
        pixels = self._converter.reformat(frame, format="rgb24").to_ndarray()
        quarter_turns = round(frame.rotation / 90) % 4  # counterclockwise
        return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels

    def _next(self) -> VideoFrame | None:
        frame, self._first = self._first, None
        if frame is None:
            frame = next(self._frames, None)
        self._last = frame
        if frame is not None:
            self.timestamp = frame.pts
        return frame

    def _decode(self) -> Generator[VideoFrame, None, None]:
        """Yield the frames. A damaged packet costs its own frames only."""
        damaged = 0
        for packet in _packets(self._container, self._stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                damaged += 1
                if damaged > MAX_DAMAGED_PACKETS:
                    return
                continue
            for frame in frames:
                damaged = 0
                yield frame


def frame_index(path: str) -> FrameIndex:
    """Return the index of a video file. It is kept in memory, because training reads the same files again and again."""
    status = os.stat(path)
    return _frame_index(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _frame_index(path: str, size: int, modified: int) -> FrameIndex:
    container, stream = _open(path)
    with container:
        if container.format.name in INDEXED_CONTAINERS and stream.codec_context.name in INDEXED_CODECS:
            frames = [
                (packet.pts, packet.is_keyframe)
                for packet in _packets(container, stream)
                if packet.size and not packet.is_discard
            ]
            known = sorted((timestamp, is_key) for timestamp, is_key in frames if timestamp is not None)
            timestamps = np.array([timestamp for timestamp, _ in known], np.int64)
            if len(np.unique(timestamps)) == len(frames):
                times = np.array([_to_seconds(timestamp, stream) for timestamp, _ in known])
                return FrameIndex(times, timestamps, timestamps[[is_key for _, is_key in known]])
    with VideoFile(path) as video:
        decoded: list[float] = []
        while video.skip():
            seconds = video.seconds()
            decoded.append(len(decoded) / (video.fps or 1) if seconds is None else seconds)
    return FrameIndex(np.maximum.accumulate(decoded), None, np.zeros(0, np.int64))


def _to_seconds(timestamp: int, stream: VideoStream) -> float:
    return float((timestamp - (stream.start_time or 0)) * (stream.time_base or 0))


def _packets(container: InputContainer, stream: VideoStream) -> "Iterator[av.Packet]":
    """Yield the packets of a stream, up to where the file is torn."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        yield packet


def _open(path: str) -> tuple[InputContainer, VideoStream]:
    try:
        container = av.open(path, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise RetinueError(
            f"{path}: the file cannot be opened as a video ({first_line(error)}); check that it is one and that it is "
            "complete"
        ) from None
    covers = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        container.close()
        raise RetinueError(f"{path}: the file has no video, but perhaps sound; remove it, or replace it by a video")
    stream = streams[0]
    if stream.codec_context is None:
        container.close()
        raise RetinueError(f"{path}: FFmpeg has no decoder for this video; convert it to MP4 (H.264)")
    # Each clip is decoded by one thread: several clips are read at the same time, and a decoder is slower if it has to
    # wait for threads of its own.
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    return container, stream
