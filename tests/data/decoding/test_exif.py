"""EXIF orientation read from bytes: every value, both byte orders, three formats, and malformed files."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from retinue.data.decoding.exif import apply_orientation, exif_orientation
from retinue.data.decoding.image_file import image_size, probe
from retinue.data.decoding.orientation import MAX_SEGMENTS

PIXELS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
read = tf.function(exif_orientation, input_signature=[tf.TensorSpec([], tf.string)])


def encode(file_format, **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, file_format, **options)
    return file.getvalue()


def tiff_block(orientation, order="<", kind=3, entries_before=0):
    """Return an EXIF payload with a directory at offset 8 that has some other tags before the orientation."""
    mark = b"II" if order == "<" else b"MM"
    value = struct.pack(order + ("HH" if kind == 3 else "I"), *((orientation, 0) if kind == 3 else (orientation,)))
    others = b"".join(struct.pack(order + "HHII", 0x0100, 4, 1, 6) for _ in range(entries_before))
    entry = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    head = mark + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", entries_before + 1)
    return head + others + entry + bytes(4)


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(*segments):
    """Return a JPEG with segments inserted after its start."""
    plain = encode("JPEG")
    return plain[:2] + b"".join(segments) + plain[2:]


def png_with(chunks, last):
    """Return a PNG with chunks inserted after its header."""
    plain, inserted = encode("PNG"), b""
    for name, content in [*chunks, last]:
        inserted += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return plain[:33] + inserted + plain[33:]


def exif_segment(block):
    return segment(0xE1, b"Exif\x00\x00" + block)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_written_by_pillow_is_read(file_format, orientation):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x0112] = orientation
    assert read(encode(file_format, exif=exif)) == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright_as_by_pillow(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(io.BytesIO(encode("PNG", exif=exif))) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    turned = apply_orientation(tf.constant(PIXELS), tf.constant(orientation))
    np.testing.assert_array_equal(turned, expected)


def test_orientation_6_by_hand():
    image = tf.constant(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[:, :, None])
    clockwise = [[4, 1], [5, 2], [6, 3]]
    np.testing.assert_array_equal(apply_orientation(image, tf.constant(6))[:, :, 0], clockwise)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_both_byte_orders_and_both_integer_types(order, kind):
    assert read(jpeg_with(exif_segment(tiff_block(6, order, kind, entries_before=3)))) == 6


def test_exif_is_found_after_other_segments_and_fill_bytes():
    profile = segment(0xE2, b"ICC_PROFILE\x00\x01\x01" + bytes(65000))
    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x/>")
    assert read(jpeg_with(profile, profile, xmp, b"\xff\xff", exif_segment(tiff_block(8)))) == 8


def test_exif_is_found_after_a_long_png_chunk():
    plain = encode("PNG")
    chunks = b""
    for name, content in ((b"tEXt", b"k\x00" + bytes(300)), (b"eXIf", tiff_block(3, ">"))):
        chunks += struct.pack(">I", len(content)) + name + content + bytes(4)  # the checksum is not checked
    assert read(plain[:33] + chunks + plain[33:]) == 3


MALFORMED = {
    "empty": b"",
    "one byte": b"\xff",
    "only a start": b"\xff\xd8\xff",
    "text": b"Exif\x00\x00" + tiff_block(6),
    "gif": encode("GIF"),
    "no exif": encode("JPEG"),
    "orientation 0": jpeg_with(exif_segment(tiff_block(0))),
    "orientation 9": jpeg_with(exif_segment(tiff_block(9))),
    "orientation 65535": jpeg_with(exif_segment(tiff_block(65535))),
    "type string": jpeg_with(exif_segment(tiff_block(6).replace(b"\x12\x01\x03\x00", b"\x12\x01\x02\x00"))),
    "byte order XX": jpeg_with(exif_segment(b"XX" + tiff_block(6)[2:])),
    "no 42": jpeg_with(exif_segment(tiff_block(6).replace(b"II\x2a", b"II\x2b"))),
    "directory beyond the end": jpeg_with(exif_segment(b"II\x2a\x00" + struct.pack("<I", 0xFFFFFFFF))),
    "cut in the directory": b"\xff\xd8" + exif_segment(tiff_block(6))[:25],
    "no value": jpeg_with(exif_segment(tiff_block(6)[:14] + struct.pack("<I", 0) + tiff_block(6)[18:])),
    "empty exif": jpeg_with(exif_segment(b"")),
    "segment of length 0": b"\xff\xd8\xff\xe0\x00\x00" + bytes(40),
    "exif after the pixels": encode("JPEG") + exif_segment(tiff_block(6)),
    "too many segments": jpeg_with(*[segment(0xFE, b"comment")] * MAX_SEGMENTS, exif_segment(tiff_block(6))),
    "png chunk longer than any file": encode("PNG")[:33] + b"\xff\xff\xff\xfftEXt" + bytes(20),
    "webp chunk longer than any file": b"RIFF\x00\x00\x00\x00WEBPVP8X\xff\xff\xff\xff" + bytes(20),
}


@pytest.mark.parametrize("count", [63, 64, 65, 300, MAX_SEGMENTS - 1, MAX_SEGMENTS, MAX_SEGMENTS + 1])
def test_the_check_finds_the_same_exif(tmp_path, count):
    files = {
        "a.jpg": jpeg_with(*[segment(0xEC, b"other")] * count, exif_segment(tiff_block(6))),
        "b.jpg": jpeg_with(b"\xff" * count, exif_segment(tiff_block(6))),
        "a.png": png_with([(b"tEXt", b"k\0v")] * count, (b"eXIf", tiff_block(6))),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        orientation = int(read(content))
        assert probe(tmp_path / name).orientation == orientation, name
        assert (image_size(tmp_path / name) == (5, 7)) == (orientation == 6)
    assert int(read(files["a.jpg"])) == (6 if count < MAX_SEGMENTS else 1)


@pytest.mark.parametrize("name", MALFORMED)
def test_missing_or_malformed_exif_means_upright(name):
    assert read(MALFORMED[name]) == 1
