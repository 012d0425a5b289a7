"""Decoding every kind of file that the library promises, compared with Pillow, in and outside of a SavedModel."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from retinue.configs.errors import RetinueError
from retinue.data.decoding.decode import decode_image, read_encoded, read_encoded_bytes, scale_to_uint8

decode = tf.function(decode_image, input_signature=[tf.TensorSpec([], tf.string)])


def photo(height=23, width=37):
    """A smooth picture with an odd size, so that JPEG loses little, and no symmetry."""
    y, x = np.mgrid[:height, :width]
    blue = 128 + 100 * np.sin(x / 9 + y / 7)
    return np.stack([x * 255 / (width - 1), y * 255 / (height - 1), blue], -1).astype(np.uint8)


PHOTO = Image.fromarray(photo())
ALPHA = np.random.default_rng(0).integers(0, 256, (23, 37, 1), np.uint8)
WITH_ALPHA = Image.fromarray(np.concatenate([photo(), ALPHA], -1))
SIXTEEN = Image.fromarray(photo()[:, :, 0].astype(np.uint16) * 257)


def encode(image, file_format, **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def animation(file_format, **options):
    return encode(PHOTO, file_format, save_all=True, append_images=[PHOTO.rotate(90)], **options)


def ycck():
    """A CMYK JPEG whose Adobe segment says that its four channels are YCCK, as Photoshop writes them."""
    encoded = bytearray(encode(PHOTO.convert("CMYK"), "JPEG", quality=90))
    transform = encoded.index(b"Adobe") + 11
    assert encoded[transform] == 0
    encoded[transform] = 2
    return bytes(encoded)


def pillow(encoded):
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


CASES = {
    "jpeg": encode(PHOTO, "JPEG", quality=90),
    "jpeg progressive": encode(PHOTO, "JPEG", progressive=True),
    "jpeg 4:4:4": encode(PHOTO, "JPEG", subsampling=0),
    "jpeg grey": encode(PHOTO.convert("L"), "JPEG"),
    "jpeg cmyk": encode(PHOTO.convert("CMYK"), "JPEG"),
    "jpeg ycck": ycck(),
    "png": encode(PHOTO, "PNG"),
    "png grey": encode(PHOTO.convert("L"), "PNG"),
    "png 1 bit": encode(PHOTO.convert("1"), "PNG"),
    "png palette": encode(PHOTO.convert("P"), "PNG"),
    "png palette transparent": encode(PHOTO.convert("P"), "PNG", transparency=3),
    "png transparent colour": encode(PHOTO, "PNG", transparency=(0, 0, 128)),
    "png rgba": encode(WITH_ALPHA, "PNG"),
    "png grey alpha": encode(WITH_ALPHA.convert("LA"), "PNG"),
    "bmp": encode(PHOTO, "BMP"),
    "bmp rgba": encode(WITH_ALPHA, "BMP"),
    "bmp grey": encode(PHOTO.convert("L"), "BMP"),
    "bmp palette": encode(PHOTO.convert("P"), "BMP"),
    "bmp 4 bits": encode(PHOTO.convert("P", palette=Image.Palette.ADAPTIVE, colors=16), "BMP"),
    "bmp 1 bit": encode(PHOTO.convert("1"), "BMP"),
    "gif": encode(PHOTO.convert("P"), "GIF"),
    "gif animated": animation("GIF"),
    "webp": encode(PHOTO, "WEBP", quality=90),
    "webp lossless": encode(PHOTO, "WEBP", lossless=True),
    "webp rgba": encode(WITH_ALPHA, "WEBP", lossless=True),
    "webp animated": animation("WEBP", lossless=True),
}


@pytest.mark.parametrize("name", CASES)
def test_pixels_are_those_of_pillow(name):
    decoded = decode(CASES[name]).numpy()
    assert decoded.dtype == np.uint8
    tolerance = 2 if "jpeg" in name or name == "webp" else 0
    np.testing.assert_allclose(decoded.astype(int), pillow(CASES[name]), atol=tolerance, rtol=0)


def test_sixteen_bits_are_cut_to_eight():
    decoded = decode(encode(SIXTEEN, "PNG")).numpy()
    np.testing.assert_array_equal(decoded, np.repeat(photo()[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_photos_come_out_upright(tmp_path, file_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned"
    path.write_bytes(encode(PHOTO, file_format, exif=exif))
    decoded = decode(read_encoded_bytes(path)).numpy()
    np.testing.assert_allclose(decoded.astype(int), pillow(path.read_bytes()), atol=2, rtol=0)


BAD = {
    "empty": b"",
    "text": b"not a picture at all",
    "cut jpeg": CASES["jpeg"][: len(CASES["jpeg"]) // 2],
    "cut png": CASES["png"][: len(CASES["png"]) // 2],
    "cut bmp": CASES["bmp palette"][:1200],
    "bmp head alone": CASES["bmp"][:20],
    "cut webp": CASES["webp"][: len(CASES["webp"]) // 2],
    "riff that is no picture": b"RIFF\x04\x00\x00\x00WAVE",
    "tiff": encode(PHOTO, "TIFF"),
}


@pytest.mark.parametrize("name", BAD)
def test_broken_bytes_raise(name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(BAD[name])


TIFFS = {
    "rgb": (PHOTO, {}),
    "lzw": (PHOTO, {"compression": "tiff_lzw"}),
    "grey": (PHOTO.convert("L"), {}),
    "1 bit": (PHOTO.convert("1"), {}),
    "palette": (PHOTO.convert("P"), {}),
    "cmyk": (PHOTO.convert("CMYK"), {}),
    "rgba": (WITH_ALPHA, {}),
    "grey alpha": (WITH_ALPHA.convert("LA"), {}),
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiff_has_the_pixels_of_pillow(tmp_path, name):
    image, options = TIFFS[name]
    path = tmp_path / "picture.jpg"  # the wrong name does not matter
    image.save(path, "TIFF", **options)
    decoded = decode(read_encoded_bytes(path)).numpy()
    np.testing.assert_allclose(decoded.astype(int), pillow(path.read_bytes()), atol=1, rtol=0)


def test_tiff_of_sixteen_bits_and_floats(tmp_path):
    expected = np.repeat(photo()[:, :, :1], 3, axis=2)
    SIXTEEN.save(tmp_path / "sixteen.tif")
    np.testing.assert_array_equal(decode(read_encoded_bytes(tmp_path / "sixteen.tif")), expected)
    Image.fromarray(photo()[:, :, 0].astype(np.float32) / 255).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(decode(read_encoded_bytes(tmp_path / "float.tif")), expected)


@pytest.mark.parametrize("file_format", ["TIFF", "PNG"])
def test_read_encoded_agrees_with_its_python_twin(tmp_path, file_format):
    path = tmp_path / "grün und blau.tif"
    PHOTO.save(path, file_format)
    assert read_encoded(str(path)).numpy() == read_encoded_bytes(path)
    in_graph = next(iter(tf.data.Dataset.from_tensors(str(path)).map(read_encoded)))
    assert in_graph.numpy() == read_encoded_bytes(path)
    assert read_encoded_bytes(path)[1:4] == b"PNG"


def test_broken_tiff_is_named(tmp_path):
    path = tmp_path / "broken.tif"
    path.write_bytes(b"II*\x00rubbish")
    with pytest.raises(RetinueError, match="broken.tif.*cannot be decoded"):
        read_encoded_bytes(path)
    with pytest.raises(tf.errors.OpError, match="broken.tif.*cannot be decoded"):
        list(tf.data.Dataset.from_tensors(str(path)).map(read_encoded))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 255, 128], np.uint8), [0, 255, 128]),
        (np.array([0, 255], np.uint16), [0, 255]),  # 8 bits in a 16-bit file
        (np.array([0, 4095], np.uint16), [0, 255]),  # 12 bits
        (np.array([0, 4096, 65535], np.uint16), [0, 16, 255]),
        (np.array([0, 0.5, 1], np.float32), [0, 128, 255]),
        (np.array([0, 1], np.uint16), [0, 1]),  # integers up to 1 are not a share
        (np.array([-1, 0, 1], np.float32), [0, 128, 255]),
        (np.array([0, 1e6], np.float64), [0, 255]),
        (np.array([np.nan, 1.0], np.float32), [0, 255]),
        (np.array([-5, -5], np.int16), [0, 0]),
    ],
)
def test_to_eight_bits(values, expected):
    result = scale_to_uint8(values)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


def test_decode_works_in_a_saved_model_with_tensorflow_alone(tmp_path):
    module = tf.Module()
    module.decode = decode
    tf.saved_model.save(module, str(tmp_path / "model"))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "turned.jpg": encode(PHOTO, "JPEG", exif=exif),
        "palette.bmp": CASES["bmp palette"],
        "alpha.png": CASES["png rgba"],
        "alpha.webp": CASES["webp rgba"],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    program = f"""
import sys, numpy as np, tensorflow as tf
model = tf.saved_model.load({str(tmp_path / "model")!r})
for name in {list(files)!r}:
    np.save({str(tmp_path)!r} + "/" + name, model.decode(tf.io.read_file({str(tmp_path)!r} + "/" + name)))
assert not any(name.startswith("retinue") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, capture_output=True)
    for name, content in files.items():
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy").astype(int), pillow(content), atol=2, rtol=0)
