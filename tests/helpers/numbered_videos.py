"""Videos of every container, codec and frame rate, whose frames tell their own number."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 10


def draw(number: int, width: int = 80, height: int = 48) -> np.ndarray:
    """Draw a number in binary: ten columns, black or white. The top left quarter of the image is red instead."""
    frame = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        left, right = (side * width // BITS for side in (bit, bit + 1))
        frame[:, left:right] = 255 * (number >> bit & 1)
    frame[: height // 2, : width // 2] = (250, 30, 30)
    return frame


def number_of(frame: np.ndarray) -> int:
    """Return the number that was drawn."""
    height, width = frame.shape[:2]
    columns = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(int(frame[3 * height // 4, column].mean() > 128) << bit for bit, column in enumerate(columns))


def write_numbers(
    path: Path,
    count: int,
    codec: str = "libx264",
    *,
    times: Sequence[int] | None = None,
    pixels: str = "yuv420p",
    size: tuple[int, int] = (80, 48),
    rotation: int = 0,
    **options: object,
) -> Path:
    """Write the drawn numbers 0, 1, ... as a video.

    Args:
        path: the file; its ending is that of the container.
        count: the number of frames.
        codec: the name of FFmpeg's encoder.
        times: the milliseconds at which the frames are shown, or None for 25 frames per second.
        pixels: the pixel format.
        size: width and height in pixels.
        rotation: degrees by which a player turns the frames counterclockwise.
        **options: options of the encoder.
    """
    container_format = {"m2ts": "mpegts", "mts": "mpegts"}.get(path.suffix[1:])
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=25, options={name: str(value) for name, value in options.items()})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = Fraction(1, 1000) if times else Fraction(1, 25)
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(draw(number, *size), format="rgb24")
            frame.pts = times[number] if times else number
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
