"""Optical flow: computing it, keeping it in 8 bits, mirroring, resizing and drawing it. No TensorFlow.

A field is float32 `[height, width, 2]`: how far each pixel of one frame has moved in the next, in pixels, x then y.
"""

import threading

import cv2
import numpy as np

from retinue.configs.errors import UsageError

METHODS = ("dis", "farneback", "tvl1")
SMALLEST = 16  # pixels of a frame's side; smaller frames are enlarged for the computation
_own = threading.local()  # OpenCV's flow objects hold buffers: one of each for every thread


def grey(frame):
    """RGB uint8 `[h, w, 3]` -> grey uint8 `[h, w]`."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def compute(first, second, method="dis"):
    """The field from one grey frame to the next.

    first, second: uint8 `[h, w]`. method: "dis" (Kroeger et al. 2016, OpenCV's medium preset), "farneback" (2003) or
    "tvl1" (Zach et al. 2007; needs opencv-contrib). Raises UsageError for a method that is not there.
    """
    height, width = first.shape
    if min(height, width) < SMALLEST:
        factor = -(-SMALLEST // min(height, width))
        larger = [cv2.resize(frame, (width * factor, height * factor)) for frame in (first, second)]
        return resize_field(compute(*larger, method), (height, width))
    if method == "farneback":
        return cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return _engine(method).calc(first, second, None)


def refuse_missing(method):
    """Raise UsageError when `method` is unknown or not installed."""
    if method not in METHODS:
        raise UsageError(f"flow method {method}: unknown; use one of {', '.join(METHODS)}")
    if method == "tvl1" and not hasattr(cv2, "optflow"):
        raise UsageError(
            "flow method tvl1: is in OpenCV's contrib modules only; pip uninstall opencv-python-headless, then "
            "pip install opencv-contrib-python-headless, or use dis"
        )


def _engine(method):
    engines = _own.__dict__.setdefault("engines", {})
    if method not in engines:
        refuse_missing(method)
        if method == "dis":
            engines[method] = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        else:
            engines[method] = cv2.optflow.createOptFlow_DualTVL1()
    return engines[method]


def to_bytes(field, bound):
    """Keep a field in 8 bits: -bound..bound pixels become 0..255, what is beyond is clipped.

    Still is 127.5 and becomes 128; the error is at most half a level, 0.078 pixels for a bound of 20. Returns uint8 of
    the same shape.
    """
    return np.rint((np.clip(field, -bound, bound) + bound) * (255.0 / (2 * bound))).astype(np.uint8)


def from_bytes(levels, bound):
    """The field, float32, that `to_bytes` kept."""
    return (levels.astype(np.float32) - np.float32(127.5)) * np.float32(2 * bound / 255.0)


def mirror(field):
    """The field of the mirrored frames: turned left to right, and x negated. float `[..., h, w, 2]`."""
    return field[..., ::-1, :] * np.float32([-1, 1])


def resize_field(field, size):
    """The field of the resized frames: values are scaled with the sides. size: (height, width)."""
    height, width = field.shape[:2]
    if (height, width) == tuple(size):
        return field
    shrinks = size[0] <= height and size[1] <= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(field, (size[1], size[0]), interpolation=method)
    return small * np.float32([size[1] / width, size[0] / height])


def warp_back(second, field):
    """Undo a field: the second frame, uint8 `[h, w]` or `[h, w, 3]`, as it looks from the first one's time."""
    height, width = field.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(second, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def draw(field, largest=None):
    """A field in colours: the hue is the direction, white is still, full colour is `largest` pixels (by default the
    field's 99th percentile, at least 1). After the colour wheel of Baker et al. 2011. uint8 `[h, w, 3]`, RGB."""
    length = np.hypot(field[..., 0], field[..., 1])
    if largest is None:
        largest = max(1.0, float(np.percentile(length, 99)))
    direction = np.arctan2(field[..., 1], field[..., 0]) % (2 * np.pi)
    hue = np.rint(direction * (180 / (2 * np.pi))).astype(np.uint8) % 180  # OpenCV's hue goes to 180
    saturation = np.rint(255 * np.minimum(length / largest, 1)).astype(np.uint8)
    value = np.full_like(hue, 255)
    return cv2.cvtColor(np.stack([hue, saturation, value], axis=-1), cv2.COLOR_HSV2RGB)


def wheel(side=64):
    """The legend of `draw`: a disk on which every place has the colour of the motion from the middle to there."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    picture = draw(np.stack([x, y], axis=-1), 1.0)
    picture[np.hypot(x, y) > 1] = 255
    return picture
