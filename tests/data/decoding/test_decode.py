"""Decoding every supported kind of file, compared with Pillow, in and outside of a SavedModel."""

import io
import struct

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from retinue.configs.errors import RetinueError
from retinue.data.decoding.decode import decode_image, read_encoded, read_encoded_bytes
from retinue.data.decoding.pixel_range import scale_to_uint8

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
    "bmp with masks": cv2.imencode(".bmp", np.asarray(WITH_ALPHA))[1].tobytes(),
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


def test_png_of_16_bits_is_scaled_by_the_range(tmp_path):
    encoded = encode(SIXTEEN, "PNG")
    full = decode_image(encoded, (0, 65535)).numpy()
    np.testing.assert_array_equal(full, np.repeat(pixels()[:, :, :1], 3, axis=2))
    darker = decode_image(encoded, (257, 2 * 65535 - 257)).numpy()
    assert darker[0, 0].tolist() == [0, 0, 0] and darker[0, -1].tolist() == [128, 128, 128]


def test_png_of_16_bits_without_a_range_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="data.pixel_range.*convert it to 8 bits"):
        decode(encode(SIXTEEN, "PNG"))


@pytest.mark.parametrize("pixel_range", [(0, 65535), (0, 4071), (-3.5, 70_000.25), (21_003, 23_998)])
def test_every_value_has_the_same_scale_in_png_and_tiff(tmp_path, pixel_range):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
    from_png, from_tiff = (
        decode_image(read_encoded_bytes(tmp_path / name, pixel_range), pixel_range).numpy()
        for name in ("a.png", "a.tif")
    )
    np.testing.assert_array_equal(from_png, from_tiff)
    np.testing.assert_array_equal(from_png[:, :, 0], scale_to_uint8(values, pixel_range))
    expected = np.clip((values - np.float64(pixel_range[0])) * 255 / (pixel_range[1] - pixel_range[0]), 0, 255)
    assert abs(from_png[:, :, 0] - expected).max() < 0.501


def test_images_of_8_bits_do_not_depend_on_the_range():
    for name, encoded in CASES.items():
        np.testing.assert_array_equal(decode_image(encoded, (10, 20)), decode(encoded), name)


def test_colors_and_alpha_of_16_bits(tmp_path):
    blue, green, red, alpha = (np.full((4, 4), value, np.uint16) for value in (1000, 2000, 3000, 10))
    for planes in ((blue, green, red), (blue, green, red, alpha)):
        for name in ("a.png", "a.tif"):
            cv2.imwrite(str(tmp_path / name), np.dstack(planes))
            encoded = read_encoded_bytes(tmp_path / name, (0, 4000))
            assert decode_image(encoded, (0, 4000))[0, 0].numpy().tolist() == [191, 128, 64]


def test_a_gif_whose_first_frame_does_not_fill_it_is_refused():
    encoded = bytearray(CASES["gif"])
    encoded[6:8] = (38).to_bytes(2, "little")
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not fill it"):
        decode(bytes(encoded))


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_images_are_turned_upright(tmp_path, file_format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned"
    path.write_bytes(encode(IMAGE, file_format, exif=exif))
    decoded = decode(read_encoded_bytes(path)).numpy()
    np.testing.assert_allclose(decoded.astype(int), pillow(path.read_bytes()), atol=2, rtol=0)


def changed(content, position, number):
    """Return a file with a 4-byte number replaced."""
    return content[:position] + struct.pack("<I", number) + content[position + 4 :]


INVALID = {
    "empty": b"",
    "text": b"not an image at all",
    "cut jpeg": CASES["jpeg"][: len(CASES["jpeg"]) // 2],
    "cut png": CASES["png"][: len(CASES["png"]) // 2],
    "cut bmp": CASES["bmp palette"][:1200],
    "bmp header only": CASES["bmp"][:20],
    "bmp whose pixels begin after its end": changed(CASES["bmp 1 bit"], 10, 1 << 30),
    "bmp whose palette begins after its end": changed(CASES["bmp 1 bit"], 14, 1 << 31),
    "bmp of 3 bits": changed(CASES["bmp palette"], 28, 3),
    "bmp of OS/2": changed(CASES["bmp palette"], 14, 12),
    "bmp with a huge height": changed(CASES["bmp palette"], 22, 1 << 31),
    "bmp with more colors than its palette": changed(CASES["bmp palette"], 14, 1024),
    "bmp with red first": changed(cv2.imencode(".bmp", np.asarray(WITH_ALPHA))[1].tobytes(), 54, 0xFF),
    "cut webp": CASES["webp"][: len(CASES["webp"]) // 2],
    "riff without an image": b"RIFF\x04\x00\x00\x00WAVE",
    "tiff": encode(IMAGE, "TIFF"),
    "avif": encode(IMAGE, "AVIF"),
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


def test_tiff_of_floats_is_scaled_by_the_range(tmp_path):
    values = np.array([[0.25, 0.5, np.nan, np.inf], [-np.inf, 2.0, -9999.0, 1e30]], np.float32)
    Image.fromarray(values).save(tmp_path / "float.tif")
    decoded = decode(read_encoded_bytes(tmp_path / "float.tif", (0.25, 0.75))).numpy()
    assert decoded[:, :, 0].tolist() == [[0, 128, 0, 0], [0, 255, 0, 0]]  # what has no value is black
    with pytest.raises(RetinueError, match="float.tif.*more than 8 bits.*data.pixel_range"):
        read_encoded_bytes(tmp_path / "float.tif")


@pytest.mark.parametrize("file_format", ["TIFF", "PNG", "AVIF"])
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
    with pytest.raises(RetinueError, match="broken.tif: its header is damaged"):
        read_encoded_bytes(path)
    with pytest.raises(tf.errors.OpError, match="broken.tif: its header is damaged"):
        list(tf.data.Dataset.from_tensors(str(path)).map(read_encoded))


def test_decode_works_in_a_saved_model_with_tensorflow_alone(tmp_path):
    module = tf.Module()
    module.decode = tf.function(
        lambda encoded: decode_image(encoded, (0, 65535)), input_signature=[tf.TensorSpec([], tf.string)]
    )
    tf.saved_model.save(module, str(tmp_path / "model"))
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "turned.jpg": encode(IMAGE, "JPEG", exif=exif),
        "palette.bmp": CASES["bmp palette"],
        "alpha.png": CASES["png rgba"],
        "alpha.webp": CASES["webp rgba"],
    }
    deep, eight = encode(SIXTEEN, "PNG"), np.repeat(pixels()[:, :, :1], 3, axis=2)
    restored = tf.saved_model.load(str(tmp_path / "model"))
    functions = restored.decode.concrete_functions[0].graph.as_graph_def().library.function
    operations = {node.op for function in functions for node in function.node_def}
    assert len(operations) > 20 and not [name for name in operations if "PyFunc" in name]  # no Python is needed
    np.testing.assert_array_equal(restored.decode(tf.constant(deep)), eight)
    with pytest.raises(tf.errors.InvalidArgumentError, match="TIFF, AVIF, HEIC, PGM and PPM.*convert the image to PNG"):
        restored.decode(tf.constant(INVALID["avif"]))
    for content in files.values():
        decoded = restored.decode(tf.constant(content)).numpy()
        np.testing.assert_allclose(decoded.astype(int), pillow(content), atol=2, rtol=0)
