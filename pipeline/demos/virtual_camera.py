"""A virtual camera over real footage: it pans, zooms, rolls or stands still, and its moves are the classes.

The footage is that of Pose2Sim's demonstration (Pagnon et al. 2021): two takes in a gym, each filmed by four cameras. A
class is a camera's view and a move. One take is for training, the other one for testing. A single frame does not reveal
the move, because the position of the camera at a frame has the same distribution under every move. The move does not
reveal the view either: the footage is played forwards or backwards, mirrored or not, and rotated by any angle, at
random. Otherwise the shapes of what moves by itself and of what has no texture would reveal it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from retinue.data.decoding.clip_file import Clip
from retinue.data.storage.atomic_files import atomic_path
from retinue.pipeline.demos.assets import download_package_data

VIEWS = ("view 1", "view 2", "view 3", "view 4")
TAKES = {"train": "Demo_SinglePerson", "test": "Demo_MultiPerson"}
MOVES = ("still", "pan left", "pan right", "zoom in", "zoom out", "roll left", "roll right")
CLIPS_PER_CLASS = {"train": 30, "test": 8}
CLIP_SIZE = (128, 170)  # height and width in pixels
CLIP_FRAMES = 16
FRAME_RATE = 15  # frames per second
FOOTAGE_SIZE = (576, 324)  # height and width in pixels at which the footage is read
VIEW_WIDTH = 210  # pixels of the footage from left to right in a clip, at zoom 0
LAST_START = 10  # the last frame at which a stack of five flow fields starts
MIN_SPEED, MAX_SPEED = 0.5, 1.0  # fractions of the speeds below
SPEEDS = {"pan": 3.0, "zoom": 0.025, "roll": 2.0}  # pixels, logarithm of the scale, and degrees per frame


def camera_clips(folder: str | os.PathLike[str]) -> Path:
    """Download the footage once, and write `folder/<split>/<view>, <move>/*.avi`.

    Returns:
        `folder`.

    Raises:
        RetinueError: The package could not be downloaded.
    """
    footage = download_package_data(
        "pose2sim",
        "0.10.49",
        "Pose2Sim",
        "8 clips of two takes in a gym, 51 MB",
        "BSD-3-Clause",
    )
    for split, take in TAKES.items():
        for number, view in enumerate(VIEWS, 1):
            frames = _read(footage / take / "videos" / f"cam{number:02d}.mp4")
            write_clips(Path(folder) / split, view, frames, CLIPS_PER_CLASS[split], seed=[number, len(split)])
    return Path(folder)


def write_clips(
    folder: str | os.PathLike[str],
    view: str,
    footage: Sequence[np.ndarray],
    clips_per_class: int,
    seed: int | Sequence[int],
) -> None:
    """Write clips of every move over the footage of one view.

    Args:
        folder: The folder of the split; a class folder is made for each move.
        view: Name of the view.
        footage: Frames uint8 `[h, w, 3]`.
        clips_per_class: Number of clips of every move.
        seed: Seed of the moves.
    """
    random = np.random.default_rng(seed)
    for move in MOVES:
        for number in range(clips_per_class):
            _write(Path(folder) / f"{view}, {move}" / f"{number:02d}.avi", film(footage, move, random))


def film(footage: Sequence[np.ndarray], move: str, random: np.random.Generator) -> list[np.ndarray]:
    """Film the footage with the virtual camera.

    Args:
        footage: Frames uint8 `[h, w, 3]`.
        move: One of `MOVES`.
        random: Source of randomness.

    Returns:
        `CLIP_FRAMES` frames uint8 `[128, 170, 3]`.
    """
    first = int(random.integers(0, len(footage) - CLIP_FRAMES + 1))
    frames = footage[first : first + CLIP_FRAMES][:: random.choice([-1, 1])]
    if random.random() < 0.5:
        frames = [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]
    path = _camera_path(move, random) + [0, 0, random.uniform(-180, 180)]
    height, width = frames[0].shape[:2]
    center = random.uniform(0.42, 0.58) * width, random.uniform(0.3, 0.7) * height
    return [_view(frame, center, *path[index]) for index, frame in enumerate(frames)]


def _camera_path(move: str, random: np.random.Generator) -> np.ndarray:
    """Draw the position of the camera at each frame.

    A position is the pan in output pixels, the zoom as the logarithm of the scale, and the roll in degrees.

    A coordinate that does not move has the value that it would have at a random frame if it moved, so that no frame
    reveals the move.
    """
    frames = np.arange(CLIP_FRAMES) - LAST_START / 2
    kind, _, direction = move.partition(" ")
    columns = []
    for name, max_speed in SPEEDS.items():
        speed = random.uniform(MIN_SPEED, MAX_SPEED) * max_speed
        if name == kind:
            columns.append((speed if direction in ("right", "in") else -speed) * frames)
        else:
            position = random.choice([-1, 1]) * speed * random.choice(frames[: LAST_START + 1])
            columns.append(np.full(CLIP_FRAMES, position))
    return np.stack(columns, axis=1)


def _view(frame: np.ndarray, center: tuple[float, float], pan: float, zoom: float, roll: float) -> np.ndarray:
    """Render what the camera sees: a rotated and scaled window of the frame, which is mirrored beyond its edges."""
    height, width = CLIP_SIZE
    scale = width / VIEW_WIDTH * np.exp(zoom)
    matrix = cv2.getRotationMatrix2D(center, roll, scale)
    matrix[:, 2] += [width / 2 - center[0] - pan, height / 2 - center[1]]
    return cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _read(file: Path) -> list[np.ndarray]:
    frames = []
    with Clip(file) as clip:
        while (frame := clip.read(FOOTAGE_SIZE)) is not None:
            frames.append(frame)
    return frames


def _write(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write Motion JPEG, which encodes every frame by itself, so that the codec does not depend on the motion."""
    height, width = CLIP_SIZE
    with atomic_path(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"MJPG"), FRAME_RATE, (width, height))
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
