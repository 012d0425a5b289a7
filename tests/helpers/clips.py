"""Tiny clips for the tests: textures of two colors that drift left or right, one folder per class."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

SMALL = {  # configuration of a job on such clips: a model and frames that train in seconds
    "task": "video",
    "model__weights": "none",
    "model__backbone": "lenet5",
    "model__input_size": 32,
    "video__frame_size": [36, 48],
    "video__flow_length": 3,
    "video__flow_bound": 4.0,
    "video__test_segments": 2,
    "train__batch_size": 4,
    "data__val_fraction": 0.25,
}
COLORS = {"blue": (60, 90, 190), "red": (190, 90, 60)}  # RGB
MOTIONS = {"left": -2, "right": 2}  # pixels per frame


def moving_frames(
    seed: int,
    step: int,
    count: int = 8,
    size: tuple[int, int] = (48, 64),
    color: tuple[int, int, int] = (128, 128, 128),
) -> list[np.ndarray]:
    """Draw a texture that drifts horizontally.

    Args:
        seed: of the texture.
        step: pixels per frame; positive to the right.
        count: number of frames.
        size: (height, width) in pixels.
        color: mean RGB color.

    Returns:
        uint8 [h, w, 3] per frame, RGB.
    """
    random = np.random.default_rng(seed)
    width = size[1] + abs(step) * count
    coarse = random.normal(0, 45, (size[0] // 4, width // 4, 1)).astype(np.float32)
    texture = cv2.resize(coarse, (width, size[0]), interpolation=cv2.INTER_CUBIC)[..., None]
    strip = np.clip(texture + np.array(color, np.float32), 0, 255).astype(np.uint8)
    starts = [(count - index if step > 0 else index) * abs(step) for index in range(count)]
    return [strip[:, start : start + size[1]].copy() for start in starts]


def write_video(path: str | Path, frames: Sequence[np.ndarray], frame_rate: float = 10.0, codec: str = "MJPG") -> Path:
    """Write RGB frames as a video file; its folder is created.

    Args:
        path: the file.
        frames: uint8 [h, w, 3] per frame, RGB.
        frame_rate: frames per second.
        codec: four characters.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), frame_rate, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def make_clips(folder: str | Path, clips_per_class: int = 4, count: int = 8) -> Path:
    """Write class folders "blue left", "blue right", "red left" and "red right".

    Args:
        folder: where to write them.
        clips_per_class: clips in each folder.
        count: frames of each clip.

    Returns:
        The folder.
    """
    for color_index, (color, rgb) in enumerate(COLORS.items()):
        for motion_index, (motion, step) in enumerate(MOTIONS.items()):
            for number in range(clips_per_class):
                seed = 100 * color_index + 10 * motion_index + number
                frames = moving_frames(seed, step, count, color=rgb)
                write_video(Path(folder) / f"{color} {motion}" / f"{number}.avi", frames)
    return Path(folder)
