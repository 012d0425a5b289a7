"""Readers: one file to what the model takes, or the reason why it can't be read."""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from retinue.configs.errors import first_line
from retinue.data.decoding import image_file
from retinue.data.decoding.clip_file import Clip
from retinue.data.decoding.clip_probe import probe_clip
from retinue.data.decoding.decode import read_encoded_bytes
from retinue.data.decoding.pixel_range import PixelRange, range_problem

if TYPE_CHECKING:
    from retinue.tasks.task import Task

Arrays = dict[str, np.ndarray]
# The arrays, the width and height in pixels, and None; or None, None, and the reason.
ReadResult = tuple[Arrays, tuple[int, int], None] | tuple[None, None, str]


class Reader:
    """Reads image files by the task's own `read`. It may be called from several threads.

    Args:
        task: the task.
    """

    def __init__(self, task: "Task") -> None:
        self._max_pixels, self._pixel_range = task.config.data.max_pixels, task.config.data.pixel_range
        signature, black = [tf.TensorSpec([], tf.string)], tf.zeros([8, 8, 3], tf.uint8)
        self._read = self._read_upright = tf.function(task.read, input_signature=signature, autograph=False)
        self._read(tf.io.encode_png(black))  # tracing takes half a second: now, and not at the first file
        if task.config.data.jpeg_dct_scaling:
            # Most images are upright JPEGs, as their headers say. Reading them as such saves a quarter of the work.
            self._read_upright = tf.function(
                lambda encoded: task.prepare(task.read_image(encoded, upright_jpeg=True)),
                input_signature=signature,
                autograph=False,
            )
            self._read_upright(tf.io.encode_jpeg(black))

    def __call__(self, file: str) -> ReadResult:
        """Read a file.

        Args:
            file: its path.

        Returns:
            (what the model takes, (width, height) in pixels, None), or (None, None, the reason in plain words).
        """
        try:
            header = image_file.read_header(file)
            width, height = header.width, header.height
            if width * height > self._max_pixels:
                return None, None, failure_reason(file, self._max_pixels, self._pixel_range, "too large")
            # NumPy copies plain bytes twice on their way to TensorFlow, 7 ms for 3 MB, but not an object.
            encoded = tf.constant(np.array(read_encoded_bytes(file, self._pixel_range), object))
            is_upright_jpeg = (header.format, header.orientation) == ("JPEG", 1)
            tensors = self._read_upright(encoded) if is_upright_jpeg else self._read(encoded)
            return {name: tensor.numpy() for name, tensor in tensors.items()}, (width, height), None
        except Exception as error:  # decoders raise many kinds; any of them concerns this file alone
            return None, None, failure_reason(file, self._max_pixels, self._pixel_range, str(error))


class ClipReader:
    """Reads clips by the task's own `read_record`. It may be called from several threads.

    Args:
        task: a task for video.
    """

    def __init__(self, task: "Task") -> None:
        seconds = tf.TensorSpec([], tf.float32)
        signature = [{"file": tf.TensorSpec([], tf.string), "start": seconds, "end": seconds}]
        self._read = tf.function(task.read_record, input_signature=signature, autograph=False)

    def __call__(self, file: str, start: float = 0.0, end: float = 0.0) -> ReadResult:
        """Read a clip.

        Args:
            file: its path.
            start: the first second.
            end: the last second; 0 for the end of the file.

        Returns:
            What a `Reader` returns.
        """
        try:
            with Clip(file) as clip:
                size = clip.width, clip.height
            columns = {"file": tf.constant(file), "start": tf.constant(start), "end": tf.constant(end)}
            return {name: tensor.numpy() for name, tensor in self._read(columns).items()}, size, None
        except Exception as error:  # decoders raise many kinds; any of them concerns this file alone
            problem = probe_clip(file, start, end).problem
            return None, None, "{}: {}; {}".format(*problem) if problem else f"can't be decoded: {first_line(error)}"


def failure_reason(file: str, max_pixels: int, pixel_range: PixelRange | None, otherwise: str) -> str:
    """Return in plain words why an image file can't be used.

    Args:
        file: the path.
        max_pixels: the largest number of pixels that is allowed.
        pixel_range: data.pixel_range of the model.
        otherwise: the message of the decoder, used if the check of the file finds no problem.
    """
    info = image_file.probe(file, max_pixels)
    problem = info.problem or range_problem(info.depth, pixel_range)
    if problem:
        kind, reason, cure = problem
        return f"{kind}: {reason}; {cure}"
    return f"can't be decoded: {otherwise.splitlines()[0] if otherwise else 'the decoder gives no reason'}"
