"""Decoding WebP: animations are taken apart by TensorFlow operations, so that no file can corrupt the memory."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from retinue.data.decoding.decode import decode_image


def sample_image(width, height, seed=0, alpha=False):
    """Return a sample_image of random colors. With alpha, some of it is transparent."""
    shape = (height, width, 4 if alpha else 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def encode(image, **options):
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()


def animation(width, height, alpha=False, **options):
    frames = [sample_image(width, height, seed, alpha) for seed in range(3)]
    return encode(frames[0], save_all=True, append_images=frames[1:], duration=100, **options)


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def container(*chunks):
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def three_bytes(*values):
    return b"".join(struct.pack("<I", value)[:3] for value in values)


def one_frame_animation(canvas, offset, frame, declared=None):
    """Write an animation by hand: sizes are width and height, and `frame` is a still WebP file without a container."""
    width, height = declared or Image.open(io.BytesIO(frame)).size
    extended = chunk(b"VP8X", bytes([0x02, 0, 0, 0]) + three_bytes(canvas[0] - 1, canvas[1] - 1))
    box = three_bytes(offset[0] // 2, offset[1] // 2, width - 1, height - 1, 100) + b"\0"
    return container(extended, chunk(b"ANIM", bytes(6)), chunk(b"ANMF", box + frame[12:]))


def pillow(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def decode(content):
    return decode_image(tf.constant(content)).numpy()


@pytest.mark.parametrize("size", [(8, 8), (64, 48), (90, 60), (37, 23), (1, 1), (501, 375)])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_the_first_frame_of_an_animation_is_decoded(size, alpha, lossless):
    content = animation(*size, alpha, lossless=lossless)
    for _ in range(3):  # memory that is corrupted shows when it is used again
        np.testing.assert_array_equal(decode(content), pillow(content))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_stills_with_metadata_before_the_pixels_are_decoded(alpha, lossless):
    content = encode(sample_image(37, 23, alpha=alpha), lossless=lossless, icc_profile=b"profile", xmp=b"xmp")
    assert content[12:16] == b"VP8X"
    np.testing.assert_array_equal(decode(content), pillow(content))


@pytest.mark.parametrize("lossless", [False, True])
def test_a_frame_smaller_than_the_canvas_lies_at_its_offset_on_black(lossless):
    frame = encode(sample_image(16, 10), lossless=lossless)
    content = one_frame_animation((40, 30), (6, 18), frame)
    decoded = decode(content)
    expected = np.zeros((30, 40, 3), np.uint8)
    expected[18:28, 6:22] = pillow(frame)
    np.testing.assert_array_equal(decoded, expected)
    np.testing.assert_array_equal(decoded, pillow(content))


FRAME = encode(sample_image(16, 10), lossless=True)
INCONSISTENT = {
    "frame outside of the canvas": one_frame_animation((20, 10), (6, 0), FRAME),
    "frame larger than the canvas": one_frame_animation((8, 8), (0, 0), FRAME),
    "canvas too large to be real": one_frame_animation((1 << 24, 1 << 24), (0, 0), FRAME),
    "no frame": container(chunk(b"VP8X", bytes([2, 0, 0, 0]) + three_bytes(15, 9)), chunk(b"ANIM", bytes(6))),
    "frame without pixels": one_frame_animation((16, 10), (0, 0), FRAME[:12], declared=(16, 10)),
    "still with another canvas": container(chunk(b"VP8X", bytes(4) + three_bytes(31, 31)), FRAME[12:]),
    "chunk with a size beyond the file": FRAME[:16] + b"\xff\xff\xff\xff" + FRAME[20:],
    "header only": FRAME[:12],
}


@pytest.mark.parametrize("declared", [(20, 10), (8, 8)])
def test_a_frame_has_the_size_of_its_pixels_whatever_the_container_says(declared):
    content = one_frame_animation((40, 30), (2, 4), FRAME, declared)
    np.testing.assert_array_equal(decode(content), pillow(content))


@pytest.mark.parametrize("name", INCONSISTENT)
def test_inconsistent_containers_raise_an_error(name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(INCONSISTENT[name])


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_truncated_animation_raises_an_error_or_gives_its_complete_first_frame(alpha, lossless):
    content = animation(24, 20, alpha, lossless=lossless)
    expected = pillow(content)
    second_frame = content.index(b"ANMF", content.index(b"ANMF") + 4)
    for length in [*range(0, second_frame, 7), second_frame - 2, second_frame + 20, len(content) - 1]:
        try:
            decoded = decode(content[:length])
        except tf.errors.InvalidArgumentError:
            assert length < second_frame
        else:
            assert length >= second_frame - 2
            np.testing.assert_array_equal(decoded, expected)


def test_animations_are_decoded_in_a_saved_model_with_tensorflow_alone(tmp_path):
    module = tf.Module()
    module.decode = tf.function(lambda encoded: decode_image(encoded), input_signature=[tf.TensorSpec([], tf.string)])
    tf.saved_model.save(module, str(tmp_path / "model"))
    restored = tf.saved_model.load(str(tmp_path / "model"))
    for content in (animation(90, 60), animation(64, 48, alpha=True), one_frame_animation((40, 30), (6, 18), FRAME)):
        np.testing.assert_array_equal(restored.decode(tf.constant(content)).numpy(), pillow(content))
