"""COCO's run lengths of masks, plain and compressed.

pycocotools decodes them, too, but writes beyond its memory where they are damaged, which kills the process.
"""

import numpy as np

OFFSET = 48  # of the character code, see rleToString in pycocotools' maskApi.c
VALUE_BITS, IS_CONTINUED, IS_NEGATIVE = 5, 0x20, 0x10
MAX_DIGITS = 7  # of a run; more would be longer than any mask


def decode_run_lengths(counts: list[int] | str, height: int, width: int) -> np.ndarray:
    """Decode the runs of pixels that are outside and inside of a shape in turn, column by column.

    Args:
        counts: The lengths of the runs, or the text into which COCO compresses them.
        height: Height in pixels.
        width: Width in pixels.

    Returns:
        bool `[height, width]`.

    Raises:
        ValueError: They are no run lengths, or do not fill the mask. The message is the reason.
    """
    try:
        runs = _decompress(counts) if isinstance(counts, str) else np.array(counts or [0])
    except (ValueError, OverflowError):
        runs = np.array([""])
    if runs.ndim != 1 or runs.dtype.kind not in "iu" or (runs < 0).any() or (runs > height * width).any():
        raise ValueError("its run lengths can't be understood")
    filled = int(runs.sum())
    if filled != height * width:
        raise ValueError(f"its run lengths fill {filled} pixels, but the image has {height * width}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _decompress(text: str) -> np.ndarray:
    """Return the numbers in a text: digits of five bits, the lowest first, and from the fourth on as differences."""
    codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - OFFSET
    if not len(codes) or codes.min() < 0 or codes.max() >= 2 * IS_CONTINUED or codes[-1] & IS_CONTINUED:
        raise ValueError("its run lengths can't be understood")
    is_last = codes & IS_CONTINUED == 0
    starts = np.concatenate([[0], np.flatnonzero(is_last)[:-1] + 1])
    digit = np.arange(len(codes)) - np.repeat(starts, np.diff([*starts, len(codes)]))
    if digit.max() >= MAX_DIGITS:
        raise ValueError("its run lengths can't be understood")
    numbers = np.add.reduceat((codes & IS_CONTINUED - 1) << VALUE_BITS * digit, starts)
    ends = np.flatnonzero(is_last)
    numbers -= np.where(codes[ends] & IS_NEGATIVE, 1 << VALUE_BITS * (digit[ends] + 1), 0)
    for first in (1, 2):
        numbers[first::2] = numbers[first::2].cumsum()  # each number is the difference from the one before the last
    return numbers
