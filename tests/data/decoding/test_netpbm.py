"""Netpbm's images: pixels by hand, those of Pillow, and damaged files."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.checking.sheet_layout import thumbnail
from retinue.data.decoding.decode import decode_image, read_encoded, read_encoded_bytes
from retinue.data.decoding.deep_image import decode_deep_image
from retinue.data.decoding.file_problem import UnusableFileError
from retinue.data.decoding.image_file import probe, read_header
from retinue.data.decoding.mask_file import read_mask_values
from retinue.data.decoding.netpbm import decode_netpbm

GRAY = [[0, 64, 255], [128, 1, 2]]
COLORS = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [1, 2, 3]]]
BITMAP = [[0, 255, 255], [255, 0, 0]]  # 0 is black, which is 1 in the file

FILES = {
    "text.pbm": (b"P1\n# a comment\n3 2\n100\n011\n", BITMAP),
    "text apart.pbm": (b"P1 3 2\n1 0 0 # 1 1\n0 1 1", BITMAP),
    "binary.pbm": (b"P4\n3 2\n\x80\x60", BITMAP),
    "text.pgm": (b"P2\n3 2\n255\n0 64 255\n128 1 2\n", GRAY),
    "binary.pgm": (b"P5 #\n# 9 9\n3 #x\n 2\n255\n\x00\x40\xff\x80\x01\x02", GRAY),
    "first byte is a space.pgm": (b"P5\n2 1\n255\n\x20\x0a", [[32, 10]]),
    "white is 4.pgm": (b"P5\n3 2\n4\n\x00\x01\x04\x02\x03\x00", [[0, 64, 255], [128, 191, 0]]),
    "text.ppm": (b"P3\n2 2\n255\n255 0 0 0 255 0\n0 0 255 1 2 3", COLORS),
    "binary.ppm": (b"P6\r2\t2\n255\n" + bytes(np.array(COLORS).ravel().tolist()), COLORS),
    "16 bits.pgm": (b"P5\n2 1\n4095\n\x0f\xff\x01\x00", [[4095, 256]]),
    "16 bits as text.pgm": (b"P2\n2 1\n65535\n65535 256", [[65535, 256]]),
}


@pytest.mark.parametrize("name", FILES)
def test_pixels_by_hand(tmp_path, name):
    content, expected = FILES[name]
    decoded = decode_netpbm(content)
    assert decoded.dtype == (np.uint16 if "16" in name else np.uint8) and decoded.tolist() == expected
    (tmp_path / name).write_bytes(content)
    info, header = probe(tmp_path / name), read_header(tmp_path / name)
    assert (info.problem, info.format, info.depth) == (None, "Netpbm", "16-bit" if "16" in name else "8-bit")
    assert (header.height, header.width) == np.shape(expected)[:2]
    assert decode_deep_image(tmp_path / name).tolist() == expected


@pytest.mark.parametrize("name", [name for name in FILES if "16" not in name])
def test_training_prediction_and_sheets_get_the_same_pixels(tmp_path, name):
    content, expected = FILES[name]
    (tmp_path / name).write_bytes(content)
    rgb = np.array(expected) if np.ndim(expected) == 3 else np.repeat(np.array(expected)[:, :, None], 3, axis=2)
    assert decode_image(read_encoded(str(tmp_path / name))).numpy().tolist() == rgb.tolist()
    assert decode_image(read_encoded_bytes(tmp_path / name)).numpy().tolist() == rgb.tolist()
    assert np.asarray(thumbnail(tmp_path / name, 100)).tolist() == rgb.tolist()


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_what_pillow_writes_is_read(mode):
    pixels = np.random.default_rng(0).integers(0, 256, (13, 21, 3), np.uint8)
    image, stream = Image.fromarray(pixels).convert(mode), io.BytesIO()
    image.save(stream, "PPM")
    assert np.array_equal(decode_netpbm(stream.getvalue()), np.asarray(image) * (255 if mode == "1" else 1))


def test_16_bits_need_the_range_of_the_dataset(tmp_path):
    (tmp_path / "a.pgm").write_bytes(FILES["16 bits.pgm"][0])
    assert decode_image(read_encoded_bytes(tmp_path / "a.pgm", (0, 4095))).numpy()[0, :, 0].tolist() == [255, 16]
    with pytest.raises(RetinueError, match=r"a.pgm.*more than 8 bits.*data.pixel_range"):
        read_encoded_bytes(tmp_path / "a.pgm")


def test_the_values_of_a_mask_are_ids(tmp_path):
    (tmp_path / "a.pgm").write_bytes(FILES["white is 4.pgm"][0])
    assert read_mask_values(str(tmp_path / "a.pgm")).tolist() == [[0, 1, 4], [2, 3, 0]]
    (tmp_path / "a.pbm").write_bytes(FILES["text.pbm"][0])
    assert read_mask_values(str(tmp_path / "a.pbm")).tolist() == [[0, 1, 1], [1, 0, 0]]


def test_a_second_image_is_remarked(tmp_path):
    (tmp_path / "a.pgm").write_bytes(FILES["binary.pgm"][0] * 2)
    assert probe(tmp_path / "a.pgm").remarks[-1][1] == "it has several frames, of which the first is used"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"P5\n3 2\n255\n\x00\x40", "the file ends before the image does"),
        (b"P5\n999999999 999999999\n255\n\x00", "the file ends before the image does"),
        (b"P2\n3 2\n255\n1 2 3", "the file ends before the image does"),
        (b"P5\n3 2\n65536\n" + bytes(12), "3 x 2 pixels up to 65536"),
        (b"P5\n0 2\n255\n", "0 x 2 pixels"),
        (b"P5\n3 -2\n255\n" + bytes(12), "its header is damaged"),
        (b"P5\n3", "its header is damaged"),
        (b"P5\n1 1\n4\n\x05", "a value of 5, but its header says that 4 is white"),
        (b"P2\n1 1\n255\n1e1", "not a number"),
        (b"P2\n1 1\n255\n-1", "negative"),
    ],
)
def test_damaged_files_are_refused(content, reason):
    with pytest.raises(UnusableFileError, match=reason):
        decode_netpbm(content)


def test_a_saved_model_would_refuse_them():
    for content, _ in FILES.values():
        with pytest.raises(tf.errors.InvalidArgumentError, match="PGM and PPM images.*are not decoded here"):
            decode_image(content)
