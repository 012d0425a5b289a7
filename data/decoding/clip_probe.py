"""Inspecting clips without TensorFlow: their size, frame rate and frames, found out by decoding them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.clip_file import Clip, frame_range
from retinue.data.decoding.file_problem import COPY_AGAIN, Problem
from retinue.data.storage.content import clip_id

MIN_FRAMES = 11  # with fewer frames, the last of ten stacked flow fields has to be repeated
MAX_INTERVAL_CHANGE = 0.25  # of the median time between two frames; more of it makes a frame rate variable


@dataclass(slots=True)
class ClipInfo:
    """What `probe_clip` found out about a clip.

    Attributes:
        format: The ending of the file name, or "frames" for a folder of frames.
        width: Width in pixels.
        height: Height in pixels.
        frame_count: Number of frames that can be decoded in the part that is meant.
        lost_frames: Number of additional frames according to the container, for a whole clip.
        fps: Frames per second, 0 if unknown.
        file_size: Size of the file in bytes.
        mode: Channels, always "RGB".
        orientation: EXIF orientation, always 1.
        problem: Why the clip cannot be used, or None.
        remarks: Kind and reason of each property that is unusual, but does not prevent using the clip.
        content_id: Hash of the content (see `retinue.data.storage.content.clip_id`), followed by the seconds of the
            part if the whole clip is not meant.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    frame_count: int = 0
    lost_frames: int = 0
    fps: float = 0.0
    file_size: int = 0
    mode: str = "RGB"
    orientation: int = 1
    problem: Problem | None = None
    remarks: tuple[tuple[str, str], ...] = ()
    content_id: str = ""


def probe_clip(path: str, start: float = 0.0, end: float = 0.0, max_pixels: int = 200_000_000) -> ClipInfo:
    """Inspect a clip and decode it. No exception is raised for an invalid clip.

    Args:
        path: A video file or a folder of frames.
        start: Start of the part that is meant, in seconds.
        end: End of the part in seconds; 0 is the end of the clip.
        max_pixels: A clip with more pixels in a frame is rejected.

    Returns:
        What was found out. If the clip is invalid, `problem` is set.
    """
    info = ClipInfo("frames" if os.path.isdir(path) else os.path.splitext(path)[1].lstrip(".").lower())
    if not os.path.exists(path):
        info.problem = Problem("missing", "there is no such file", "correct the path")
        return info
    is_part = bool(start or end)
    try:
        size = _file_size(path)
        if not size:
            info.problem = Problem("empty", "the file has no content", COPY_AGAIN)
            return info
        content_id = clip_id(path) + (f"@{start:g}-{end:g}" if is_part else "")
        with Clip(path) as clip:
            info.width, info.height, info.fps = clip.width, clip.height, clip.fps
            info.file_size, info.content_id = size, content_id
            if clip.width * clip.height > max_pixels:
                reason = f"{clip.width} x {clip.height} pixels, more than data.max_pixels ({max_pixels:,})"
                info.problem = Problem("too large", reason, "increase data.max_pixels")
                return info
            first, expected = frame_range(clip, start, end)
            count, times = _decode(clip, first + expected if is_part else None)
    except (RetinueError, OSError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        return ClipInfo(info.format, problem=Problem("undecodable", reason, "convert it to MP4 (H.264) and try again"))
    info.frame_count = max(count - first, 0)
    if not count:
        info.problem = Problem("zero frames", "no frame can be decoded", COPY_AGAIN)
    elif not info.frame_count:
        reason = f"it has no frame from {start:g} to {end:g} seconds"
        info.problem = Problem("zero frames", reason, "correct start and end")
    else:
        info.lost_frames = max(clip.frame_count - count, 0) if not is_part else 0
        info.remarks = tuple(clip_remarks(info.frame_count, info.lost_frames, clip.frame_count, times))
    return info


def clip_remarks(
    frame_count: int, lost_frames: int, declared_frames: int, times: Sequence[float]
) -> Iterator[tuple[str, str]]:
    """Yield the kind and reason of each property that is unusual, but does not prevent using the clip.

    Args:
        frame_count: Number of frames that can be decoded.
        lost_frames: Number of additional frames according to the container.
        declared_frames: Number of all frames according to the container.
        times: Seconds at which the frames are shown.
    """
    if lost_frames:
        yield "frames lost", f"{lost_frames:,} of the {declared_frames:,} frames in its header cannot be decoded"
    if frame_count < MIN_FRAMES:
        frames = "frame" if frame_count == 1 else "frames"
        yield "very short", f"it has only {frame_count} {frames}, so the last flow field is repeated"
    intervals = np.diff(times)
    if len(intervals) > 2:
        median = np.median(intervals)
        is_irregular = np.abs(intervals - median) > MAX_INTERVAL_CHANGE * max(float(median), 1e-6)
        if is_irregular.mean() > 0.05:
            yield "variable rate", f"{is_irregular.mean():.0%} of its frames come earlier or later than the others"


def _decode(clip: Clip, last: int | None) -> tuple[int, list[float]]:
    """Decode a clip, up to the frame `last` if there is one.

    Returns:
        The number of frames, and the seconds at which each of them is shown.
    """
    times: list[float] = []
    # An image of a folder has to be decoded to find out whether it is valid.
    step = (lambda: clip.read() is not None) if clip.is_folder else clip.skip
    while (last is None or len(times) < last) and step():
        times.append(clip.time())
    return len(times), times


def _file_size(path: str) -> int:
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
    return os.path.getsize(path)
