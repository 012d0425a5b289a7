"""`probe` on valid, unusual and invalid files of every kind, compared with TensorFlow's decoder."""

import contextlib
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from retinue.data.decoding.image_file import image_size, probe
from retinue.data.decoding.image_formats import format_of
from retinue.data.storage.content import content_id

pytestmark = pytest.mark.filterwarnings(
    "ignore:Corrupt EXIF data"
)  # Pillow warns about the damaged files of these tests
GRADIENT = Image.fromarray(np.add.outer(np.arange(48), 2 * np.arange(64))[..., None].repeat(3, 2).astype(np.uint8))


def encoded(image_format, image=GRADIENT, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


OTHER_MASKS = struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00)  # the bits of red, green and blue


def bmp(bits, body, palette=b"", compression=0, header_size=40):
    """Return a BMP of 64 x 48 pixels that Pillow does not write."""
    offset = 14 + header_size + len(palette)
    if header_size == 12:
        header = struct.pack("<IHHHH", 12, 64, 48, 1, bits)
    else:
        sizes = (header_size, 64, 48, 1, bits, compression, len(body), 0, 0, len(palette) // 4, 0)
        header = struct.pack("<IiiHHIIiiII", *sizes)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + header + palette + body


def one_bit_png(side):
    """Return a black PNG of side x side pixels, which has few bytes for many pixels."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer, row = zlib.compressobj(1), bytes(1 + side // 8)
    pixels = b"".join([packer.compress(row) for _ in range(side)] + [packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def damage(content, position):
    end = position + 20
    return content[:position] + bytes(byte ^ 0x55 for byte in content[position:end]) + content[end:]


FRAMES = [GRADIENT.rotate(90)]
ANIMATED = "it has several frames, of which the first is used"
ANIMATION = encoded("WEBP", save_all=True, append_images=FRAMES)
VALID = {
    "image.jpg": (encoded("JPEG"), "JPEG", "RGB"),
    "progressive.jpg": (encoded("JPEG", progressive=True), "JPEG", "RGB"),
    "gray.jpg": (encoded("JPEG", GRADIENT.convert("L")), "JPEG", "L"),
    "cmyk.jpg": (encoded("JPEG", GRADIENT.convert("CMYK")), "JPEG", "CMYK"),
    "garbage after the end.jpg": (encoded("JPEG") + b"more" * 9, "JPEG", "RGB"),
    "rgb.png": (encoded("PNG"), "PNG", "RGB"),
    "rgba.png": (encoded("PNG", GRADIENT.convert("RGBA")), "PNG", "RGBA"),
    "palette.png": (encoded("PNG", GRADIENT.quantize(16)), "PNG", "P"),
    "16 bits.png": (encoded("PNG", Image.fromarray(np.full((48, 64), 40000, np.uint16))), "PNG", "I;16"),
    "image.gif": (encoded("GIF"), "GIF", None),
    "without end mark.gif": (encoded("GIF")[:-1], "GIF", None),
    "image.webp": (encoded("WEBP"), "WebP", "RGB"),
    "wrong pixels in the second frame.webp": (damage(ANIMATION, len(ANIMATION) - 60), "WebP", "RGB"),
    "image.bmp": (encoded("BMP"), "BMP", "RGB"),
    "palette.bmp": (encoded("BMP", GRADIENT.quantize(16)), "BMP", "P"),
    "one bit.bmp": (encoded("BMP", GRADIENT.convert("1")), "BMP", "1"),
    "image.tif": (encoded("TIFF"), "TIFF", "3 channels"),
    "big.tiff": (encoded("TIFF", big_tiff=True), "TIFF", "3 channels"),
    "image.avif": (encoded("AVIF"), "AVIF", "RGB"),
    "float.tif": (encoded("TIFF", GRADIENT.convert("F")), "TIFF", "1 channels"),
    "wrong EXIF.jpg": (encoded("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), "JPEG", "RGB"),
}
INVALID = {
    "empty.jpg": (b"", "empty"),
    "text.jpg": ("Grüße".encode(), "not an image"),
    "binary.jpg": (b"\x80\x81\x82\x83" * 50, "not an image"),
    "zeros.jpg": (bytes(500), "broken"),
    "page.jpg": (b"<!DOCTYPE html><html></html>", "not an image"),
    "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "not downloaded"),
    "half.avif": (encoded("AVIF")[:-100], "truncated"),
    "header.avif": (b"\0\0\0\x18ftypavif\0\0\0\0", "truncated"),
    "frame smaller than the canvas.gif": (encoded("GIF")[:6] + b"\x41" + encoded("GIF")[7:], "unsupported"),
    "clip.jpg": (b"\0\0\0\x18ftypisom\0\0\0\0", "not an image"),
    "drawing.svg": (b"<?xml version='1.0'?><svg></svg>", "unsupported"),
    "half.jpg": (encoded("JPEG")[:-200], "truncated"),
    "half progressive.jpg": (encoded("JPEG", progressive=True)[:-200], "truncated"),
    "without end mark.jpg": (encoded("JPEG")[:-2], "truncated"),
    "header.jpg": (encoded("JPEG")[:4], "truncated"),
    "half.png": (encoded("PNG")[:100], "truncated"),
    "without end.png": (encoded("PNG")[:-12], "truncated"),
    "wrong checksum.png": (damage(encoded("PNG"), 60), "broken"),
    "wrong header.png": (damage(encoded("PNG"), 18), "broken"),
    "half.gif": (encoded("GIF")[:-100], "truncated"),
    "without end of frame.gif": (encoded("GIF")[:-2], "truncated"),
    "junk before the frame.gif": (encoded("GIF")[:13] + b"junk" + encoded("GIF")[13:], "broken"),
    "half.webp": (encoded("WEBP")[:-10], "truncated"),
    "wrong first frame.webp": (damage(ANIMATION, ANIMATION.index(b"VP8 ") + 8), "broken"),
    "half.bmp": (encoded("BMP")[:-100], "truncated"),
    "too long.bmp": (encoded("BMP") + b"more", "broken"),
    "16 bits.bmp": (bmp(16, bytes(128 * 48)), "unsupported"),
    "packed.bmp": (bmp(8, b"\x40\x05\0\0" * 48 + b"\0\1", bytes(1024), compression=1), "unsupported"),
    "colors outside the palette.bmp": (bmp(8, bytes([2]) * 64 * 48, bytes(8)), "broken"),
    "1 color of 1 bit.bmp": (bmp(1, bytes([0x80]) * 8 * 48, bytes(4)), "broken"),
    "other masks.bmp": (bmp(32, bytes(256 * 48), OTHER_MASKS, compression=3), "unsupported"),
    "os2.bmp": (bmp(24, bytes(192 * 48), header_size=12), "unsupported"),
    "half.tif": (encoded("TIFF")[:-1000], "broken"),
    "header.tif": (encoded("TIFF")[:8], "broken"),
}


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("name", VALID)
def test_valid_files_are_described(tmp_path, name):
    content, image_format, mode = VALID[name]
    path = write(tmp_path, name, content)
    image = probe(path)
    assert image.problem is None
    assert image.remarks == (() if "frame" not in name else (("several frames", ANIMATED),))
    assert (image.format, image.width, image.height, image.file_size) == (image_format, 64, 48, len(content))
    assert image.mode == mode or mode is None
    assert image.orientation == 1
    assert image_size(path) == (64, 48)


@pytest.mark.parametrize("name", INVALID)
def test_invalid_files_have_a_reason_and_a_cure(tmp_path, name):
    content, kind = INVALID[name]
    problem = probe(write(tmp_path, name, content)).problem
    assert problem.kind == kind
    assert problem.reason and problem.cure
    assert "<" not in problem.reason and "Error" not in problem.reason  # no addresses of objects, no exception names


def test_tensorflow_decodes_exactly_the_files_that_are_valid(tmp_path):
    import tensorflow as tf

    from retinue.configs.errors import RetinueError
    from retinue.data.decoding.decode import decode_image, read_encoded_bytes

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def decode(content):
        return decode_image(content, (0, 65535))

    for name, (content, *_) in (VALID | INVALID).items():
        path = write(tmp_path, name, content)
        try:
            decodes = decode(read_encoded_bytes(path, (0, 65535))).shape == (48, 64, 3)
        except (tf.errors.OpError, RetinueError):
            decodes = False
        assert decodes == (name in VALID), name


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_orientation_is_read_and_image_size_is_upright(tmp_path, image_format):
    path = write(tmp_path, "image", encoded(image_format, exif=exif_with(6)))
    image = probe(path)
    assert (image.width, image.height, image.orientation) == (64, 48, 6)
    assert image_size(path) == (48, 64)
    assert probe(write(tmp_path, "nonsense", encoded(image_format, exif=exif_with(9)))).orientation == 1


def test_a_tiff_that_only_opencv_decodes_is_valid(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "deep.tif"), np.zeros((48, 64, 3), np.float32))
    with pytest.raises(OSError):
        Image.open(tmp_path / "deep.tif")
    assert probe(tmp_path / "deep.tif").problem is None
    assert image_size(tmp_path / "deep.tif") == (64, 48)


def test_a_wrong_file_ending_is_only_remarked(tmp_path):
    image = probe(write(tmp_path, "image.JPG", encoded("PNG")))
    assert image.problem is None
    assert image.remarks == (("wrong extension", "PNG data in a file with the ending .jpg"),)
    assert probe(write(tmp_path, "image.jfif", encoded("JPEG"))).remarks == ()
    assert probe(write(tmp_path, "image", encoded("JPEG"))).remarks == ()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP"])
def test_an_image_of_one_pixel_is_only_remarked(tmp_path, image_format):
    image = probe(write(tmp_path, "dot", encoded(image_format, GRADIENT.resize((1, 1)))))
    assert image.problem is None
    assert image.remarks == (("very small", "1 x 1 pixels, which is too small for training"),)


def test_a_very_long_image_is_remarked(tmp_path):
    assert probe(write(tmp_path, "strip.png", encoded("PNG", GRADIENT.resize((900, 9))))).remarks[0][0] == "very long"


@pytest.mark.parametrize(
    ("image_format", "name"),
    [("GIF", "a.gif"), ("WEBP", "a.webp"), ("PNG", "a.png"), ("TIFF", "a.tif"), ("AVIF", "a.avif")],
)
def test_several_frames_are_remarked(tmp_path, image_format, name):
    content = encoded(image_format, save_all=True, append_images=FRAMES)
    assert probe(write(tmp_path, name, content)).remarks == (("several frames", ANIMATED),)


def test_a_gif_with_a_truncated_second_frame_is_valid(tmp_path):
    frames = [GRADIENT.convert("P"), GRADIENT.rotate(90).convert("P")]
    content = encoded("GIF", frames[0], save_all=True, append_images=frames[1:])
    image = probe(write(tmp_path, "a.gif", content[:-40]))
    assert image.problem is None and image.remarks[0][0] == "several frames"


def test_a_huge_image_is_rejected_by_its_header(tmp_path):
    content = one_bit_png(20_000)
    assert len(content) < 1_000_000
    image = probe(write(tmp_path, "huge.png", content))
    assert image.problem[:2] == ("too large", "20,000 x 20,000 pixels, more than data.max_pixels (200,000,000)")
    assert "data.max_pixels" in image.problem.cure
    # The pixels are missing here, so that only the header can have been read.
    assert probe(write(tmp_path, "cut.png", content[:60])).problem.kind == "too large"
    assert image_size(tmp_path / "huge.png") == (20_000, 20_000)


def test_the_limit_is_max_pixels_and_not_pillows(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Image.open would now reject anything above 200
    path = write(tmp_path, "a.png", encoded("PNG"))
    assert probe(path, max_pixels=64 * 48).problem is None
    assert probe(path, max_pixels=64 * 48 - 1).problem.kind == "too large"


def test_missing_files_links_and_folders_are_invalid(tmp_path):
    assert probe(tmp_path / "none.jpg").problem[:2] == ("missing", "no such file")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "none.jpg")
    assert probe(tmp_path / "link.jpg").problem[:2] == ("missing", "the target of the link does not exist")
    (tmp_path / "folder.jpg").mkdir()
    assert probe(tmp_path / "folder.jpg").problem[:2] == ("not an image", "not a regular file")
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would block forever
    assert probe(tmp_path / "pipe.jpg").problem[:2] == ("not an image", "not a regular file")
    with pytest.raises(ValueError, match="not a regular file"):
        image_size(tmp_path / "pipe.jpg")


def test_a_file_without_read_permission_is_unreadable(tmp_path):
    path = write(tmp_path, "secret.jpg", encoded("JPEG"))
    os.chmod(path, 0)
    with as_nobody():
        assert probe(path).problem[:2] == ("unreadable", "the file cannot be read (permission denied)")


def test_file_names_can_have_any_valid_unicode(tmp_path):
    for name in ("two words.jpg", "Ünïcörn 猫.jpg"):
        assert probe(write(tmp_path, name, encoded("JPEG"))).problem is None
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg")
    with open(path, "wb") as file:
        file.write(encoded("JPEG"))
    assert probe(path).problem[:2] == ("file name", "its name is not valid UTF-8")


def test_the_content_id_is_the_hash_of_the_bytes(tmp_path):
    content = encoded("JPEG")
    assert probe(write(tmp_path, "1.jpg", content)).content_id == content_id(content)
    assert probe(write(tmp_path, "2.jpg", encoded("JPEG", quality=50))).content_id != content_id(content)
    assert probe(write(tmp_path, "3.jpg", b"hello")).content_id == ""


def test_format_of_needs_only_sixteen_bytes():
    for content, image_format, _ in VALID.values():
        assert format_of(content[:16]) == image_format
    assert format_of(b"BM is how this sentence begins") == ""


def test_image_size_of_invalid_files_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="an unknown image format"):
        image_size(write(tmp_path, "text.jpg", b"hello"))
    with pytest.raises(ValueError, match="the file ends"):
        image_size(write(tmp_path, "cut.png", encoded("PNG")[:20]))
    with pytest.raises(OSError):
        image_size(tmp_path / "none.jpg")


@contextlib.contextmanager
def as_nobody():
    """Drop root's permissions within this context, because root can read every file."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
