"""What a clip really is: its size, rate and frames, found by decoding it, without TensorFlow."""

import os
from dataclasses import dataclass

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.clip_file import Clip, span
from retinue.data.storage.content import clip_id

SHORT = 11  # frames; with fewer, the ten flow fields of a stack repeat the last one
VARIES = 0.25  # of the usual time from frame to frame; more makes a rate a variable one
COPY_AGAIN = "copy it again from where it came from"


@dataclass(frozen=True, slots=True)
class ClipFile:
    """What `probe_clip` found.

    format: the file's ending, or "frames". width, height: pixels. frames: that can be decoded, in the part that is
    meant. lost: how many more the container says there are, in a whole file. rate: frames a second, 0 where unknown.
    bytes: the file's size. bad: (kind, reason, cure) when it can't be used, else None. remarks: (kind, reason) of odd
    but usable things. content_id: see `data.content.clip_id`, with the part's seconds where it is not the whole.
    """

    format: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    lost: int = 0
    rate: float = 0.0
    bytes: int = 0
    mode: str = "RGB"
    orientation: int = 1
    bad: tuple = None
    remarks: tuple = ()
    content_id: str = ""


def probe_clip(path, start=0.0, end=0.0, max_pixels=200_000_000):
    """The `ClipFile` of the clip at `path`, or of its part from `start` to `end` seconds (0 is the clip's own end)."""
    form = "frames" if os.path.isdir(path) else os.path.splitext(path)[1].lstrip(".").lower()
    if not os.path.exists(path):
        return ClipFile(form, bad=("missing", "there is no such file", "correct the path"))
    try:
        size = _bytes(path)
        if not size:
            return ClipFile(form, bad=("empty", "the file has no content", COPY_AGAIN))
        identity = clip_id(path) + (f"@{start:g}-{end:g}" if start or end else "")
        with Clip(path) as clip:
            first, expected = span(clip, start, end)
            found = {"format": form, "width": clip.width, "height": clip.height, "bytes": size, "rate": clip.rate}
            found["content_id"] = identity
            if clip.width * clip.height > max_pixels:
                reason = f"{clip.width} x {clip.height} pixels, more than data.max_pixels"
                return ClipFile(**found, bad=("too large", reason, "raise data.max_pixels"))
            last = first + expected if start or end else None
            count, times = _go_through(clip, last)
    except (RetinueError, OSError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        return ClipFile(form, bad=("undecodable", reason, "convert it to MP4 (H.264) and try again"))
    frames = max(count - first, 0)
    if not frames:
        what = "no frame can be decoded" if not count else f"it has no frame from {start:g} to {end:g} seconds"
        return ClipFile(**found, bad=("zero frames", what, COPY_AGAIN if not count else "correct start and end"))
    lost = max(clip.frames - count, 0) if not (start or end) else 0
    return ClipFile(**found, frames=frames, lost=lost, remarks=tuple(remarks(frames, lost, clip.frames, times)))


def _go_through(clip, last):
    """(frames decoded, up to `last`; the seconds at which each was shown)."""
    times, count = [], 0
    step = clip.skip if not clip.is_folder else lambda: clip.read() is not None  # a picture is only known when decoded
    while (last is None or count < last) and step():
        times.append(clip.time())
        count += 1
    return count, times


def remarks(frames, lost, declared, times):
    """(kind, reason) of what is odd about a usable clip. times: seconds at which its frames are shown."""
    if lost:
        yield "frames lost", f"{lost:,} of the {declared:,} frames it says it has can't be decoded"
    if frames < SHORT:
        yield "very short", f"{frames} {'frame' if frames == 1 else 'frames'}; the last flow field is repeated"
    steps = np.diff(times)
    if len(steps) > 2:
        usual = np.median(steps)
        off = np.abs(steps - usual) > VARIES * max(usual, 1e-6)
        if off.mean() > 0.05:
            yield "variable rate", f"{off.mean():.0%} of its frames come sooner or later than the others"


def _bytes(path):
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
    return os.path.getsize(path)
