"""The values in the pixels of masks: which there are, and whether a mask is blurred."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.decoding.mask_file import color_values, describe_value, read_mask_pixels

NUM_SAMPLES = 20  # masks whose values are compared with the classes
MIN_ODD_VALUES = 3  # a blurred mask has at least so many values that only lie on edges
RARE_FRACTION = 0.02  # in a JPEG, values of fewer pixels are odd
PEAK_DISTANCE = 8  # levels; a value that is so near to a more frequent one is odd in a JPEG


@dataclass(frozen=True)
class MaskValues:
    """The values in the pixels of one mask.

    Attributes:
        path: The mask.
        counts: The number of pixels of each value.
        is_colored: Whether the values are colors, as opposed to ids.
        odd: The values that blurring brought in; empty for a mask that is not blurred.
        is_jpeg: Whether the file is a JPEG of more than black and white.
    """

    path: str
    counts: dict[int, int]
    is_colored: bool = False
    odd: tuple[int, ...] = ()
    is_jpeg: bool = False

    @property
    def odd_fraction(self) -> float:
        """The fraction of the pixels that have odd values."""
        return sum(self.counts[value] for value in self.odd) / max(1, sum(self.counts.values()))


def values_of_masks(masks: Sequence[str]) -> list[MaskValues]:
    """Return the values of each mask that can be decoded. JPEGs of black and white are thresholded."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        return [values for values in pool.map(_values_of, masks) if values]


def sample_values(masks: Sequence[str]) -> set[int]:
    """Return the values of some of the masks, evenly spread."""
    picked = masks[:: max(1, len(masks) // NUM_SAMPLES)][:NUM_SAMPLES]
    return set[int]().union(*(mask.counts for mask in values_of_masks(picked)))


def refuse_blurred(source: str, masks: Sequence[MaskValues]) -> None:
    """Raise RetinueError if most of the masks are blurred.

    Args:
        source: Where the masks were found.
        masks: The values of each mask.
    """
    blurred = [mask for mask in masks if mask.odd or mask.is_jpeg]
    if len(blurred) * 2 <= len(masks):
        return
    worst = max(blurred, key=lambda mask: mask.odd_fraction)
    true_values = sorted(set(worst.counts) - set(worst.odd), key=lambda value: -worst.counts[value])
    cause = "saving as JPEG" if worst.is_jpeg else "resizing with interpolation"
    odd = f"its pixels have only the values {_list(true_values[:5])}, but the format does not keep ids"
    if worst.odd:
        odd = (
            f"{worst.odd_fraction:.1%} of its pixels have other values than {_list(true_values[:5])}, such as "
            f"{_list(_spread(worst.odd))}"
        )
    raise RetinueError(
        f"{source}: {len(blurred):,} of {len(masks):,} masks are blurred by {cause}, for example {worst.path}: {odd}; "
        "export the masks again as PNG, and resize them with nearest-neighbor interpolation only"
    )


def _values_of(path: str) -> MaskValues | None:
    try:
        pixels, is_jpeg = read_mask_pixels(path)
    except RetinueError:
        return None  # the check reports it
    return _summarize(path, pixels, is_jpeg)


def _summarize(path: str, pixels: np.ndarray, is_jpeg: bool) -> MaskValues:
    is_colored = pixels.ndim == 3
    codes = color_values(pixels) if is_colored else pixels
    if codes.dtype == np.uint8:
        histogram = np.bincount(codes.ravel(), minlength=256)
        unique = np.flatnonzero(histogram)
        counts = histogram[unique]
    else:
        unique, counts = np.unique(codes, return_counts=True)
    histogram_of = dict(zip(unique.tolist(), counts.tolist(), strict=True))
    if is_jpeg:
        odd = _values_beside_peaks(histogram_of, codes.size)
    else:
        odd = _values_between(pixels, codes, histogram_of) if len(unique) > MIN_ODD_VALUES + 1 else ()
    return MaskValues(path, histogram_of, is_colored, odd, is_jpeg)


def _values_beside_peaks(counts: dict[int, int], num_pixels: int) -> tuple[int, ...]:
    """Return the values of a JPEG that are rare, or next to a more frequent value; colors are compared by channel."""
    peaks: list[np.ndarray] = []
    odd = []
    for value, count in sorted(counts.items(), key=lambda item: -item[1]):
        channels = np.array([value >> 16 & 255, value >> 8 & 255, value & 255])
        if count < RARE_FRACTION * num_pixels or any(abs(channels - peak).max() <= PEAK_DISTANCE for peak in peaks):
            odd.append(value)
        else:
            peaks.append(channels)
    return tuple(odd)


def _values_between(pixels: np.ndarray, codes: np.ndarray, counts: dict[int, int]) -> tuple[int, ...]:
    """Return the values most of whose pixels lie between those of their neighbors, if a mask has many such values.

    Interpolation makes such values at every edge. A class covers areas, in which the neighbors have the same value.

    Args:
        pixels: `[height, width]` or `[height, width, 3]`.
        codes: int `[height, width]`, the values.
        counts: The number of pixels of each value.
    """
    channels = (pixels if pixels.ndim == 3 else pixels[:, :, None]).astype(np.int32)
    is_between = np.zeros(codes.shape, bool)
    if codes.shape[1] > 2:
        is_between[:, 1:-1] |= _lies_between(channels[:, :-2], channels[:, 1:-1], channels[:, 2:])
    if codes.shape[0] > 2:
        is_between[1:-1] |= _lies_between(channels[:-2], channels[1:-1], channels[2:])
    values, between = np.unique(codes[is_between], return_counts=True)
    odd = tuple(
        value for value, count in zip(values.tolist(), between.tolist(), strict=True) if count * 2 > counts[value]
    )
    if len(odd) < MIN_ODD_VALUES or len(odd) * 2 < len(counts):
        return ()
    return odd if sum(counts[value] for value in odd) * 2 <= codes.size else ()


def _lies_between(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return whether pixels lie between the pixels before and after, and differ from both, bool `[h, w]`."""
    rises, falls = (before <= here) & (here <= after), (before >= here) & (here >= after)
    differs = (here != before).any(axis=-1) & (here != after).any(axis=-1)
    return (rises | falls).all(axis=-1) & differs


def _spread(values: Sequence[int]) -> list[int]:
    """Return up to four values, evenly spread."""
    ordered = sorted(values)
    return ordered[:: max(1, len(ordered) // 4)][:4]


def _list(values: Iterable[int]) -> str:
    return ", ".join(describe_value(value) for value in values)
