"""The scale of a dataset from pixels of more than 8 bits to 8 bits: one range of values for all of its files.

Images of 8 bits are used as they are. The values of all others (16-bit PNG and TIFF, signed and floating-point TIFF)
have no white that is written down anywhere: a camera of 12 bits writes 0 to 4,095 into a file that could hold 65,535.
So the check finds one range for the dataset (`find_pixel_range`), and `data.pixel_range` keeps it. No image has a range
of its own, since the same value would then be dark in one image and bright in the next.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from retinue.data.decoding.file_problem import Problem

PixelRange = tuple[float, float]  # the values that become 0 and 255

EIGHT_BITS = "8-bit"  # the depth of images that are used as they are
NO_RANGE = (  # why an image can't be used
    "its pixels have more than 8 bits, and the model was trained without such images, so that it knows no scale for "
    "them (data.pixel_range)"
)
CONVERT = "convert it to 8 bits"

HUGE = 1e20  # floating-point values of this magnitude stand for a missing value
# Values that programs write where a signed or floating-point image has no measurement.
MISSING_VALUES = (-9999.0, -32768.0, -32767.0, -99999.0, -2147483648.0)
TAIL = 0.001  # fraction of the pixels of a file that may lie below its low value, and above its high value
FILE_TAIL = 0.01  # fraction of the files whose own values may lie outside the range at either end
ZERO_FRACTION = 0.1  # a low value that is a smaller fraction of the high one becomes 0
MAX_VALUES = 250_000  # values of a file that are looked at


class FileValues(NamedTuple):
    """What is known of the values of one file.

    Attributes:
        values: float64 [n], a sample of the values that are not missing.
        num_missing: The number of values of the sample that were missing.
    """

    values: np.ndarray
    num_missing: int


def scale_to_uint8(pixels: np.ndarray, pixel_range: PixelRange | None) -> np.ndarray:
    """Convert pixels of any dtype to uint8.

    Args:
        pixels: Numbers of any shape. uint8 is returned unchanged. NaN, a missing value, becomes 0.
        pixel_range: The values that become 0 and 255. Values outside it become 0 or 255. It may be None for uint8.

    Returns:
        uint8 of the same shape.

    Raises:
        ValueError: There is no range for pixels of more than 8 bits.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixel_range is None:
        raise ValueError(NO_RANGE)
    # `decode_image` does the same in float32, which is exact for integers of 16 bits.
    dtype = np.dtype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
    low, high, white = np.array([*pixel_range, 255], dtype)
    scaled = (pixels.astype(dtype) - low) * (white / (high - low))
    return np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)).astype(np.uint8)


def range_problem(depth: str, pixel_range: PixelRange | None) -> Problem | None:
    """Return why an image of this depth can't be used with this range, or None if it can."""
    if depth == EIGHT_BITS or pixel_range is not None:
        return None
    return Problem("no scale", NO_RANGE, CONVERT)


def sample_values(pixels: np.ndarray) -> FileValues:
    """Return values of an image, evenly spaced over it, without those that stand for a missing measurement.

    Args:
        pixels: Numbers of any shape; NaN is missing.
    """
    flat = pixels.reshape(-1)
    values = flat[:: max(1, flat.size // MAX_VALUES)].astype(np.float64)
    is_missing = np.isnan(values)
    if pixels.dtype.kind in "if":
        is_missing |= np.isin(values, MISSING_VALUES)
    return FileValues(values[~is_missing], int(is_missing.sum()))


def find_pixel_range(files: Sequence[FileValues], is_integer: bool) -> PixelRange | None:
    """Find the range of values of a dataset.

    The low and high value of a file leave out a thousandth of its pixels at either end, so that dead and hot pixels do
    not count. The range leaves out a hundredth of the files at either end. It begins at 0 if its low value is small.

    Args:
        files: A sample of the files.
        is_integer: Whether the pixels are integers. The range then consists of integers.

    Returns:
        The range, or None if no file has a value.
    """
    ends = [np.quantile(file.values, (TAIL, 1 - TAIL), method="nearest") for file in files if file.values.size]
    if not ends:
        return None
    lows, highs = np.transpose(ends)
    low = float(np.quantile(lows, FILE_TAIL, method="nearest"))
    high = float(np.quantile(highs, 1 - FILE_TAIL, method="nearest"))
    if 0 <= low < ZERO_FRACTION * high:
        low = 0.0
    if not is_integer:
        low, high = float(f"{low:.4g}"), float(f"{high:.4g}")
    if low >= high:  # all pixels are equal
        low, high = (0.0, high) if high > 0 else (low, low + 1)
    return low, high


def fraction_outside(files: Sequence[FileValues], pixel_range: PixelRange) -> float:
    """Return the fraction of the sampled values that a range makes black or white, although they lie outside it."""
    low, high = pixel_range
    total = sum(file.values.size for file in files)
    outside = sum(int(((file.values < low) | (file.values > high)).sum()) for file in files)
    return outside / max(total, 1)
