"""OpenCV kept from printing what retinue reports by itself: damaged images, and videos that can't be opened."""

import contextlib
import os
import threading
from collections.abc import Iterator

from retinue.configs.process_state import SharedContext, environment_variable

FFMPEG_LOG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
_ffmpeg_lock = threading.Lock()
_ffmpeg_has_read_it = False


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    import cv2

    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


opencv_quiet = SharedContext(_silent)


@contextlib.contextmanager
def ffmpeg_quiet() -> Iterator[None]:
    """Open a video within this context, or FFmpeg writes of every damaged packet; the check counts them.

    OpenCV reads how much FFmpeg may write from an environment variable, once, when the process opens its first video.
    """
    global _ffmpeg_has_read_it
    if _ffmpeg_has_read_it:
        yield
        return
    with _ffmpeg_lock:
        chosen = FFMPEG_LOG_LEVEL in os.environ
        with contextlib.nullcontext() if chosen else environment_variable(FFMPEG_LOG_LEVEL, "-8"):
            yield
        _ffmpeg_has_read_it = True
