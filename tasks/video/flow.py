"""Optical flow: computing it, storing it in 8 bits, flipping, resizing and drawing it. No TensorFlow.

A flow field is float32 [height, width, 2]: how far each pixel of one frame has moved in the next one, in pixels, x then
y.
"""

import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from retinue.configs.errors import UsageError

METHODS = ("dis", "farneback", "tvl1")
MIN_SIDE = 16  # pixels of a frame's shorter side; smaller frames are enlarged for the computation
_local = threading.local()  # OpenCV's flow objects hold buffers, so every thread has its own


def to_gray(frame: np.ndarray) -> np.ndarray:
    """Convert an RGB frame, uint8 [h, w, 3], to grayscale, uint8 [h, w]."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def compute(first: np.ndarray, second: np.ndarray, method: str = "dis") -> np.ndarray:
    """Compute the flow from one grayscale frame to the next.

    Args:
        first: uint8 [h, w].
        second: uint8 [h, w].
        method: "dis" (Kroeger et al. 2016, OpenCV's medium preset), "farneback" (Farnebäck 2003) or "tvl1" (Zach et al.
            2007; needs opencv-contrib).

    Returns:
        float32 [h, w, 2], in pixels.

    Raises:
        UsageError: the method is unknown or not installed.
    """
    height, width = first.shape
    if min(height, width) < MIN_SIDE:
        factor = -(-MIN_SIDE // min(height, width))
        first, second = (cv2.resize(frame, (width * factor, height * factor)) for frame in (first, second))
        return resize(compute(first, second, method), (height, width))
    if method == "farneback":
        return cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return _flow_object(method).calc(first, second, None)


def check_method(method: str) -> None:
    """Check that a flow method is available.

    Raises:
        UsageError: the method is unknown or not installed.
    """
    if method not in METHODS:
        raise UsageError(f"flow method {method}: unknown; use one of {', '.join(METHODS)}")
    if method == "tvl1" and not hasattr(cv2, "optflow"):
        raise UsageError(
            "flow method tvl1: only OpenCV's contrib modules have it; run pip uninstall opencv-python-headless, then "
            "pip install opencv-contrib-python-headless, or use dis"
        )


def quantize(field: np.ndarray, bound: float) -> np.ndarray:
    """Store flow in 8 bits: -bound..bound becomes 0..255, and larger motion is clipped.

    No motion is 127.5 and becomes 128. The error is at most half a level, which is 0.078 pixels for a bound of 20.

    Args:
        field: float, in pixels, of any shape.
        bound: in pixels.

    Returns:
        uint8 of the same shape.
    """
    return np.rint((np.clip(field, -bound, bound) + bound) * (255.0 / (2 * bound))).astype(np.uint8)


def dequantize(levels: np.ndarray, bound: float) -> np.ndarray:
    """Convert the 8 bits of `quantize` back to flow in pixels, float32."""
    return (levels.astype(np.float32) - np.float32(127.5)) * np.float32(2 * bound / 255.0)


def flip(field: np.ndarray) -> np.ndarray:
    """Return the flow of horizontally flipped frames: float [..., h, w, 2], flipped, with x negated."""
    return field[..., ::-1, :] * np.array([-1, 1], np.float32)


def resize(field: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Return the flow of resized frames; its values are scaled with the sides.

    Args:
        field: float32 [h, w, 2], in pixels.
        size: (height, width) of the result.

    Returns:
        float32 [height, width, 2].
    """
    height, width = field.shape[:2]
    if (height, width) == tuple(size):
        return field
    shrinks = size[0] <= height and size[1] <= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(field, (size[1], size[0]), interpolation=method)
    return resized * np.array([size[1] / width, size[0] / height], np.float32)


def warp(second: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Undo the motion between two frames.

    Args:
        second: the second frame, uint8 [h, w] or [h, w, 3].
        field: float32 [h, w, 2], the flow from the first frame to the second.

    Returns:
        The second frame, warped back to the time of the first one; of the shape of `second`.
    """
    height, width = field.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(second, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def flow_to_image(field: np.ndarray, max_length: float | None = None) -> np.ndarray:
    """Draw a flow field: the hue is the direction and the saturation is the length; white is no motion.

    This is similar to the color wheel of Baker et al. 2011.

    Args:
        field: float32 [h, w, 2], in pixels.
        max_length: length in pixels that has full saturation; by default the field's 99th percentile, at least 1.

    Returns:
        uint8 [h, w, 3], RGB.
    """
    length = np.hypot(field[..., 0], field[..., 1])
    if max_length is None:
        max_length = max(1.0, float(np.percentile(length, 99)))
    direction = np.arctan2(field[..., 1], field[..., 0]) % (2 * np.pi)
    hue = np.rint(direction * (180 / (2 * np.pi))).astype(np.uint8) % 180  # OpenCV's hue ends at 180
    saturation = np.rint(255 * np.minimum(length / max_length, 1)).astype(np.uint8)
    value = np.full_like(hue, 255)
    return cv2.cvtColor(np.stack([hue, saturation, value], axis=-1), cv2.COLOR_HSV2RGB)


def color_wheel(side: int = 64) -> np.ndarray:
    """Draw the legend of `flow_to_image`: each point of a disk has the color of the motion from the center to it.

    Args:
        side: of the image in pixels.

    Returns:
        uint8 [side, side, 3], RGB; white outside of the disk.
    """
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    image = flow_to_image(np.stack([x, y], axis=-1), 1.0)
    image[np.hypot(x, y) > 1] = 255
    return image


def _flow_object(method: str) -> Any:
    """Return this thread's OpenCV object for a method."""
    objects = _local.__dict__.setdefault("objects", {})
    if method not in objects:
        check_method(method)
        if method == "dis":
            objects[method] = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        else:
            # OpenCV's type stubs are those of the build without contrib modules.
            objects[method] = cv2.optflow.createOptFlow_DualTVL1()  # type: ignore[attr-defined]
    return objects[method]
