"""AVIF and HEIC: pixels, orientation, and the error where a decoder is missing."""

import io
import sys

import numpy as np
import pytest
from PIL import Image, features

from retinue.data.decoding.file_problem import UnusableFileError
from retinue.data.decoding.image_file import probe
from retinue.data.decoding.modern_formats import decode_modern

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def image():
    """Return an image whose left is red and whose right is blue."""
    pixels = np.full((32, 64, 3), (200, 20, 20), np.uint8)
    pixels[:, 32:] = (20, 20, 200)
    return Image.fromarray(pixels)


def encoded(image_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image().save(stream, image_format, exif=exif, quality=95)
    return stream.getvalue()


@pytest.mark.skipif(not features.check("avif"), reason="this build of Pillow has no AVIF")
def test_avif_is_decoded_upright():
    pixels = decode_modern(encoded("AVIF", 1), "AVIF")
    assert pixels.dtype == np.uint8 and pixels.shape == (32, 64, 3)
    assert abs(pixels[16, 8].astype(int) - (200, 20, 20)).max() < 10
    turned = decode_modern(encoded("AVIF", 6), "AVIF")  # rotated clockwise to be upright: the left goes up
    assert turned.shape == (64, 32, 3)
    assert abs(turned[8, 16].astype(int) - (200, 20, 20)).max() < 10
    assert abs(turned[56, 16].astype(int) - (20, 20, 200)).max() < 10


def test_heic_is_decoded():
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(image()).save(stream, quality=95)
    pixels = decode_modern(stream.getvalue(), "HEIC")
    assert pixels.shape == (32, 64, 3)
    assert abs(pixels[16, 8].astype(int) - (200, 20, 20)).max() < 20


def test_a_missing_decoder_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it raises ImportError
    with pytest.raises(UnusableFileError, match="a package is missing"):
        decode_modern(HEIC, "HEIC")
    (tmp_path / "a.heic").write_bytes(HEIC)
    problem = probe(tmp_path / "a.heic").problem
    assert problem.kind == "unsupported" and "pip install pillow-heif" in problem.cure
