"""Draws a clip as one image: a grid with its frames in rows and, below, the flow that starts at them. No TensorFlow."""

from collections.abc import Sequence

import numpy as np

from retinue.tasks.video import flow

NUM_SNIPPETS = 4  # snippets that are drawn of a record's clip
GAP = 2  # white pixels between cells


def draw_snippets(frames: np.ndarray | None, fields: np.ndarray | None, bound: float) -> np.ndarray:
    """Draw snippets, one column each.

    Args:
        frames: [k, h, w, 3 t] in 0..255, or None; the first and the last of t frames are drawn.
        fields: float [k, h, w, 2 L], in pixels, or None; the first of L flow fields is drawn, and a quarter of `bound`
            has full saturation.
        bound: motion in pixels that 8 bits represent.

    Returns:
        uint8 [h', w', 3].
    """
    rows = []
    if frames is not None:
        ends = [frames[..., :3]] if frames.shape[-1] == 3 else [frames[..., :3], frames[..., -3:]]
        rows += [[np.clip(frame, 0, 255).astype(np.uint8) for frame in row] for row in ends]
    if fields is not None:
        rows.append([flow.flow_to_image(np.asarray(field[..., :2], np.float32), bound / 4) for field in fields])
    return _grid(rows)


def _grid(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Join rows of images, uint8 [h, w, 3], with white gaps."""
    lines = []
    for images in rows:
        gap = np.full((images[0].shape[0], GAP, 3), 255, np.uint8)
        line = np.concatenate([cell for image in images for cell in (image, gap)][:-1], axis=1)
        lines += [line, np.full((GAP, line.shape[1], 3), 255, np.uint8)]
    return np.concatenate(lines[:-1])
