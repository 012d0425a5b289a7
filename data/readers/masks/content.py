"""Whether an image file looks like a mask, by its pixels: a mask has few values, and an image has many."""

import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image

from retinue.data.decoding.image_formats import format_of

MAX_VALUES = 64  # different values, or colors, that the pixels of a mask have at most; an image has more
MAX_SAMPLES = 250_000  # pixels that are looked at
PEAKS = 8  # of a blurred mask, this many colors of 16 levels per channel cover nearly all pixels
PEAK_FRACTION = 0.9
# Bytes 24 and 25 of a PNG of 16 bits with colors. Masks have none, and Pillow drops half of the bits.
DEEP_COLORS = (b"\x10\x02", b"\x10\x06")

# How much a file looks like a mask, from an image to a file of ids.
IMAGE, GRAY, BLURRED, COLORS, IDS = range(5)


class Look(NamedTuple):
    """What the pixels of a file look like.

    Attributes:
        kind: `IMAGE`; `GRAY`: one channel of many values without losses; `BLURRED`: few colors cover nearly all, as in
            a mask that was saved as JPEG or resized with interpolation; `COLORS`: few colors; `IDS`: one channel with
            few values.
        width: Width in pixels, as stored.
        height: Height in pixels, as stored.
        num_values: The number of different values or colors.
    """

    kind: int
    width: int
    height: int
    num_values: int


def look_at(path: str) -> Look | None:
    """Look at the pixels of a file; None if it can't be decoded."""
    try:
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file:
            content = file.read()
            is_jpeg = format_of(content) == "JPEG"
            with Image.open(io.BytesIO(content)) as image:
                if content[12:16] == b"IHDR" and content[24:26] in DEEP_COLORS:
                    return Look(IMAGE, *image.size, 0)
                return _look(image, is_jpeg)
    except Exception:  # decoders raise exceptions of any class for damaged files; the check reports them
        return None


def _look(image: Image.Image, is_jpeg: bool) -> Look:
    width, height = image.size
    has_ids = image.mode in ("1", "L", "P", "LA", "PA") or image.mode.startswith("I")
    if image.mode == "F":
        return Look(IMAGE, width, height, 0)
    pixels = np.asarray(image if has_ids else image.convert("RGB"))
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if image.mode in ("LA", "PA"):
        pixels = pixels[:, :, :1]
    step = max(1, int(np.ceil(np.sqrt(width * height / MAX_SAMPLES))))
    pixels = pixels[::step, ::step].astype(np.int64)
    is_gray = bool((pixels == pixels[:, :, :1]).all())
    codes = pixels[:, :, 0] if is_gray else pixels @ np.array([1 << 16, 1 << 8, 1])
    num_values = len(np.unique(codes))
    if num_values <= MAX_VALUES and not is_jpeg:
        return Look(IDS if is_gray else COLORS, width, height, num_values)
    coarse = (pixels >> 4) @ (256 ** np.arange(pixels.shape[2]))
    counts = np.sort(np.unique(coarse, return_counts=True)[1])[::-1]
    if image.mode not in ("P", "PA") and counts[:PEAKS].sum() >= PEAK_FRACTION * coarse.size:
        return Look(BLURRED, width, height, num_values)
    return Look(GRAY if is_gray and not is_jpeg else IMAGE, width, height, num_values)
