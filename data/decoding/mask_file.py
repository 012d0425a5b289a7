"""Mask files to class ids: the one decoder of training, evaluation and the check. No TensorFlow.

A dataset's column `values` says what the pixels of its masks mean: place i is the pixel value of class i, and what
comes after the classes is void. A value is an id (the palette's index, not its colour) or a colour, `color_value`.
"""

import io
import os

import numpy as np
from PIL import Image, UnidentifiedImageError

from retinue.configs.errors import RetinueError
from retinue.data.decoding.image_file import format_of
from retinue.data.void_label import VOID

MOST_CLASSES = 255
COLOR = 1 << 24  # added to a colour's 24 bits, so that no colour is taken for an id
RESAVE = "save it as a PNG of ids, grey or with a palette"


def color_value(red, green, blue):
    """The value of a colour, three whole numbers in 0..255."""
    return COLOR | red << 16 | green << 8 | blue


def read_mask(path, values, classes, size=None, orientation=1):
    """The class ids of a mask file, 255 for void: uint8 `[height, width]`.

    path: str. values: int `[k]`, the dataset's row; classes: how many of them are classes, the others are void.
    size: (height, width) of the upright photo, which the mask must have; a mask of the stored photo's size is turned
    with the photo. orientation: of the photo's EXIF, 1 to 8.
    Raises RetinueError, with the file, for one that can't be read, has another size, or a value that means nothing.
    """
    raw = mask_values(path, values[0] >= COLOR)
    if size is not None:
        raw = fitted(path, raw, size, orientation)
    ids, unknown = to_ids(raw, values, classes)
    if unknown.any():
        found = ", ".join(value_name(value) for value in np.unique(raw[unknown])[:5])
        raise RetinueError(
            f"{path}: the mask has the value {found}, which is no class; correct the mask or the classes"
        )
    return ids


def mask_values(path, as_colors=False):
    """What a mask file holds, before it is given a meaning: ids, uint8 or int32 `[height, width]`, or colours, int32.

    as_colors: a palette or grey levels are looked up as colours. Raises RetinueError for a file that can't be read, for
    a JPEG, whose ids are blurred, and for colours where ids are wanted.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise RetinueError(
            f"{path}: the mask can't be read ({error.strerror}); give it, or take the photo out"
        ) from None
    if format_of(content) == "JPEG":
        raise RetinueError(f"{path}: the mask is a JPEG, which blurs ids at every edge; {RESAVE}")
    try:
        with Image.open(io.BytesIO(content)) as mask:
            return _colors(mask) if as_colors else _ids(path, mask)
    except RetinueError:
        raise
    except UnidentifiedImageError:
        raise RetinueError(f"{path}: the mask is no picture; save it again as PNG") from None
    except Exception as error:  # decoders raise anything on broken bytes
        raise RetinueError(f"{path}: the mask can't be decoded ({error}); save it again as PNG") from None


def to_ids(raw, values, classes):
    """(class ids uint8, 255 for void; bool, where a value means nothing), both of the shape of `raw`.

    255, unless it is a class, is void in masks of ids.
    """
    values = np.asarray(values, np.int64)
    known = values.tolist()
    if values[0] < COLOR and VOID not in known:
        known.append(VOID)
    meaning = np.where(np.arange(len(known)) < classes, np.arange(len(known)), VOID).astype(np.uint8)
    if raw.dtype == np.uint8:
        table, is_known = np.full(256, VOID, np.uint8), np.zeros(256, bool)
        for value, label in zip(known, meaning, strict=True):
            if value < 256:
                table[value], is_known[value] = label, True
        return table[raw], ~is_known[raw]
    order = np.argsort(known, kind="stable")
    in_order = np.array(known)[order]
    place = np.minimum(np.searchsorted(in_order, raw), len(known) - 1)
    unknown = in_order[place] != raw
    return np.where(unknown, VOID, meaning[order][place]).astype(np.uint8), unknown


def fitted(path, raw, size, orientation):
    """A mask of the photo's size: as it is, or turned with the photo where it was drawn on the stored one."""
    if raw.shape == tuple(size):
        return raw
    if orientation >= 5 and raw.shape == tuple(size)[::-1]:
        return turned(raw, orientation)
    raise RetinueError(
        f"{path}: the mask has {raw.shape[1]} x {raw.shape[0]} pixels, but its photo {size[1]} x {size[0]}; "
        "take the mask of this photo, or draw it again"
    )


def turned(array, orientation):
    """An array `[height, width]` of a photo as stored, turned upright as EXIF's orientation says."""
    if orientation >= 5:
        array = array.T
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array[::-1] if orientation in (3, 4, 7, 8) else array


def value_name(value):
    """A pixel value for messages: "17", "colour 128,0,0"."""
    if value < COLOR:
        return str(int(value))
    return f"colour {value >> 16 & 255},{value >> 8 & 255},{value & 255}"


def has_colors(path):
    """Whether a mask file holds colours, and not ids, grey or with a palette."""
    try:
        mask_values(path)
    except RetinueError:
        try:
            mask_values(path, as_colors=True)
            return True
        except RetinueError:
            return False
    return False


def write_ids(path, ids, palette):
    """Write class ids, uint8 `[height, width]`, as a PNG with a palette, uint8 `[256, 3]`."""
    image = Image.fromarray(ids)
    image.putpalette(np.ascontiguousarray(palette, np.uint8).tobytes())
    image.save(os.fspath(path), "PNG")


def voc_palette():
    """VOC's colours, uint8 `[256, 3]`: the bits of an id, dealt out to red, green and blue from the highest on."""
    ids = np.arange(256)
    colors = np.zeros((256, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (ids >> (3 * bit + channel) & 1) << (7 - bit)
    return colors.astype(np.uint8)


def _ids(path, mask):
    if mask.mode in ("L", "P"):
        return np.asarray(mask)
    if mask.mode == "1":
        return np.asarray(mask).astype(np.uint8)
    if mask.mode.startswith("I"):
        return np.asarray(mask).astype(np.int32)
    if mask.mode in ("LA", "PA"):
        return np.asarray(mask)[:, :, 0]
    pixels = np.asarray(mask.convert("RGB"))
    if (pixels == pixels[:, :, :1]).all():
        return pixels[:, :, 0]
    raise RetinueError(
        f"{path}: the mask has colours, and nothing says what they mean; add class_colors.txt with a line "
        "'name red green blue' for each class"
    )


def _colors(mask):
    pixels = np.asarray(mask.convert("RGB")).astype(np.int32)
    return COLOR | pixels[:, :, 0] << 16 | pixels[:, :, 1] << 8 | pixels[:, :, 2]
