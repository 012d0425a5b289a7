"""Tiled inference, for images that are too large for the memory: the model sees overlapping tiles at full size."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

GRID = 32  # tiles start at multiples of it, so that the model's maps lie on the same grid as in the whole image
TILES_PER_CALL = 4

Run = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class TileSpan(NamedTuple):
    """The extent of a tile along one axis, in pixels.

    Attributes:
        start: first pixel that the model sees.
        stop: pixel behind the last one that the model sees.
        kept_start: first pixel whose prediction is taken from this tile.
        kept_stop: pixel behind the last one whose prediction is taken from this tile.
    """

    start: int
    stop: int
    kept_start: int
    kept_stop: int


def tile_inference(run: Run, tile_size: int, overlap: int) -> Run:
    """Wrap an inference function so that it processes large images in overlapping tiles.

    Each pixel of the mask comes from the tile whose center is nearest. If half of the overlap is more than what the
    model sees around a pixel (half of its receptive field), the mask equals that of the whole image. The memory is
    bounded by a few tiles, besides the image and its mask.

    Args:
        run: function from image uint8 [n, h, w, 3] and original_size [n, 2] to mask and confidence.
        tile_size: side of the tiles in pixels. Images with no larger side go to `run` unchanged.
        overlap: pixels that neighboring tiles share.

    Returns:
        A function like `run`. For tiled images the confidence is one value per tile: float32 [n, rows, columns].
    """
    tile_size = max(tile_size // GRID * GRID, GRID)
    stride = max((tile_size - min(overlap, tile_size // 2)) // GRID * GRID, GRID)

    def run_tiled(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        images = np.asarray(inputs["image"])
        if max(images.shape[1:3]) <= tile_size:
            return run(inputs)
        outputs = [_run_on_tiles(run, image, tile_size, stride) for image in images]
        return {name: np.stack([output[name] for output in outputs]) for name in outputs[0]}

    return run_tiled


def tile_spans(length: int, tile_size: int, stride: int) -> list[TileSpan]:
    """Divide one axis of an image into tiles.

    Args:
        length: pixels of the axis.
        tile_size: pixels of a tile.
        stride: pixels between the starts of two tiles.

    Returns:
        The `TileSpan`s in order; the kept parts cover the axis exactly once.
    """
    starts = list(range(0, max(length - tile_size, 0) + stride, stride)) if length > tile_size else [0]
    starts = [start for index, start in enumerate(starts) if not index or starts[index - 1] + tile_size < length]
    stops = [min(start + tile_size, length) for start in starts]
    cuts = [(stop + start) // 2 for stop, start in zip(stops, starts[1:], strict=False)]
    return [TileSpan(*values) for values in zip(starts, stops, [0, *cuts], [*cuts, length], strict=True)]


def _run_on_tiles(run: Run, image: np.ndarray, tile_size: int, stride: int) -> dict[str, np.ndarray]:
    """Return mask uint8 [h, w] and confidence float32 [rows, columns] of one image, uint8 [h, w, 3]."""
    rows, columns = (tile_spans(length, tile_size, stride) for length in image.shape[:2])
    mask = np.zeros(image.shape[:2], np.uint8)
    confidence = np.zeros((len(rows), len(columns)), np.float32)
    by_size: dict[tuple[int, int], list[tuple[int, int]]] = {}  # tiles of one size share a batch
    for row, column in itertools.product(range(len(rows)), range(len(columns))):
        size = (rows[row].stop - rows[row].start, columns[column].stop - columns[column].start)
        by_size.setdefault(size, []).append((row, column))
    for size, positions in by_size.items():
        for first in range(0, len(positions), TILES_PER_CALL):
            batch = positions[first : first + TILES_PER_CALL]
            tiles = np.stack(
                [
                    image[rows[row].start : rows[row].stop, columns[column].start : columns[column].stop]
                    for row, column in batch
                ]
            )
            outputs = run({"image": tiles, "original_size": np.tile(np.array(size, np.int32), (len(batch), 1))})
            for (row, column), ids, tile_confidence in zip(batch, outputs["mask"], outputs["confidence"], strict=True):
                y, x = rows[row], columns[column]
                kept = np.asarray(ids)[
                    y.kept_start - y.start : y.kept_stop - y.start, x.kept_start - x.start : x.kept_stop - x.start
                ]
                mask[y.kept_start : y.kept_stop, x.kept_start : x.kept_stop] = kept
                confidence[row, column] = np.mean(tile_confidence)
    return {"mask": mask, "confidence": confidence}
