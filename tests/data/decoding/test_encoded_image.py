"""Images decoded only as large as needed, compared with decoding them at full size."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue.data.decoding.decode import decode_image
from retinue.data.decoding.encoded_image import MIN_OVERSAMPLING, EncodedImage
from retinue.data.decoding.resize import crop_and_resize, resize_image

BYTES, WINDOW, SIZE = (tf.TensorSpec(*spec) for spec in (([], tf.string), ([4], tf.int32), ([2], tf.int32)))


@tf.function(input_signature=[BYTES, WINDOW, SIZE])
def from_bytes(encoded, window, size):
    image = EncodedImage(encoded)
    pixels, edges = image.decode_for(window, size)
    return crop_and_resize(image, window, size), image.size, tf.shape(pixels)[:2], edges


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
    """Waves to the right in red and downwards in green. A shift by 4 pixels, half a pixel at 1/8, is 12 levels."""
    y, x = np.mgrid[:height, :width]
    red, green = 128 + 100 * np.sin(x / 32), 128 + 100 * np.sin(y / 32)
    return np.stack([red, green, np.full_like(red, 128)], -1).astype(np.uint8)


def test_a_pixel_at_an_eighth_of_the_size_is_the_mean_of_a_block():
    blocks = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
    encoded = encode(np.kron(blocks, np.ones((8, 8), np.uint8)))
    resized, size, decoded, _ = from_bytes(encoded, [0, 0, 256, 192], [12, 16])
    assert size.numpy().tolist() == [192, 256] and decoded.numpy().tolist() == [24, 32]
    means = blocks.reshape(12, 2, 16, 2).mean((1, 3))
    np.testing.assert_allclose(resized[:, :, 1], means, atol=1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sides", [(403, 801), (400, 800), (407, 799)])
def test_positions_agree_with_the_full_size_for_all_orientations_and_sides(orientation, sides):
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
        # At 1/2 and 1/4, the inverse transform gives values of a smooth curve, which differ a little from means.
        np.testing.assert_allclose(resized, from_pixels(encoded, window, shape), atol=3)


def test_each_side_is_decoded_with_at_least_one_and_a_half_times_the_wanted_pixels():
    encoded = encode(waves(400, 600))
    ratios = set()
    for height in (10, 33, 34, 66, 67, 133, 134, 300):
        for width in (10, 50, 51, 100, 101, 200, 201):
            _, _, decoded, edges = from_bytes(encoded, [0, 0, 600, 400], [height, width])
            smaller = 600 // int(decoded[1])
            kept = [float(edges[3]) / height, float(edges[2]) / width]
            assert smaller == 1 or min(kept) >= MIN_OVERSAMPLING
            assert smaller == 8 or min(kept) / 2 < MIN_OVERSAMPLING
            ratios.add(smaller)
    assert ratios == {1, 2, 4, 8}


@pytest.mark.parametrize("resize_mode", ["stretch", "center_crop", "letterbox"])
def test_an_image_that_shrinks_little_is_decoded_at_full_size(resize_mode):
    encoded = tf.constant(encode(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8), orientation=6))
    np.testing.assert_array_equal(
        resize_image(EncodedImage(encoded), 64, resize_mode), resize_image(decode_image(encoded), 64, resize_mode)
    )
    np.testing.assert_array_equal(EncodedImage(encoded).decode(), decode_image(encoded))


IMAGE = Image.fromarray(waves(320, 480))


@pytest.mark.parametrize(
    "encoded",
    [
        encode(IMAGE.convert("L")),
        encode(IMAGE.convert("CMYK")),
        encode(IMAGE, progressive=True),
        encode(IMAGE, subsampling=0),
    ],
    ids=["gray", "cmyk", "progressive", "4:4:4"],
)
def test_every_kind_of_jpeg_is_decoded_at_a_fraction(encoded):
    resized, _, decoded, _ = from_bytes(encoded, [0, 0, 480, 320], [20, 30])
    assert decoded.numpy().tolist() == [40, 60]
    np.testing.assert_allclose(resized, from_pixels(encoded, [0, 0, 480, 320], [20, 30]), atol=2)


@pytest.mark.parametrize("window", [[0, 0, 480, 320], [3, 5, 477, 310], [100, 50, 130, 90]])
def test_upright_jpeg_does_not_change_the_result(window):
    encoded = tf.constant(encode(IMAGE))
    known, unknown = EncodedImage(encoded, upright_jpeg=True), EncodedImage(encoded)
    np.testing.assert_array_equal(known.size, unknown.size)
    np.testing.assert_array_equal(known.decode(), unknown.decode())
    for side in (10, 30, 60, 300):
        np.testing.assert_array_equal(
            crop_and_resize(known, window, (side, side)), crop_and_resize(unknown, window, (side, side))
        )


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "GIF", "BMP"])
def test_other_formats_are_decoded_at_full_size(file_format):
    encoded = encode(IMAGE, file_format, orientation=8 if file_format in ("PNG", "WEBP") else 1)
    height, width = (480, 320) if file_format in ("PNG", "WEBP") else (320, 480)
    resized, size, decoded, _ = from_bytes(encoded, [3, 1, width - 1, height - 2], [20, 30])
    assert size.numpy().tolist() == decoded.numpy().tolist() == [height, width]
    np.testing.assert_array_equal(resized, from_pixels(encoded, [3, 1, width - 1, height - 2], [20, 30]))


@pytest.mark.parametrize("kept", [0, 2, 100, 3000], ids=["empty", "no header", "in the header", "in the image data"])
def test_a_truncated_file_raises_an_error(kept):
    complete = encode(np.random.default_rng(0).integers(0, 256, (320, 480, 3), np.uint8))
    assert len(complete) > 6000
    with pytest.raises(tf.errors.InvalidArgumentError):
        from_bytes(complete[:kept], [0, 0, 480, 320], [20, 30])
