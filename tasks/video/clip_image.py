"""A clip as one picture: a row of its frames, and below each the flow that starts there. No TensorFlow."""

import numpy as np

from retinue.tasks.video import flow

SHOWN = 4  # places of a clip that are shown
GAP = 2  # white pixels between them


def of_inputs(frames, fields, bound):
    """A strip of snippets.

    frames: `[k, h, w, 3 t]` in 0..255, or None; of t frames the first and the last are shown. fields: float
    `[k, h, w, 2 L]`, pixels, or None; of L fields the first is shown, full colour being a quarter of `bound`.
    Returns uint8 `[h', w', 3]`.
    """
    rows = []
    if frames is not None:
        ends = [frames[..., :3]] if frames.shape[-1] == 3 else [frames[..., :3], frames[..., -3:]]
        rows += [[np.clip(picture, 0, 255).astype(np.uint8) for picture in some] for some in ends]
    if fields is not None:
        rows.append([flow.draw(np.float32(some[..., :2]), bound / 4) for some in fields])
    return _grid(rows)


def _grid(rows):
    lines = []
    for pictures in rows:
        white = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
        line = [part for picture in pictures for part in (picture, white)][:-1]
        lines += [np.concatenate(line, axis=1), np.full((GAP, sum(part.shape[1] for part in line), 3), 255, np.uint8)]
    return np.concatenate(lines[:-1])
