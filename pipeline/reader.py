"""One file to what the model takes, or the reason why not."""

import os
import stat

import tensorflow as tf
from PIL import TiffImagePlugin

from retinue.data import image_file
from retinue.data.decode import encoded_bytes


class Reader:
    """Files to what the model takes, by the task's own `read`. Called from several threads.

    Called with a path: (dict of arrays, (width, height), None), or (None, None, reason in plain words).
    """

    def __init__(self, task):
        self._max_pixels = task.config.data.max_pixels
        self._read = tf.function(task.read, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)

    def __call__(self, file):
        try:
            size = image_size(file)
            if size[0] * size[1] > self._max_pixels:
                return None, None, _reason(file, self._max_pixels, "too large")
            tensors = self._read(tf.constant(encoded_bytes(file)))
            return {name: tensor.numpy() for name, tensor in tensors.items()}, size, None
        except Exception as error:  # whatever a decoder makes of broken bytes: it is this file's reason, and no more
            return None, None, _reason(file, self._max_pixels, str(error))


def image_size(file):
    """(width, height) in pixels of an image file, upright by its EXIF, from its header.

    Raises OSError when it can't be read, ValueError when it is no image, and anything when its header is broken.
    """
    if not stat.S_ISREG(os.stat(file).st_mode):  # opening a pipe would wait for its writer
        raise ValueError("not a regular file")
    with open(file, "rb") as opened:
        form = image_file.format_of(opened.read(16))
        if not form:
            raise ValueError("no image format that is known")
        opened.seek(0)
        image = image_file.OPENERS.get(form, TiffImagePlugin.TiffImageFile)(opened)
        turned = form != "TIFF" and "exif" in image.info and image.getexif().get(image_file.ORIENTATION_TAG, 1)
        return (image.height, image.width) if turned in (5, 6, 7, 8) else (image.width, image.height)


def _reason(file, max_pixels, otherwise):
    """Why a file can't be used, in plain words."""
    bad = image_file.probe(file, max_pixels).bad
    if bad:
        kind, reason, cure = bad
        return f"{kind}: {reason}; {cure}"
    return f"can't be decoded: {otherwise.splitlines()[0] if otherwise else 'no reason given'}"
