"""Tiny clips for the tests: textured squares of two colours that drift left or right, one folder a class."""

from pathlib import Path

import cv2
import numpy as np

SMALL = {  # a job on such clips: a net and frames that train in seconds
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
COLOURS = {"blue": (60, 90, 190), "red": (190, 90, 60)}  # RGB
MOTIONS = {"left": -2, "right": 2}  # pixels a frame


def moving(seed, step, count=8, size=(48, 64), colour=(128, 128, 128)):
    """A texture that drifts by `step` pixels a frame: a list of uint8 `[h, w, 3]`, RGB."""
    random = np.random.default_rng(seed)
    width = size[1] + abs(step) * count
    coarse = random.normal(0, 45, (size[0] // 4, width // 4, 1)).astype(np.float32)
    texture = cv2.resize(coarse, (width, size[0]), interpolation=cv2.INTER_CUBIC)[..., None]
    wide = np.clip(texture + np.float32(colour), 0, 255).astype(np.uint8)
    starts = [(count - place if step > 0 else place) * abs(step) for place in range(count)]
    return [wide[:, start : start + size[1]].copy() for start in starts]


def write_video(path, frames, rate=10.0, codec="MJPG"):
    """Write RGB frames as a video file; the folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def make_clips(folder, each=4, count=8):
    """Class folders "blue left", ..., of `each` clips."""
    for first, (colour, rgb) in enumerate(COLOURS.items()):
        for second, (motion, step) in enumerate(MOTIONS.items()):
            for number in range(each):
                seed = 100 * first + 10 * second + number
                frames = moving(seed, step, count, colour=rgb)
                write_video(Path(folder) / f"{colour} {motion}" / f"{number}.avi", frames)
    return Path(folder)
