"""Silencing OpenCV, which prints messages about damaged images and videos that retinue reports itself."""

import contextlib
import os
import threading
from collections.abc import Iterator

from retinue.configs.process_state import SharedContext, environment_variable

FFMPEG_LOG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
_ffmpeg_lock = threading.Lock()
_ffmpeg_level_is_read = False


@contextlib.contextmanager
def _silence_logging() -> Iterator[None]:
    import cv2

    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


silence_opencv = SharedContext(_silence_logging)


@contextlib.contextmanager
def silence_ffmpeg() -> Iterator[None]:
    """Keep FFmpeg from printing a line for every damaged packet of the video that is opened within this context.

    OpenCV reads the level of FFmpeg's messages from an environment variable only once, when the process opens its first
    video. A level that the user has set is kept.
    """
    global _ffmpeg_level_is_read
    if _ffmpeg_level_is_read:
        yield
        return
    with _ffmpeg_lock:
        is_set_by_user = FFMPEG_LOG_LEVEL in os.environ
        with contextlib.nullcontext() if is_set_by_user else environment_variable(FFMPEG_LOG_LEVEL, "-8"):
            yield
        _ffmpeg_level_is_read = True
