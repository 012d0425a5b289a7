"""TIFF files that are written here byte by byte: depths, missing values, bands, pages, and cameras' raw files."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from retinue.data.decoding.file_problem import UnusableFileError
from retinue.data.decoding.image_file import probe, read_header
from retinue.data.decoding.tiff_file import decode_tiff, read_tiff_header

UNSIGNED, SIGNED, FLOAT, COMPLEX = 1, 2, 3, 6
RAMP = np.arange(12).reshape(3, 4, 1)


def tiff(pixels, sample_format=UNSIGNED, photometric=1, tags=None, after_header=b""):
    """Return an uncompressed little-endian TIFF.

    Args:
        pixels: [height, width, bands] of the dtype that is written.
        sample_format: See the TIFF 6.0 specification.
        photometric: The color space.
        tags: {tag: (kind, values)} of further tags; kind 2 is text, 3 is 16 bits and 4 is 32 bits.
        after_header: Bytes between the header and the first directory.
    """
    height, width, bands = pixels.shape
    body = pixels.tobytes()
    entries = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8 * pixels.dtype.itemsize] * bands),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, [0]),
        277: (3, [bands]),
        278: (4, [height]),
        279: (4, [len(body)]),
        339: (3, [sample_format] * bands),
        **(tags or {}),
    }
    start = 8 + len(after_header) + 2 + 12 * len(entries) + 4
    encoded = {
        tag: data if kind == 2 else struct.pack(f"<{len(data)}{'H' if kind == 3 else 'I'}", *data)
        for tag, (kind, data) in entries.items()
    }
    size = sum(len(data) + len(data) % 2 for data in encoded.values() if len(data) > 4)
    encoded[273] = struct.pack("<I", start + size)
    directory, extra = struct.pack("<H", len(entries)), b""
    for tag in sorted(entries):
        kind, data = entries[tag][0], encoded[tag]
        value = data.ljust(4, b"\0")
        if len(data) > 4:
            value = struct.pack("<I", start + len(extra))
            extra += data + bytes(len(data) % 2)
        directory += struct.pack("<HHI", tag, kind, len(entries[tag][1])) + value
    return b"II*\0" + struct.pack("<I", 8 + len(after_header)) + after_header + directory + bytes(4) + extra + body


@pytest.mark.parametrize(
    ("dtype", "sample_format", "depth"),
    [
        ("<u1", UNSIGNED, "8-bit"),
        ("<u2", UNSIGNED, "16-bit"),
        ("<i2", SIGNED, "16-bit signed"),
        ("<u4", UNSIGNED, "32-bit"),
        ("<i4", SIGNED, "32-bit signed"),
        ("<f4", FLOAT, "32-bit float"),
        ("<f8", FLOAT, "64-bit float"),
    ],
)
def test_every_depth_keeps_its_values(tmp_path, dtype, sample_format, depth):
    content = tiff((RAMP * 20).astype(dtype), sample_format)
    decoded = decode_tiff(content)
    assert decoded.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(decoded, RAMP[:, :, 0] * 20)
    (tmp_path / "a.tif").write_bytes(content)
    assert read_header(tmp_path / "a.tif").depth == depth
    assert probe(tmp_path / "a.tif").depth == depth


def test_colors_are_red_green_and_blue():
    pixels = np.array([[[100, 2000, 65535]]], "<u2")
    np.testing.assert_array_equal(decode_tiff(tiff(pixels, photometric=2)), pixels)


@pytest.mark.parametrize(("dtype", "black"), [("<u1", 255), ("<u2", 65535), ("<i2", -1)])
def test_where_the_smallest_value_is_white_the_values_are_inverted(dtype, black):
    sample_format = SIGNED if dtype == "<i2" else UNSIGNED
    decoded = decode_tiff(tiff(RAMP.astype(dtype), sample_format, photometric=0))
    np.testing.assert_array_equal(decoded, black - RAMP[:, :, 0])


def test_missing_values_of_floats_are_nan():
    pixels = np.array([[1.5, np.nan, np.inf, -np.inf, 3e38, -3e38, -9999, 7]], "<f4")[:, :, None]
    decoded = decode_tiff(tiff(pixels, FLOAT, tags={42113: (2, b"7\0")}))[0]
    assert decoded[[0, 6]].tolist() == [1.5, -9999]  # without a tag, a number is a number
    assert np.isnan(decoded[[1, 2, 3, 4, 5, 7]]).all()


def test_missing_values_of_integers_are_nan_where_the_file_names_them():
    decoded = decode_tiff(tiff(RAMP.astype("<u2"), tags={42113: (2, b"3\0")}))
    assert np.isnan(decoded[0, 3]) and np.isnan(decoded).sum() == 1
    assert decoded[2, 3] == 11
    eight = decode_tiff(tiff(RAMP.astype("<u1"), tags={42113: (2, b"3\0")}))
    assert eight.dtype == np.uint8 and eight[0, 3] == 3


@pytest.mark.parametrize(
    ("content", "reason", "cure"),
    [
        (tiff(np.full((3, 4, 1), np.nan, "<f4"), FLOAT), "none of its pixels has a value", "remove"),
        (tiff(np.zeros((3, 4, 5), "<u1")), "a raster of 5 bands", "gdal_translate"),
        (tiff(np.zeros((3, 4, 13), "<u2")), "a raster of 13 bands", "gdal_translate"),
        (tiff(np.zeros((3, 4, 1), "<f2"), FLOAT), "16-bit floating-point", "32-bit"),
        (tiff(np.zeros((3, 4, 1), "<c8"), COMPLEX), "complex", "floating point"),
        (tiff(np.zeros((3, 4, 1), "<u2"), photometric=32803), "raw file of a camera", "develop it"),
        (tiff(np.zeros((3, 4, 3), "<u1"), tags={50706: (3, [1, 4])}), "raw file of a camera", "develop it"),
        (tiff(np.zeros((3, 4, 3), "<u1"), tags={254: (4, [1]), 330: (4, [8])}), "raw file of a camera", "develop it"),
        (tiff(np.zeros((3, 4, 3), "<u1"), after_header=b"CR\2\0" + bytes(4)), "raw file of a camera", "develop it"),
        (tiff(np.zeros((3, 4, 1), "<u1"), tags={259: (3, [34887])}), "the compression 34887", "save it again"),
        (tiff(np.zeros((3, 4, 1), "<u1"))[:-5], "may be truncated", "save it again"),
        (b"II*\0rubbish", "header is damaged", "save it again"),
    ],
)
def test_what_cannot_be_decoded_is_named_with_a_cure(tmp_path, content, reason, cure):
    with pytest.raises(UnusableFileError, match=reason) as error:
        decode_tiff(content)
    assert cure in error.value.problem.cure
    (tmp_path / "a.tif").write_bytes(content)
    assert probe(tmp_path / "a.tif").problem.reason


@pytest.mark.parametrize(
    ("bands", "extra", "remark"),
    [
        (4, [0], "it has 4 bands, of which the first 3 are used as red, green and blue"),
        (2, [0], "it has 2 bands, of which the first is used"),
        (4, [2], None),  # alpha
    ],
)
def test_bands_that_are_not_used_are_remarked(tmp_path, bands, extra, remark):
    path = tmp_path / "a.tif"
    pixels = np.zeros((16, 16, bands), "<u1")
    path.write_bytes(tiff(pixels, photometric=2 if bands > 2 else 1, tags={338: (3, extra)}))
    info = probe(path)
    assert info.problem is None
    assert info.remarks == ((("bands", remark),) if remark else ())


def pages(*kinds):
    """Return a TIFF of several pages with the given subfile types."""
    images = [Image.new("L", (16, 16), level) for level in range(len(kinds))]
    stream = io.BytesIO()
    images[0].save(stream, "TIFF", save_all=True, append_images=images[1:])
    content = bytearray(stream.getvalue())
    position = 4
    for kind in kinds:
        (directory,) = struct.unpack("<I", content[position : position + 4])
        (count,) = struct.unpack("<H", content[directory : directory + 2])
        if kind:  # the width's entry, which all pages but the first can do without here
            content[directory + 2 : directory + 14] = struct.pack("<HHII", 254, 4, 1, kind)
        position = directory + 2 + 12 * count
    return bytes(content)


@pytest.mark.parametrize(
    ("kinds", "expected"), [((0,), False), ((0, 0), True), ((0, 1), False), ((0, 4), False), ((0, 1, 0), True)]
)
def test_smaller_copies_are_no_further_pages(kinds, expected):
    assert read_tiff_header(io.BytesIO(pages(*kinds))).has_more_pages == expected


@pytest.mark.parametrize(("images", "expected"), [(5, True), (1, False)])
def test_the_images_of_an_imagej_stack_are_further_pages(images, expected):
    description = f"ImageJ=1.53\nimages={images}\nslices={images}\n\0".encode()
    content = tiff(RAMP.astype("<u2"), tags={270: (2, description)})
    assert read_tiff_header(io.BytesIO(content)).has_more_pages == expected
