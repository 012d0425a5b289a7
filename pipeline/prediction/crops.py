"""What was detected, cut out of the pictures: a file an object, in a folder a class."""

import os
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import cv2
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.configs.machine import usable_cores
from retinue.data.decoding.decode import decode_image
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.inputs.remote_files import picture_bytes
from retinue.tasks.fonts import printable

AHEAD = 16  # pictures that are being cut at a time; bounds the memory
QUALITY = 95


def with_crops(predicted, folder, threshold=0.4):
    """Pass results on in their order, each after its detections that score `threshold` or more are written to
    `folder/<class>/<path of the file>-<number>.jpg`, numbered by falling score."""
    waiting = deque()
    pool = ThreadPoolExecutor(usable_cores(), "crop")
    try:
        for result in predicted:
            waiting.append((result, None if result.reason else pool.submit(_write_crops, result, folder, threshold)))
            if len(waiting) > AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(result, crops):
    if crops:
        crops.result()
    return result


def _write_crops(result, folder, threshold):
    """A file that vanished meanwhile has no crops."""
    found = [entry for entry in result.prediction["detections"] if entry["score"] >= threshold]
    if not found:
        return
    try:
        image = decode_image(tf.constant(picture_bytes(result.file))).numpy()
    except (OSError, tf.errors.OpError):
        return
    height, width = image.shape[:2]
    for number, entry in enumerate(sorted(found, key=lambda entry: -entry["score"]), 1):
        x1, y1, x2, y2 = entry["box"]
        left, top = min(max(int(x1), 0), width - 1), min(max(int(y1), 0), height - 1)
        right, bottom = min(max(round(x2), left + 1), width), min(max(round(y2), top + 1), height)
        crop = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_RGB2BGR)
        path = os.path.join(folder, _folder_name(entry["label"]), f"{_below(result.file)}-{number}.jpg")
        try:
            atomic_write(path, cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
        except OSError as error:
            raise RetinueError(
                f"{path}: can't be written ({error.strerror}); make room, or leave crops away"
            ) from error


def _folder_name(label):
    """A class name as the name of a folder, on any system."""
    return re.sub(r"[^\w.+-]+", "-", printable(label)).strip(".") or "-"


def _below(file):
    """The file's path as one below a folder: without root, and with ".." spelled out."""
    parts = [part for part in os.path.normpath(file).split(os.sep) if part]
    return os.path.join(*("_parent" if part == os.pardir else part for part in parts))
