"""TIFF files without TensorFlow: what the header says, and the pixels of the first page."""

import io
import warnings
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin

from retinue.configs.process_state import SharedContext
from retinue.data.decoding.file_problem import RESAVE, UnusableFileError
from retinue.data.decoding.opencv import silence_opencv
from retinue.data.decoding.orientation import ORIENTATION_TAG
from retinue.data.decoding.pixel_range import EIGHT_BITS, HUGE

# Tags of the TIFF 6.0 specification, of DNG 1.4, and of GDAL.
SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION = 254, 256, 257, 258, 259, 262, 270
BANDS, SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT, DNG_VERSION, NODATA = 277, 330, 338, 339, 50706, 42113
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # values of SAMPLE_FORMAT
MIN_IS_WHITE, COLOR_FILTER_ARRAY, LINEAR_RAW = 0, 32803, 34892  # values of PHOTOMETRIC
REDUCED_OR_MASK = 1 | 4  # bits of SUBFILE_TYPE: a smaller copy of another page, or its transparency
UNSPECIFIED_EXTRA = 0  # value of EXTRA_SAMPLES: a band that is no alpha
# What OpenCV's libtiff decodes: none, CCITT, LZW, JPEG, Deflate and PackBits.
COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946)
CANON_RAW = b"CR"  # after the header of a CR2 file
MAX_BANDS = 4
MAX_PAGES = 1000  # pages that are looked at
_silence_warnings = SharedContext(lambda: warnings.catch_warnings(action="ignore"))  # Pillow's, of odd metadata
RAW_CURE = "develop it to TIFF, PNG or JPEG, for example with darktable-cli or rawpy"


@dataclass(frozen=True)
class TiffHeader:
    """What the first directory of a TIFF file says.

    Attributes:
        width: Width in pixels of the stored image.
        height: Height in pixels of the stored image.
        orientation: 1 to 8.
        bands: Samples of a pixel.
        bits: The largest number of bits of a sample.
        sample_format: `UNSIGNED`, `SIGNED`, `FLOAT`, or another number of the specification.
        compression: Number of the compression.
        photometric: Number of the color space.
        num_unspecified: How many bands are neither colors nor alpha.
        has_more_pages: Whether there are further pages that are no smaller copies of the first one.
        is_raw: Whether it is the raw file of a camera, whose first image is a thumbnail or a mosaic.
        nodata: The value that stands for a missing measurement, or None.
    """

    width: int
    height: int
    orientation: int
    bands: int
    bits: int
    sample_format: int
    compression: int
    photometric: int
    num_unspecified: int
    has_more_pages: bool
    is_raw: bool
    nodata: float | None

    @property
    def depth(self) -> str:
        """The depth of a sample: "8-bit" for all unsigned integers of at most 8 bits, "16-bit", "32-bit float", ..."""
        if self.sample_format == UNSIGNED and self.bits <= 8:
            return EIGHT_BITS
        return f"{self.bits}-bit" + {SIGNED: " signed", FLOAT: " float"}.get(self.sample_format, "")


def read_tiff_header(stream: BinaryIO) -> TiffHeader:
    """Read the header of a TIFF file from its beginning.

    Raises:
        Exception: Of any class, if the header is damaged.
    """
    with _silence_warnings:
        return _read_tiff_header(stream)


def _read_tiff_header(stream: BinaryIO) -> TiffHeader:
    head = stream.read(16)
    is_big = 43 in head[2:4]
    first = TiffImagePlugin.ImageFileDirectory_v2(head if is_big else head[:8])
    stream.seek(first.next)
    first.load(stream)
    bits = first.get(BITS, (1,))
    extra = first.get(EXTRA_SAMPLES, ())
    photometric = first.get(PHOTOMETRIC, 1)
    is_thumbnail = bool(first.get(SUBFILE_TYPE, 0) & 1) and SUB_DIRECTORIES in first
    is_raw = photometric in (COLOR_FILTER_ARRAY, LINEAR_RAW) or DNG_VERSION in first or head[8:10] == CANON_RAW
    formats = first.get(SAMPLE_FORMAT, (UNSIGNED,))
    orientation = first.get(ORIENTATION_TAG, 1)
    return TiffHeader(
        width=int(first[WIDTH]),
        height=int(first[HEIGHT]),
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        bands=int(first.get(BANDS, 1)),
        bits=int(max(bits)),
        sample_format=int(max(formats)),
        compression=int(first.get(COMPRESSION, 1)),
        photometric=int(photometric),
        num_unspecified=sum(kind == UNSPECIFIED_EXTRA for kind in (extra if isinstance(extra, tuple) else (extra,))),
        has_more_pages=_has_more_pages(stream, first, head, is_big),
        is_raw=is_raw or is_thumbnail,
        nodata=_number(first.get(NODATA, "")),
    )


def refuse_unsupported(header: TiffHeader) -> None:
    """Check what a header says, before the pixels are decoded.

    Raises:
        UnusableFileError: This kind of TIFF can't be decoded, or has no colors that could be shown.
    """
    if header.is_raw:
        raise UnusableFileError("unsupported", "the raw file of a camera (DNG, NEF, ARW or the like)", RAW_CURE)
    if header.bands > MAX_BANDS:
        raise UnusableFileError(
            "unsupported",
            f"a raster of {header.bands} bands; images with 1 band (gray) or 3 bands (red, green, blue) can be used",
            "write the bands that you need into a file of their own, for example with "
            "gdal_translate -b 3 -b 2 -b 1 IN.tif OUT.tif",
        )
    if header.sample_format not in (UNSIGNED, SIGNED, FLOAT) or (header.sample_format == FLOAT and header.bits < 32):
        kind = f"{header.bits}-bit floating-point" if header.sample_format == FLOAT else "complex or undefined"
        cure = "convert it to 32-bit floating point or 16 bits"
        raise UnusableFileError("unsupported", f"a TIFF of {kind} numbers", cure)


def decode_tiff(content: bytes) -> np.ndarray:
    """Decode the first page of a TIFF file, and turn it upright.

    Args:
        content: The content of the file.

    Returns:
        [height, width] (gray) or [height, width, 3] (RGB). The dtype is uint8 for images of at most 8 bits. For all
        others it is that of the file, or a floating-point one in which NaN is a missing value.

    Raises:
        UnusableFileError: It can't be decoded.
    """
    import cv2

    try:
        header = read_tiff_header(io.BytesIO(content))
    except Exception as error:  # Pillow raises exceptions of any class for damaged directories
        raise UnusableFileError("broken", "its header is damaged", RESAVE) from error
    refuse_unsupported(header)
    with silence_opencv:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        if header.compression not in COMPRESSIONS:
            raise UnusableFileError("unsupported", f"a TIFF with the compression {header.compression}", RESAVE)
        raise UnusableFileError("broken", "this TIFF cannot be decoded, it may be truncated", RESAVE)
    if pixels.ndim == 3 and pixels.shape[2] == 4 and pixels.dtype == np.uint8:
        # OpenCV multiplies the colors of such files by alpha; Pillow does not.
        with Image.open(io.BytesIO(content)) as opened:
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    if pixels.ndim == 3:
        pixels = pixels[:, :, 2::-1] if pixels.shape[2] >= 3 else pixels[:, :, 0]  # blue, green, red
    return pixels if pixels.dtype == np.uint8 else _mark_missing(pixels, header)


def _mark_missing(pixels: np.ndarray, header: TiffHeader) -> np.ndarray:
    """Return pixels of more than 8 bits in which white is the largest value, and NaN stands for a missing one."""
    is_float = pixels.dtype.kind == "f"
    if is_float:
        with np.errstate(invalid="ignore"):
            is_missing = ~(np.abs(pixels) < HUGE)  # also NaN and infinity
            if header.nodata is not None:
                is_missing |= pixels == pixels.dtype.type(header.nodata)
        if is_missing.all():
            raise UnusableFileError("empty", "none of its pixels has a value, all are NaN or no data", "remove it")
        return np.where(is_missing, pixels.dtype.type(np.nan), pixels) if is_missing.any() else pixels
    is_missing = pixels == header.nodata if header.nodata is not None else np.zeros((), bool)
    if header.photometric == MIN_IS_WHITE:
        pixels = np.invert(pixels)
    if not is_missing.any():
        return pixels
    if is_missing.all():
        raise UnusableFileError("empty", "none of its pixels has a value, all are no data", "remove it")
    return np.where(is_missing, np.nan, pixels).astype(np.float32 if pixels.dtype.itemsize <= 2 else np.float64)


def _has_more_pages(stream: BinaryIO, first: Any, head: bytes, is_big: bool) -> bool:
    """Return whether another directory is a page of its own, or ImageJ says that there are further images."""
    description = first.get(DESCRIPTION, "")
    if isinstance(description, str) and description.startswith("ImageJ="):
        lines = dict(line.partition("=")[::2] for line in description.splitlines())
        if (_number(lines.get("images", "")) or 1) > 1:
            return True
    position, seen = int(first.next), set[int]()
    while position and position not in seen and len(seen) < MAX_PAGES:
        seen.add(position)
        stream.seek(position)
        page = TiffImagePlugin.ImageFileDirectory_v2(head if is_big else head[:8])
        try:
            page.load(stream)
            kind = page.get(SUBFILE_TYPE, 0)
        except Exception:  # the directory is damaged or cut off: there is a second page, which is not used
            return True
        if not kind & REDUCED_OR_MASK:
            return True
        position = int(page.next)
    return False


def _number(text: object) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None
