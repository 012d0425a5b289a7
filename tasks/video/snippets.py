"""Reads snippets: the few frames and flow fields of a clip that a model sees.

"Snippet" is the term of Wang et al. 2016 (TSN, section 3.1): a short part of a clip that represents one of k segments
of equal length. Its start is at a random position of the segment in training, and in the middle of the segment
otherwise. With k = 25 these are the equally spaced frames of Simonyan and Zisserman 2014.

A snippet that starts at frame t has the frames t + frame_offsets, and the flow fields t .. t + L - 1, where field i is
the motion from frame i to frame i + 1. In a clip that is too short, the last frame and the last field are repeated; a
single frame has no motion.

Only the frames that are needed are read. This module does not import TensorFlow.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.clip_file import Clip, count_frames, frame_range, read_frames
from retinue.tasks.video import flow, stored_flow

if TYPE_CHECKING:
    from retinue.configs.schema import VideoConfig

SEGMENT_CENTER = 0.5  # relative position of a snippet in its segment, except in training
# Karpathy et al. 2014: early and slow fusion see ten consecutive frames, late fusion two frames that are 15 apart.
TEN_FRAMES = tuple(range(10))
FRAME_OFFSETS: dict[str, tuple[int, ...]] = {
    "early_fusion": TEN_FRAMES,
    "slow_fusion": TEN_FRAMES,
    "late_fusion": (0, 15),
    "temporal": (),
}


@dataclasses.dataclass(frozen=True)
class Snippet:
    """The frames and flow fields that a model sees, relative to the start of the snippet.

    Attributes:
        frame_offsets: frames, relative to the first one.
        flow_length: number of consecutive flow fields, from the first frame on.
    """

    frame_offsets: tuple[int, ...]
    flow_length: int

    @property
    def num_frames(self) -> int:
        """Number of frames from the first to the last one that is needed."""
        return max((*(offset + 1 for offset in self.frame_offsets), self.flow_length + 1 if self.flow_length else 0))


def snippet_for(settings: "VideoConfig") -> Snippet:
    """Return the `Snippet` of a configured architecture."""
    architecture = settings.architecture
    flow_length = settings.flow_length if architecture in ("two_stream", "temporal") else 0
    return Snippet(FRAME_OFFSETS.get(architecture, (0,)), flow_length)


def snippet_starts(frame_count: int, snippet: Snippet, positions: Sequence[float] | np.ndarray) -> np.ndarray:
    """Compute the first frames of the snippets of a clip.

    Args:
        frame_count: frames of the clip.
        snippet: the snippet's extent.
        positions: float [k] in 0..1, the relative position in each of the k segments.

    Returns:
        int64 [k], frame indices.
    """
    num_starts = max(frame_count - snippet.num_frames, 0) + 1
    positions = np.asarray(positions, np.float64)
    starts = (np.arange(len(positions)) + positions) * (num_starts / len(positions))
    return np.minimum(starts.astype(np.int64), num_starts - 1)


def frame_and_field_indices(
    frame_count: int, snippet: Snippet, starts: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """List the frames and flow fields of snippets.

    Args:
        frame_count: frames of the clip.
        snippet: the snippet's extent.
        starts: int [k], first frame of each snippet.

    Returns:
        (frames int64 [k, t], fields int64 [k, L]). A field is -1 if the clip has no motion, because it has one frame.
    """
    starts = np.asarray(starts, np.int64)[:, None]
    frames = np.minimum(starts + np.array(snippet.frame_offsets, np.int64), frame_count - 1)
    fields = np.minimum(starts + np.arange(snippet.flow_length), frame_count - 2)
    return frames, np.maximum(fields, -1)


def read_snippets(
    path: str | os.PathLike[str],
    settings: "VideoConfig",
    positions: Sequence[float] | np.ndarray,
    start: float = 0.0,
    end: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Read the snippets of a clip.

    Flow is read from `settings.flow_folder` if it is stored there. Otherwise it is computed from the needed frames
    alone, which gives the same values.

    Args:
        path: a video file or a folder of frames, see `data.decoding.clip_file.Clip`.
        settings: the configuration of the model.
        positions: float [k] in 0..1, the relative position in each of the k segments.
        start: start of the clip in the file, in seconds.
        end: end of the clip in the file, in seconds; 0 is the end of the file.

    Returns:
        (frames uint8 [k, H, W, 3 t], flow uint8 [k, H, W, 2 L] as `flow.quantize` stores it), with (H, W) =
        `settings.frame_size`. If the model takes no frames, or no flow, that array has no channels.

    Raises:
        RetinueError: the file can't be read, or has no frame in that part.
    """
    snippet, size = snippet_for(settings), (settings.frame_size[0], settings.frame_size[1])
    with Clip(path) as clip:
        first, frame_count = frame_range(clip, start, end)
    if not frame_count:
        frame_count = max(count_frames(path) - first, 0)
    stored = _open_stored_flow(path, settings) if snippet.flow_length else None
    frames: Mapping[int, np.ndarray] = {}
    while frame_count:  # a second pass is needed if the clip ends before its container says so
        starts = snippet_starts(frame_count, snippet, positions)
        frame_rows, fields = frame_and_field_indices(frame_count, snippet, starts)
        computed = np.unique(fields[fields >= 0]) if stored is None else np.zeros(0, np.int64)
        wanted = np.unique(np.concatenate([frame_rows.ravel(), computed, computed + 1]))
        frames, actual_count = read_frames(path, wanted, first, size) if len(wanted) else ({}, None)
        if actual_count is None:
            break
        frame_count = actual_count
    if not frame_count:
        raise RetinueError(
            f"{path}: the clip has no frame{' in that part' if start or end else ''} that can be decoded; remove it, "
            "or replace the file"
        )
    return _stack_frames(frame_rows, frames, size), _flow_levels(fields, frames, settings, stored, first)


def snippets_from_frames(
    frames: Sequence[np.ndarray], settings: "VideoConfig", positions: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Make the same arrays as `read_snippets` from a clip in memory.

    Args:
        frames: all frames of the clip, RGB uint8 [H, W, 3], of `settings.frame_size`.
        settings: the configuration of the model.
        positions: float [k] in 0..1, the relative position in each of the k segments.

    Returns:
        (frames uint8 [k, H, W, 3 t], flow uint8 [k, H, W, 2 L]).
    """
    snippet = snippet_for(settings)
    starts = snippet_starts(len(frames), snippet, positions)
    frame_rows, fields = frame_and_field_indices(len(frames), snippet, starts)
    by_index = dict(enumerate(frames))
    stacks = _stack_frames(frame_rows, by_index, (settings.frame_size[0], settings.frame_size[1]))
    return stacks, _flow_levels(fields, by_index, settings, None, 0)


def _open_stored_flow(path: str | os.PathLike[str], settings: "VideoConfig") -> stored_flow.StoredFlow | None:
    if not settings.flow_folder:
        return None
    return stored_flow.open_flow(
        settings.flow_folder, path, settings.flow_method, settings.flow_bound, settings.frame_size
    )


def _stack_frames(rows: np.ndarray, frames: Mapping[int, np.ndarray], size: tuple[int, ...]) -> np.ndarray:
    """Stack the frames of each snippet along the channels: indices int64 [k, t] -> uint8 [k, H, W, 3 t]."""
    stacks = [np.concatenate([frames[index] for index in row], axis=-1) for row in rows if len(row)]
    return np.stack(stacks) if stacks else np.zeros((len(rows), *size, 0), np.uint8)


def _flow_levels(
    fields: np.ndarray,
    frames: Mapping[int, np.ndarray],
    settings: "VideoConfig",
    stored: stored_flow.StoredFlow | None,
    first: int,
) -> np.ndarray:
    """Return the flow fields [k, L] as uint8 [k, H, W, 2 L]. A field that several snippets share is made once.

    Args:
        fields: int64 [k, L], indices of flow fields, relative to the start of the clip.
        frames: frames by their index.
        settings: the configuration of the model.
        stored: stored flow of the file, or None to compute it.
        first: first frame of the clip in the file.
    """
    size = (settings.frame_size[0], settings.frame_size[1])
    bound = settings.flow_bound
    levels: dict[int, np.ndarray] = {}
    gray: dict[int, np.ndarray] = {}
    for index in np.unique(fields).tolist():
        if index < 0:
            levels[index] = flow.quantize(np.zeros((*size, 2), np.float32), bound)
        elif stored is not None:
            levels[index] = stored.read(first + index)
        else:
            for frame in (index, index + 1):
                if frame not in gray:
                    gray[frame] = flow.to_gray(frames[frame])
            levels[index] = flow.quantize(flow.compute(gray[index], gray[index + 1], settings.flow_method), bound)
    if not fields.shape[1]:
        return np.zeros((len(fields), *size, 0), np.uint8)
    return np.stack([np.concatenate([levels[index] for index in row], axis=-1) for row in fields.tolist()])
