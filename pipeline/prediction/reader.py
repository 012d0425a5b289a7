"""One file to what the model takes, or the reason why not."""

import numpy as np
import tensorflow as tf

from retinue.configs.errors import first_line
from retinue.data.decoding import image_file
from retinue.data.decoding.clip_file import Clip
from retinue.data.decoding.clip_probe import probe_clip
from retinue.data.decoding.decode import read_encoded_bytes


class Reader:
    """Files to what the model takes, by the task's own `read`. Called from several threads.

    Called with a path: (dict of arrays, (width, height), None), or (None, None, reason in plain words).
    """

    def __init__(self, task):
        self._max_pixels = task.config.data.max_pixels
        signature, black = [tf.TensorSpec([], tf.string)], tf.zeros([8, 8, 3], tf.uint8)
        self._read = self._read_upright = tf.function(task.read, input_signature=signature, autograph=False)
        self._read(tf.io.encode_png(black))  # built now, half a second, not at the first file
        if task.config.data.jpeg_dct_scaling:
            # Most photos are JPEGs without need of turning, which the header has said: a quarter of the work is spared.
            self._read_upright = tf.function(
                lambda encoded: task.prepare(task.read_image(encoded, upright_jpeg=True)),
                input_signature=signature,
                autograph=False,
            )
            self._read_upright(tf.io.encode_jpeg(black))

    def __call__(self, file):
        try:
            *size, orientation, form = image_file.read_header(file)
            if size[0] * size[1] > self._max_pixels:
                return None, None, reason_of(file, self._max_pixels, "too large")
            # As an object: of plain bytes NumPy makes two more copies on their way to TensorFlow, 7 ms for 3 MB.
            encoded = tf.constant(np.array(read_encoded_bytes(file), object))
            tensors = self._read_upright(encoded) if (form, orientation) == ("JPEG", 1) else self._read(encoded)
            return {name: tensor.numpy() for name, tensor in tensors.items()}, tuple(size), None
        except Exception as error:  # whatever a decoder makes of broken bytes: it is this file's reason, and no more
            return None, None, reason_of(file, self._max_pixels, str(error))


class ClipReader:
    """Clips to what the model takes, by the task's own `read_record`; called and answering as a `Reader`."""

    def __init__(self, task):
        self._task = task
        one = tf.TensorSpec([], tf.float32)
        signature = [{"file": tf.TensorSpec([], tf.string), "start": one, "end": one}]
        self._read = tf.function(task.read_record, input_signature=signature, autograph=False)

    def __call__(self, file, start=0.0, end=0.0):
        try:
            with Clip(file) as clip:
                size = clip.width, clip.height
            columns = {"file": tf.constant(file), "start": tf.constant(start), "end": tf.constant(end)}
            return {name: tensor.numpy() for name, tensor in self._read(columns).items()}, size, None
        except Exception as error:  # whatever a decoder makes of broken bytes: it is this file's reason, and no more
            bad = probe_clip(file, start, end).problem
            return None, None, "{}: {}; {}".format(*bad) if bad else f"can't be decoded: {first_line(error)}"


def reason_of(file, max_pixels, otherwise):
    """Why a file can't be used, in plain words."""
    bad = image_file.probe(file, max_pixels).problem
    if bad:
        kind, reason, cure = bad
        return f"{kind}: {reason}; {cure}"
    return f"can't be decoded: {otherwise.splitlines()[0] if otherwise else 'no reason given'}"
