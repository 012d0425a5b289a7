"""Photos decoded no larger than needed: sizes, places and pixels against decoding them whole."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue.data.decoding.decode import decode_image
from retinue.data.decoding.encoded_image import SPARE, EncodedImage
from retinue.data.decoding.resize import crop_and_resize, resize_image

BYTES, WINDOW, SIZE = (tf.TensorSpec(*spec) for spec in (([], tf.string), ([4], tf.int32), ([2], tf.int32)))


@tf.function(input_signature=[BYTES, WINDOW, SIZE])
def from_bytes(encoded, window, size):
    photo = EncodedImage(encoded)
    pixels, edges = photo.decode_for(window, size)
    return crop_and_resize(photo, window, size), photo.size, tf.shape(pixels)[:2], edges


@tf.function(input_signature=[BYTES, WINDOW, SIZE])
def from_pixels(encoded, window, size):
    return crop_and_resize(decode_image(encoded), window, size)


def encode(pixels, file_format="JPEG", orientation=1, **options):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    options |= {"quality": 95} if file_format in ("JPEG", "WEBP") else {}
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, file_format, **({"exif": exif} if orientation > 1 else {}), **options)
    return file.getvalue()


def waves(height, width):
    """To the right in red, downwards in green: a shift by half a pixel of an eighth, 4 pixels, makes a change of 12."""
    y, x = np.mgrid[:height, :width]
    red, green = 128 + 100 * np.sin(x / 32), 128 + 100 * np.sin(y / 32)
    return np.stack([red, green, np.full_like(red, 128)], -1).astype(np.uint8)


def test_a_pixel_at_an_eighth_is_the_mean_of_a_block():
    blocks = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
    encoded = encode(np.kron(blocks, np.ones((8, 8), np.uint8)))
    resized, size, decoded, _ = from_bytes(encoded, [0, 0, 256, 192], [12, 16])
    assert size.numpy().tolist() == [192, 256] and decoded.numpy().tolist() == [24, 32]
    means = blocks.reshape(12, 2, 16, 2).mean((1, 3))
    np.testing.assert_allclose(resized[:, :, 1], means, atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sides", [(403, 801), (400, 800), (407, 799)])
def test_places_are_those_of_the_whole_picture_however_it_is_turned_and_whatever_its_sides(orientation, sides):
    encoded = encode(waves(*sides), orientation=orientation)
    height, width = sides if orientation < 5 else sides[::-1]
    for shape, window, smaller in (
        ((20, 30), (0, 0, width, height), 8),
        ((40, 45), (width // 7, height // 5, width - 3, height - 2), 4),
        ((60, 50), (31, 7, 231, 367), 2),
    ):
        resized, size, decoded, _ = from_bytes(encoded, window, shape)
        assert size.numpy().tolist() == [height, width]
        assert decoded.numpy().tolist() == [-(-height // smaller), -(-width // smaller)]
        # At 1/2 and 1/4 the inverse transform gives a smooth curve's values, not quite the means of its pixels.
        np.testing.assert_allclose(resized, from_pixels(encoded, window, shape), atol=3)


def test_a_side_keeps_half_as_many_pixels_again_as_are_asked_for():
    encoded = encode(waves(400, 600))
    seen = set()
    for height in (10, 33, 34, 66, 67, 133, 134, 300):
        for width in (10, 50, 51, 100, 101, 200, 201):
            _, _, decoded, edges = from_bytes(encoded, [0, 0, 600, 400], [height, width])
            smaller = 600 // int(decoded[1])
            kept = [float(edges[3]) / height, float(edges[2]) / width]
            assert smaller == 1 or min(kept) >= SPARE
            assert smaller == 8 or min(kept) / 2 < SPARE
            seen.add(smaller)
    assert seen == {1, 2, 4, 8}


@pytest.mark.parametrize("resize_mode", ["stretch", "center_crop", "letterbox"])
def test_a_picture_that_is_not_made_much_smaller_keeps_every_pixel(resize_mode):
    encoded = tf.constant(encode(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8), orientation=6))
    np.testing.assert_array_equal(
        resize_image(EncodedImage(encoded), 64, resize_mode), resize_image(decode_image(encoded), 64, resize_mode)
    )
    np.testing.assert_array_equal(EncodedImage(encoded).decode(), decode_image(encoded))


PHOTO = Image.fromarray(waves(320, 480))


@pytest.mark.parametrize(
    "encoded",
    [
        encode(PHOTO.convert("L")),
        encode(PHOTO.convert("CMYK")),
        encode(PHOTO, progressive=True),
        encode(PHOTO, subsampling=0),
    ],
    ids=["grey", "cmyk", "progressive", "4:4:4"],
)
def test_every_kind_of_jpeg(encoded):
    resized, _, decoded, _ = from_bytes(encoded, [0, 0, 480, 320], [20, 30])
    assert decoded.numpy().tolist() == [40, 60]
    np.testing.assert_allclose(resized, from_pixels(encoded, [0, 0, 480, 320], [20, 30]), atol=2)


@pytest.mark.parametrize("window", [[0, 0, 480, 320], [3, 5, 477, 310], [100, 50, 130, 90]])
def test_knowing_that_a_jpeg_is_upright_changes_nothing(window):
    encoded = tf.constant(encode(PHOTO))
    known, unknown = EncodedImage(encoded, upright_jpeg=True), EncodedImage(encoded)
    np.testing.assert_array_equal(known.size, unknown.size)
    np.testing.assert_array_equal(known.decode(), unknown.decode())
    for side in (10, 30, 60, 300):
        np.testing.assert_array_equal(
            crop_and_resize(known, window, (side, side)), crop_and_resize(unknown, window, (side, side))
        )


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF", "BMP"])
def test_other_formats_are_as_they_were(file_format):
    encoded = encode(PHOTO, file_format, orientation=8 if file_format in ("PNG", "WEBP") else 1)
    height, width = (480, 320) if file_format in ("PNG", "WEBP") else (320, 480)
    resized, size, decoded, _ = from_bytes(encoded, [3, 1, width - 1, height - 2], [20, 30])
    assert size.numpy().tolist() == decoded.numpy().tolist() == [height, width]
    np.testing.assert_array_equal(resized, from_pixels(encoded, [3, 1, width - 1, height - 2], [20, 30]))


@pytest.mark.parametrize("kept", [0, 2, 100, 3000], ids=["empty", "no head", "in the head", "in the picture"])
def test_a_torn_file_raises(kept):
    whole = encode(np.random.default_rng(0).integers(0, 256, (320, 480, 3), np.uint8))
    assert len(whole) > 6000
    with pytest.raises(tf.errors.InvalidArgumentError):
        from_bytes(whole[:kept], [0, 0, 480, 320], [20, 30])
