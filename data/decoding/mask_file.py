"""From mask files to class ids, without TensorFlow. Training, evaluation and the check all use this decoder.

A dataset's column `values` defines what the pixels of its masks mean: entry i is the pixel value of class i, and the
entries after the classes are void. A pixel value is an id (for a palette, the index, not its color) or a color, see
`color_value`.
"""

import io
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from retinue.configs.errors import RetinueError
from retinue.data.decoding.image_formats import format_of
from retinue.data.decoding.jpeg_mask import middle_fraction, threshold_jpeg
from retinue.data.decoding.netpbm import is_netpbm, read_netpbm_values
from retinue.data.decoding.orientation import SWAPS_SIDES, turn_array_upright
from retinue.data.void_label import VOID

MAX_CLASSES = 255
COLOR_FLAG = 1 << 24  # added to the 24 bits of a color, so that no color equals an id
RESAVE = "save it as a PNG of ids, in grayscale or with a palette"

_COLOR_WEIGHTS = np.array([1 << 16, 1 << 8, 1], np.int32)


def color_value(red: int, green: int, blue: int) -> int:
    """Return the pixel value of a color whose three components are in 0..255."""
    return COLOR_FLAG | red << 16 | green << 8 | blue


def color_values(pixels: np.ndarray) -> np.ndarray:
    """Return the pixel values of colors, int32 [height, width], for uint8 [height, width, 3]."""
    return COLOR_FLAG | pixels.astype(np.int32) @ _COLOR_WEIGHTS


def read_mask(
    path: str,
    values: Sequence[int] | np.ndarray,
    classes: int,
    size: tuple[int, int] | None = None,
    orientation: int = 1,
    resize: bool = False,
) -> np.ndarray:
    """Read the class ids of a mask file.

    Args:
        path: The mask file.
        values: int [k], the pixel values of the classes and of void, as in the dataset's column.
        classes: How many of them are classes.
        size: Height and width in pixels of the upright image. The mask must have this size, or the size of the stored
            image, and then it is turned upright like the image. None accepts any size.
        orientation: EXIF orientation of the image, 1 to 8.
        resize: As for `orient_mask`.

    Returns:
        uint8 [height, width], class ids, and 255 for void.

    Raises:
        RetinueError: If the file cannot be read, has a wrong size, or contains an unknown pixel value.
    """
    raw = read_mask_values(path, bool(values[0] >= COLOR_FLAG))
    if size is not None:
        raw = orient_mask(path, raw, size, orientation, resize)
    ids, unknown = to_class_ids(raw, values, classes)
    if unknown.any():
        names = ", ".join(describe_value(value) for value in np.unique(raw[unknown])[:5])
        raise RetinueError(
            f"{path}: the mask contains the value {names}, which belongs to no class; correct the mask or the classes"
        )
    return ids


def read_mask_values(path: str, as_colors: bool = False) -> np.ndarray:
    """Read the pixel values of a mask file.

    A JPEG that surely was black and white has the values 0 and 255, see `threshold_jpeg`.

    Args:
        path: The mask file.
        as_colors: Whether to return colors. A palette or gray levels are then converted to colors.

    Returns:
        [height, width], ids as uint8 or int32, or colors as int32.

    Raises:
        RetinueError: If the file cannot be read, is a JPEG of more than black and white, whose compression blurs ids,
            or contains colors although ids are expected.
    """
    content = _read_bytes(path)
    pixels = _decode(path, content, as_colors)
    if format_of(content) == "JPEG":
        thresholded = threshold_jpeg(pixels)
        if thresholded is None:
            raise RetinueError(f"{path}: {_why_not_thresholded(pixels)}; {RESAVE}")
        pixels = np.repeat(thresholded[:, :, None], 3, axis=2) if as_colors else thresholded
    if not as_colors and pixels.ndim == 3:
        raise RetinueError(
            f"{path}: the mask has colors, but the classes are not defined by colors; add class_colors.txt with a line "
            "'name red green blue' for each class"
        )
    return pixels if pixels.ndim == 2 else color_values(pixels)


def read_mask_pixels(path: str) -> tuple[np.ndarray, bool]:
    """Read the pixels of a mask file of any kind, also of a JPEG, to find out what they mean.

    Returns:
        Ids, uint8 or int32 [height, width], or colors, uint8 [height, width, 3]; and whether the file is a JPEG of more
        than black and white. One of black and white has the values 0 and 255.

    Raises:
        RetinueError: If the file cannot be read.
    """
    content = _read_bytes(path)
    pixels = _decode(path, content)
    if format_of(content) != "JPEG":
        return pixels, False
    thresholded = threshold_jpeg(pixels)
    return (pixels, True) if thresholded is None else (thresholded, False)


def is_jpeg(path: str) -> bool:
    """Return whether a mask is a JPEG, by its first bytes; false if it can't be read."""
    try:
        with open(path, "rb") as file:
            return format_of(file.read(64)) == "JPEG"
    except OSError:
        return False


def to_class_ids(raw: np.ndarray, values: Sequence[int] | np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Convert pixel values to class ids.

    In masks of ids, the value 255 is void unless it belongs to a class.

    Args:
        raw: uint8 or int32 of any shape, pixel values.
        values: As for `read_mask`.
        classes: As for `read_mask`.

    Returns:
        uint8, the class ids, with 255 for void, and bool, where a pixel value is unknown. Both have the shape of `raw`.
    """
    values = np.asarray(values, np.int64)
    known = values.tolist()
    if values[0] < COLOR_FLAG and VOID not in known:
        known.append(VOID)
    id_of = np.where(np.arange(len(known)) < classes, np.arange(len(known)), VOID).astype(np.uint8)
    if raw.dtype == np.uint8:
        table, is_known = np.full(256, VOID, np.uint8), np.zeros(256, bool)
        for value, label in zip(known, id_of, strict=True):
            if value < 256:
                table[value], is_known[value] = label, True
        return table[raw], ~is_known[raw]
    order = np.argsort(known, kind="stable")
    sorted_values = np.array(known)[order]
    position = np.minimum(np.searchsorted(sorted_values, raw), len(known) - 1)
    unknown = sorted_values[position] != raw
    return np.where(unknown, VOID, id_of[order][position]).astype(np.uint8), unknown


def orient_mask(
    path: str, raw: np.ndarray, size: tuple[int, int], orientation: int, resize: bool = False
) -> np.ndarray:
    """Turn a mask upright if it was drawn on the stored image, and check its size.

    Args:
        path: The mask file, for the error message.
        raw: [height, width], pixel values.
        size: Height and width in pixels of the upright image.
        orientation: EXIF orientation of the image, 1 to 8.
        resize: Whether a mask of another size with the aspect ratio of its image is resized to it (nearest neighbor).

    Returns:
        The mask with this size.

    Raises:
        RetinueError: If the mask has another size.
    """
    if raw.shape == tuple(size):
        return raw
    swaps = orientation in SWAPS_SIDES
    if swaps and raw.shape == tuple(size)[::-1]:
        return turn_array_upright(raw, orientation)
    sizes = f"the mask has {raw.shape[1]} x {raw.shape[0]} pixels, but its image has {size[1]} x {size[0]}"
    is_upright = same_aspect(raw.shape, size)
    if not is_upright and not (swaps and same_aspect(raw.shape[::-1], size)):
        raise RetinueError(f"{path}: {sizes}; use the mask of this image, or draw it again")
    if not resize:
        raise RetinueError(
            f"{path}: {sizes}, with the same aspect ratio; --set segmentation.resize_masks=true resizes it (nearest "
            "neighbor)"
        )
    return resize_nearest(raw if is_upright else turn_array_upright(raw, orientation), size)


def same_aspect(size: Sequence[int], other: Sequence[int]) -> bool:
    """Return whether one size, height and width, is the other one scaled, with sides rounded to pixels."""
    (height, width), (other_height, other_width) = size, other
    if not min(height, width, other_height, other_width):
        return False
    difference = abs(height * other_width - width * other_height)
    return difference <= max(height, width, other_height, other_width)


def resize_nearest(mask: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Resize a mask [height, width] to a height and width: each pixel takes the value at its center."""
    rows, columns = ((2 * np.arange(side) + 1) * old // (2 * side) for side, old in zip(size, mask.shape, strict=True))
    return mask[rows[:, None], columns]


def describe_value(value: int) -> str:
    """Return a pixel value for messages, such as "17" or "color 128,0,0"."""
    if value < COLOR_FLAG:
        return str(int(value))
    return f"color {value >> 16 & 255},{value >> 8 & 255},{value & 255}"


def write_mask(path: str | os.PathLike[str], ids: np.ndarray, palette: np.ndarray) -> None:
    """Write class ids as a PNG file with a palette.

    Args:
        path: The file to write.
        ids: uint8 [height, width].
        palette: uint8 [256, 3], the color of each id.
    """
    image = Image.fromarray(ids)
    image.putpalette(np.ascontiguousarray(palette, np.uint8).tobytes())
    image.save(os.fspath(path), "PNG")


def voc_palette() -> np.ndarray:
    """Return Pascal VOC's colors of the ids 0 to 255, uint8 [256, 3].

    The bits of an id are distributed to red, green and blue in turn, to the highest bits first.
    """
    ids = np.arange(256)
    colors = np.zeros((256, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (ids >> (3 * bit + channel) & 1) << (7 - bit)
    return colors.astype(np.uint8)


def _read_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise RetinueError(
            f"{path}: the mask cannot be read ({error.strerror}); add the mask, or remove its image"
        ) from None


def _why_not_thresholded(pixels: np.ndarray) -> str:
    """Return why a JPEG can't be read as a mask."""
    reason = "the mask is a JPEG, whose compression changes ids at every edge"
    if pixels.ndim == 3:
        return f"{reason}, and it has colors"
    middle = middle_fraction(pixels)
    if middle:
        return f"{reason}, and {middle:.1%} of its pixels are neither nearly black nor nearly white"
    return f"{reason}, and it is not certain that it only had black and white"


def _decode(path: str, content: bytes, as_colors: bool = False) -> np.ndarray:
    """Return ids, uint8 or int32 [height, width], or colors, uint8 [height, width, 3]."""
    try:
        if is_netpbm(content):  # Pillow would change its values if white is not 255
            return _netpbm_ids_or_colors(read_netpbm_values(content)[0], as_colors)
        with Image.open(io.BytesIO(content)) as mask:
            return np.asarray(mask.convert("RGB")) if as_colors else _ids_or_colors(mask)
    except UnidentifiedImageError:
        raise RetinueError(f"{path}: the mask is not an image; save it again as PNG") from None
    except Exception as error:  # decoders raise exceptions of any class for damaged files
        raise RetinueError(f"{path}: the mask cannot be decoded ({error}); save it again as PNG") from None


def _netpbm_ids_or_colors(values: np.ndarray, as_colors: bool) -> np.ndarray:
    if as_colors:
        return np.repeat(values[:, :, None], 3, axis=2) if values.ndim == 2 else values
    ids = values if values.dtype == np.uint8 else values.astype(np.int32)
    return ids[:, :, 0] if ids.ndim == 3 and (ids == ids[:, :, :1]).all() else ids


def _ids_or_colors(mask: Image.Image) -> np.ndarray:
    if mask.mode in ("L", "P"):
        return np.asarray(mask)
    if mask.mode == "1":
        return np.asarray(mask).astype(np.uint8)
    if mask.mode.startswith("I"):
        return np.asarray(mask).astype(np.int32)
    if mask.mode in ("LA", "PA"):
        return np.asarray(mask)[:, :, 0]
    pixels = np.asarray(mask.convert("RGB"))
    return pixels[:, :, 0] if (pixels == pixels[:, :, :1]).all() else pixels
