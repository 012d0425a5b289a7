"""A small valid file of every image and video format.

To add a format, add one entry to `images` or `videos`.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retinue.tests.helpers.numbered_videos import write_numbers


def sample_image(seed: int = 0, width: int = 40, height: int = 30, channels: int = 3) -> Image.Image:
    """Draw a smooth image."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x + seed) / (3 + channel) + y / (5 + seed)) for channel in range(channels)]
    pixels = (127 + 120 * np.stack(waves, -1)).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def mask(seed: int = 0, width: int = 40, height: int = 30) -> Image.Image:
    """Draw a mask of the ids 0 and 1."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[5 + seed : 20, 5:25] = 1
    return Image.fromarray(pixels)


def images() -> dict[str, bytes]:
    """Return the content of an image of each kind, by name."""
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb, rgba = sample_image(), sample_image(channels=4)
    frames: dict[str, Any] = {"save_all": True, "append_images": [sample_image(1), sample_image(2)]}
    transparent: dict[str, Any] = {"save_all": True, "append_images": [sample_image(1, channels=4)]}
    deep = Image.fromarray(np.asarray(sample_image(channels=1)).astype(np.uint16) * 200)
    return {
        "plain.jpg": _encode(rgb, "JPEG", exif=exif),
        "progressive.jpg": _encode(rgb, "JPEG", progressive=True),
        "gray.jpg": _encode(sample_image(channels=1), "JPEG"),
        "cmyk.jpg": _encode(rgb.convert("CMYK"), "JPEG"),
        "plain.png": _encode(rgb, "PNG", exif=exif),
        "palette.png": _encode(rgb.quantize(16), "PNG", transparency=3),
        "deep.png": _encode(deep, "PNG"),
        "alpha.png": _encode(rgba, "PNG"),
        "animated.gif": _encode(rgb, "GIF", **frames),
        "plain.bmp": _encode(rgb, "BMP"),
        "palette.bmp": _encode(rgb.quantize(16), "BMP"),
        "one bit.bmp": _encode(rgb.convert("1"), "BMP"),
        "lossy.webp": _encode(rgb, "WEBP", exif=exif),
        "lossless.webp": _encode(rgba, "WEBP", lossless=True),
        "alpha.webp": _encode(rgba, "WEBP"),
        "animated.webp": _encode(rgb, "WEBP", **frames),
        "animated alpha.webp": _encode(rgba, "WEBP", **transparent),
        "plain.tif": _encode(rgb, "TIFF"),
        "lzw.tif": _encode(rgb, "TIFF", compression="tiff_lzw"),
        "deep.tif": _encode(deep, "TIFF"),
        "plain.avif": _encode(rgb, "AVIF"),
        "plain.ppm": _encode(rgb, "PPM"),
        "text.pgm": b"P2\n4 2\n15\n0 1 2 3\n4 5 6 15\n",
    }


def videos(folder: Path) -> dict[str, bytes]:
    """Return the content of a video of each kind, by name. They are written into a folder."""
    kinds: dict[str, dict[str, Any]] = {
        "h264.mp4": {},
        "h264.mkv": {},
        "h264.ts": {},
        "mpeg4.avi": {"codec": "mpeg4"},
        "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
        "vp8.webm": {"codec": "libvpx", "deadline": "realtime", "cpu-used": 8},
        "wmv2.wmv": {"codec": "wmv2"},
        "long.mp4": {"count": 130},  # so long that keyframes are jumped to
    }
    return {
        name: write_numbers(folder / name, **{"count": 12, "g": 6, **options}).read_bytes()
        for name, options in kinds.items()
    }


def _encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()
