"""Writes images that belong to results in threads, while the model works on the next files."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.decoding.decode import decode_image
from retinue.data.decoding.pixel_range import PixelRange
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.inputs.remote_files import read_image_bytes
from retinue.pipeline.prediction.predictor import Result

MAX_IN_FLIGHT = 16  # images that are written at a time; this bounds the memory


def write_in_threads(results: Iterable[Result], write: Callable[[Result], None], name: str) -> Iterator[Result]:
    """Yield results in their order, each after `write` has returned for it.

    Args:
        results: the results. Those of files that could not be read are passed on without a call of `write`.
        write: function that writes the images of one result. It is called in threads.
        name: the prefix of the names of the threads.
    """
    in_flight: deque[tuple[Result, Future[None] | None]] = deque()
    pool = ThreadPoolExecutor(usable_cores(), name)
    try:
        for result in results:
            in_flight.append((result, None if result.reason else pool.submit(write, result)))
            if len(in_flight) > MAX_IN_FLIGHT:
                yield _wait(*in_flight.popleft())
        while in_flight:
            yield _wait(*in_flight.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def read_image_again(file: str, pixel_range: PixelRange | None) -> np.ndarray | None:
    """Return the pixels of a file, uint8 `[h, w, 3]`, RGB, upright, or None if the file has vanished meanwhile.

    Args:
        file: the path or the address.
        pixel_range: data.pixel_range of the model.
    """
    try:
        return decode_image(tf.constant(read_image_bytes(file, pixel_range)), pixel_range).numpy()
    except (OSError, tf.errors.OpError):
        return None


def write_jpeg(path: str | os.PathLike[str], image: np.ndarray, quality: int, option: str) -> None:
    """Write an image, uint8 `[h, w, 3]`, RGB, as a JPEG file.

    Args:
        path: the file.
        image: the pixels.
        quality: the quality of the JPEG, 0 to 100.
        option: the option of the command line that asked for the image, for the error message.

    Raises:
        RetinueError: the file can't be written.
    """
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    try:
        atomic_write(path, encoded.tobytes())
    except OSError as error:
        raise RetinueError(
            f"{path}: the file can't be written ({error.strerror}); free disk space, or run without {option}"
        ) from error


def _wait(result: Result, written: "Future[None] | None") -> Result:
    if written:
        written.result()
    return result
