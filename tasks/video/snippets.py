"""Snippets: the few frames and flow fields of a clip that a net looks at, read from a file and nothing else of it.

Which frames: k snippets, one in each of k equal parts of the clip, at a random place in training and in the middle
otherwise (Wang et al. 2016, TSN, section 3.1; with k = 25 the equally spaced frames of Simonyan and Zisserman 2014).
A snippet that starts at frame t has the frames t + offsets, and the flow fields t .. t + L - 1, field i being the
motion from frame i to frame i + 1. In a clip that is too short the last frame and the last field are repeated; a single
frame has no motion. No TensorFlow.
"""

import dataclasses

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.decoding.clip_file import Clip, count_frames, read_frames, span
from retinue.tasks.video import flow, stored_flow

EARLY = tuple(range(10))  # Karpathy et al. 2014: ten frames in a row, or two that are fifteen apart
OFFSETS = {"early_fusion": EARLY, "slow_fusion": EARLY, "late_fusion": (0, 15), "temporal": ()}


@dataclasses.dataclass(frozen=True)
class Snippet:
    """What a net looks at from a start on. offsets: its frames; fields: how many flow fields, from the start on."""

    offsets: tuple
    fields: int

    @property
    def span(self):
        """Frames from the first to the last that are needed."""
        return max((*(offset + 1 for offset in self.offsets), self.fields + 1 if self.fields else 0))


def snippet_of(settings):
    """The `Snippet` of a `VideoConfig`."""
    architecture = settings.architecture
    fields = settings.flow_length if architecture in ("two_stream", "temporal") else 0
    return Snippet(OFFSETS.get(architecture, (0,)), fields)


def starts(count, snippet, places):
    """The first frames of snippets. count: frames of the clip; places: float `[k]` in 0..1, where in each of the k
    equal parts (0.5 is its middle). Returns int64 `[k]`."""
    room = max(count - snippet.span, 0) + 1
    places = np.asarray(places, np.float64)
    return np.minimum(((np.arange(len(places)) + places) * (room / len(places))).astype(np.int64), room - 1)


def needed_frames(count, snippet, firsts):
    """(frames int64 `[k, t]`, fields int64 `[k, L]`) of snippets that start at `firsts`, in a clip of `count` frames.

    A field is -1 where the clip has no motion at all.
    """
    firsts = np.asarray(firsts, np.int64)[:, None]
    frames = np.minimum(firsts + np.array(snippet.offsets, np.int64), count - 1)
    fields = np.minimum(firsts + np.arange(snippet.fields), count - 2)
    return frames, np.maximum(fields, -1)


def read_snippets(path, settings, places, start=0.0, end=0.0):
    """Read snippets of a clip.

    path: see `data.clip_file.Clip`; start, end: seconds, an `end` of 0 is the clip's. settings: `VideoConfig`.
    places: see `starts`. Returns (frames uint8 `[k, H, W, 3 t]`, flow uint8 `[k, H, W, 2 L]` as `flow.to_bytes` keeps
    it) with (H, W) = `settings.frame_size`; without frames or flow in the net, that part has no channels.
    Flow comes from `settings.flow_folder` where it is there, else it is computed, of the needed frames alone, which
    gives the same.
    Raises RetinueError, naming the file, when it can't be read.
    """
    snippet, size = snippet_of(settings), tuple(settings.frame_size)
    with Clip(path) as clip:
        first, count = span(clip, start, end)
    if not count:
        count = max(count_frames(path) - first, 0)
    frames, stored = {}, _stored(path, settings) if snippet.fields else None
    while count:  # a second time where the clip ended before the container said
        rows, fields = needed_frames(count, snippet, starts(count, snippet, places))
        of_flow = np.unique(fields[fields >= 0]) if stored is None else np.zeros(0, np.int64)
        wanted = np.unique(np.concatenate([rows.ravel(), of_flow, of_flow + 1]))
        frames, ended = read_frames(path, wanted, first, size) if len(wanted) else ({}, None)
        if ended is None:
            break
        count = ended
    if not count:
        raise RetinueError(f"{path}: gives no frame{' in that part' if start or end else ''}")
    levels = _flow_levels(fields, frames, settings, stored, first)
    pictures = [np.concatenate([frames[row] for row in some], axis=-1) for some in rows if len(some)]
    pictures = np.stack(pictures) if pictures else np.zeros((len(rows), *size, 0), np.uint8)
    return pictures, levels


def snippets_of_frames(frames, settings, places):
    """As `read_snippets`, from a clip in memory: a list of RGB uint8 `[H, W, 3]` of `settings.frame_size`."""
    snippet = snippet_of(settings)
    rows, fields = needed_frames(len(frames), snippet, starts(len(frames), snippet, places))
    levels = _flow_levels(fields, frames, settings, None, 0)
    pictures = [np.concatenate([frames[row] for row in some], axis=-1) for some in rows if len(some)]
    return np.stack(pictures) if pictures else np.zeros((len(rows), *settings.frame_size, 0), np.uint8), levels


def _stored(path, settings):
    if not settings.flow_folder:
        return None
    return stored_flow.open_flow(
        settings.flow_folder, path, settings.flow_method, settings.flow_bound, settings.frame_size
    )


def _flow_levels(fields, frames, settings, stored, first):
    """The fields int64 `[k, L]` as uint8 `[k, H, W, 2 L]`; each is made once, however many snippets have it."""
    size = tuple(settings.frame_size)
    bound, made, greys = settings.flow_bound, {}, {}
    still = flow.to_bytes(np.zeros((*size, 2), np.float32), bound)
    for number in np.unique(fields).tolist():
        if number < 0:
            made[number] = still
        elif stored is not None:
            made[number] = stored.read(first + number)
        else:
            for frame in (number, number + 1):
                greys.setdefault(frame, flow.grey(frames[frame]))
            made[number] = flow.to_bytes(flow.compute(greys[number], greys[number + 1], settings.flow_method), bound)
    if not fields.shape[1]:
        return np.zeros((len(fields), *size, 0), np.uint8)
    return np.stack([np.concatenate([made[number] for number in some], axis=-1) for some in fields.tolist()])
