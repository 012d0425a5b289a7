"""Pictures with their predictions drawn on them, written beside the lines."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.decoding.decode import decode_image
from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.file_names import looks_like_image
from retinue.pipeline.inputs.remote_files import picture_bytes

AHEAD = 16  # pictures that are being drawn at a time; bounds the memory
LONGEST = 4096  # pixels; a larger picture is made smaller after drawing
QUALITY = 90


def with_overlays(predicted, task, folder):
    """Pass results on in their order, each after its overlay is written."""
    waiting = deque()
    pool = ThreadPoolExecutor(usable_cores(), "overlay")
    try:
        for result in predicted:
            waiting.append((result, None if result.reason else pool.submit(_write_overlay, result, task, folder)))
            if len(waiting) > AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(result, overlay):
    if overlay:
        overlay.result()
    return result


def _write_overlay(result, task, folder):
    """`folder/<path of the file>.jpg`. A file that vanished meanwhile has no overlay."""
    try:
        image = decode_image(tf.constant(picture_bytes(result.file))).numpy()
    except (OSError, tf.errors.OpError):
        return
    picture = cv2.cvtColor(task.draw(image, result.prediction), cv2.COLOR_RGB2BGR)
    shrink = LONGEST / max(picture.shape[:2])
    if shrink < 1:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    path = folder / _name(Path(result.file))
    try:
        atomic_write(path, cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    except OSError as error:
        raise RetinueError(
            f"{path}: can't be written ({error.strerror}); make room, or leave --overlay away"
        ) from error


def _name(file):
    """The file's path as one below a folder, ending in .jpg, another one for every file with an image's ending.

    The root becomes "_root" and ".." becomes "_parent"; .jpg is added to what has it not, and to names as "a.png.jpg",
    which is what "a.png" gets.
    """
    parts = ["_root" if part == file.anchor else "_parent" if part == ".." else part for part in file.parts]
    name = os.path.join(*parts)
    stem, suffix = os.path.splitext(name)
    return name if suffix.lower() in (".jpg", ".jpeg") and not looks_like_image(stem) else f"{name}.jpg"
