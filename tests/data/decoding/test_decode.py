"""Decoding every supported kind of file, compared with Pillow, in and outside of a SavedModel."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from retinue.configs.errors import RetinueError
from retinue.data.decoding.decode import decode_image, read_encoded, read_encoded_bytes, scale_to_uint8

decode = tf.function(decode_image, input_signature=[tf.TensorSpec([], tf.string)])


def pixels(height=23, width=37):
    """Return a smooth image without symmetry and with an odd size. JPEG changes it only a little."""
    y, x = np.mgrid[:height, :width]
    blue = 128 + 100 * np.sin(x / 9 + y / 7)
    return np.stack([x * 255 / (width - 1), y * 255 / (height - 1), blue], -1).astype(np.uint8)


IMAGE = Image.fromarray(pixels())
ALPHA = np.random.default_rng(0).integers(0, 256, (23, 37, 1), np.uint8)
WITH_ALPHA = Image.fromarray(np.concatenate([pixels(), ALPHA], -1))
SIXTEEN = Image.fromarray(pixels()[:, :, 0].astype(np.uint16) * 257)


def encode(image, file_format, **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def animation(file_format, **options):
    return encode(IMAGE, file_format, save_all=True, append_images=[IMAGE.rotate(90)], **options)


def ycck():
    """Return a CMYK JPEG whose Adobe segment declares its four channels as YCCK, as Photoshop writes them."""
    encoded = bytearray(encode(IMAGE.convert("CMYK"), "JPEG", quality=90))
    transform = encoded.index(b"Adobe") + 11
    assert encoded[transform] == 0
    encoded[transform] = 2
    return bytes(encoded)


def pillow(encoded):
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


CASES = {
    "jpeg": encode(IMAGE, "JPEG", quality=90),
    "jpeg progressive": encode(IMAGE, "JPEG", progressive=True),
    "jpeg 4:4:4": encode(IMAGE, "JPEG", subsampling=0),
    "jpeg gray": encode(IMAGE.convert("L"), "JPEG"),
    "jpeg cmyk": encode(IMAGE.convert("CMYK"), "JPEG"),
    "jpeg ycck": ycck(),
    "png": encode(IMAGE, "PNG"),
    "png gray": encode(IMAGE.convert("L"), "PNG"),
    "png 1 bit": encode(IMAGE.convert("1"), "PNG"),
    "png palette": encode(IMAGE.convert("P"), "PNG"),
    "png palette transparent": encode(IMAGE.convert("P"), "PNG", transparency=3),
    "png transparent color": encode(IMAGE, "PNG", transparency=(0, 0, 128)),
    "png rgba": encode(WITH_ALPHA, "PNG"),
    "png gray alpha": encode(WITH_ALPHA.convert("LA"), "PNG"),
    "bmp": encode(IMAGE, "BMP"),
    "bmp rgba": encode(WITH_ALPHA, "BMP"),
    "bmp gray": encode(IMAGE.convert("L"), "BMP"),
    "bmp palette": encode(IMAGE.convert("P"), "BMP"),
    "bmp 4 bits": encode(IMAGE.convert("P", palette=Image.Palette.ADAPTIVE, colors=16), "BMP"),
    "bmp 1 bit": encode(IMAGE.convert("1"), "BMP"),
    "gif": encode(IMAGE.convert("P"), "GIF"),
    "gif animated": animation("GIF"),
    "webp": encode(IMAGE, "WEBP", quality=90),
    "webp lossless": encode(IMAGE, "WEBP", lossless=True),
    "webp rgba": encode(WITH_ALPHA, "WEBP", lossless=True),
    "webp animated": animation("WEBP", lossless=True),
}


@pytest.mark.parametrize("name", CASES)
def test_pixels_agree_with_pillow(name):
    decoded = decode(CASES[name]).numpy()
    assert decoded.dtype == np.uint8
    tolerance = 2 if "jpeg" in name or name == "webp" else 0
    np.testing.assert_allclose(decoded.astype(int), pillow(CASES[name]), atol=tolerance, rtol=0)


def test_16_bits_are_reduced_to_8():
    decoded = decode(encode(SIXTEEN, "PNG")).numpy()
    np.testing.assert_array_equal(decoded, np.repeat(pixels()[:, :, :1], 3, axis=2))


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_images_are_turned_upright(tmp_path, file_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned"
    path.write_bytes(encode(IMAGE, file_format, exif=exif))
    decoded = decode(read_encoded_bytes(path)).numpy()
    np.testing.assert_allclose(decoded.astype(int), pillow(path.read_bytes()), atol=2, rtol=0)


INVALID = {
    "empty": b"",
    "text": b"not an image at all",
    "cut jpeg": CASES["jpeg"][: len(CASES["jpeg"]) // 2],
    "cut png": CASES["png"][: len(CASES["png"]) // 2],
    "cut bmp": CASES["bmp palette"][:1200],
    "bmp header only": CASES["bmp"][:20],
    "cut webp": CASES["webp"][: len(CASES["webp"]) // 2],
    "riff without an image": b"RIFF\x04\x00\x00\x00WAVE",
    "tiff": encode(IMAGE, "TIFF"),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_bytes_raise_an_error(name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(INVALID[name])


TIFFS = {
    "rgb": (IMAGE, {}),
    "lzw": (IMAGE, {"compression": "tiff_lzw"}),
    "gray": (IMAGE.convert("L"), {}),
    "1 bit": (IMAGE.convert("1"), {}),
    "palette": (IMAGE.convert("P"), {}),
    "cmyk": (IMAGE.convert("CMYK"), {}),
    "rgba": (WITH_ALPHA, {}),
    "gray alpha": (WITH_ALPHA.convert("LA"), {}),
}


@pytest.mark.parametrize("name", TIFFS)
def test_tiff_pixels_agree_with_pillow(tmp_path, name):
    image, options = TIFFS[name]
    path = tmp_path / "image.jpg"  # the wrong ending does not matter
    image.save(path, "TIFF", **options)
    decoded = decode(read_encoded_bytes(path)).numpy()
    np.testing.assert_allclose(decoded.astype(int), pillow(path.read_bytes()), atol=1, rtol=0)


def test_tiff_with_16_bits_and_floats(tmp_path):
    expected = np.repeat(pixels()[:, :, :1], 3, axis=2)
    SIXTEEN.save(tmp_path / "sixteen.tif")
    np.testing.assert_array_equal(decode(read_encoded_bytes(tmp_path / "sixteen.tif")), expected)
    Image.fromarray(pixels()[:, :, 0].astype(np.float32) / 255).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(decode(read_encoded_bytes(tmp_path / "float.tif")), expected)


@pytest.mark.parametrize("file_format", ["TIFF", "PNG"])
def test_read_encoded_agrees_with_read_encoded_bytes(tmp_path, file_format):
    path = tmp_path / "grün und blau.tif"
    IMAGE.save(path, file_format)
    assert read_encoded(str(path)).numpy() == read_encoded_bytes(path)
    in_graph = next(iter(tf.data.Dataset.from_tensors(str(path)).map(read_encoded)))
    assert in_graph.numpy() == read_encoded_bytes(path)
    assert read_encoded_bytes(path)[1:4] == b"PNG"


def test_a_damaged_tiff_is_reported_by_name(tmp_path):
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
        (np.array([0, 1], np.uint16), [0, 1]),  # integers up to 1 are no fractions
        (np.array([-1, 0, 1], np.float32), [0, 128, 255]),
        (np.array([0, 1e6], np.float64), [0, 255]),
        (np.array([np.nan, 1.0], np.float32), [0, 255]),
        (np.array([-5, -5], np.int16), [0, 0]),
    ],
)
def test_scale_to_uint8_chooses_white_by_dtype_and_maximum(values, expected):
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
        "turned.jpg": encode(IMAGE, "JPEG", exif=exif),
        "palette.bmp": CASES["bmp palette"],
        "alpha.png": CASES["png rgba"],
        "alpha.webp": CASES["webp rgba"],
    }
    restored = tf.saved_model.load(str(tmp_path / "model"))
    functions = restored.decode.concrete_functions[0].graph.as_graph_def().library.function
    operations = {node.op for function in functions for node in function.node_def}
    assert len(operations) > 20 and not [name for name in operations if "PyFunc" in name]  # no Python is needed
    for content in files.values():
        decoded = restored.decode(tf.constant(content)).numpy()
        np.testing.assert_allclose(decoded.astype(int), pillow(content), atol=2, rtol=0)
