"""A virtual camera over real footage: it pans, zooms, rolls or stands still, and its moves are the classes.

The footage is of Pose2Sim's demonstration (Pagnon et al. 2021): two takes in a gym, each filmed by four cameras. A
class is a camera's view and a move. One take is learned from, the other tested on. A single frame says nothing about
the move, since where the camera is at a frame has the same distribution under every move; the move says nothing about
the view: the footage is played forwards or backwards, mirrored or not, and seen at any angle, at random, or the shapes
of what moves by itself and of what has no texture would give it away.
"""

from pathlib import Path

import cv2
import numpy as np

from retinue.data.decoding.clip_file import Clip
from retinue.data.storage.atomic_files import atomic_path
from retinue.pipeline.demos.assets import package_data

VIEWS = ("view 1", "view 2", "view 3", "view 4")
TAKES = {"train": "Demo_SinglePerson", "test": "Demo_MultiPerson"}
MOVES = ("still", "pan left", "pan right", "zoom in", "zoom out", "roll left", "roll right")
EACH = {"train": 30, "test": 8}  # clips of each class
SIZE, FRAMES, RATE = (128, 170), 16, 15  # of a clip: height and width, frames, frames a second
FOOTAGE = (576, 324)  # height and width that the footage is looked at in
WIDTH = 210  # footage pixels that the camera sees from left to right, when it is neither near nor far
LAST_START = 10  # frame; a stack of five fields starts at it or before
SLOWEST, FASTEST = 0.5, 1.0
SPEEDS = {"pan": 3.0, "zoom": 0.025, "roll": 2.0}  # pixels, share and degrees a frame at the fastest


def camera_clips(folder):
    """Fetch the footage, once, and write `folder/<split>/<view>, <move>/*.avi`. Returns `folder`.

    Raises RetinueError when the package can't be fetched.
    """
    footage = package_data(
        "pose2sim",
        "0.10.49",
        "Pose2Sim",
        "8 clips of two takes in a gym, 51 MB",
        "BSD-3-Clause",
    )
    for split, take in TAKES.items():
        for number, view in enumerate(VIEWS, 1):
            frames = _read(footage / take / "videos" / f"cam{number:02d}.mp4")
            write_clips(Path(folder) / split, view, frames, EACH[split], seed=[number, len(split)])
    return folder


def write_clips(folder, view, footage, each, seed):
    """Write `each` clips of every move over `footage`, a list of uint8 `[h, w, 3]`."""
    random = np.random.default_rng(seed)
    for move in MOVES:
        for number in range(each):
            _write(Path(folder) / f"{view}, {move}" / f"{number:02d}.avi", film(footage, move, random))


def film(footage, move, random):
    """The frames that the camera takes of `footage` under `move`: a list of `FRAMES` uint8 `[128, 170, 3]`."""
    first = int(random.integers(0, len(footage) - FRAMES + 1))
    pictures = footage[first : first + FRAMES][:: random.choice([-1, 1])]
    if random.random() < 0.5:
        pictures = [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
    path = _path(move, random) + [0, 0, random.uniform(-180, 180)]
    height, width = pictures[0].shape[:2]
    around = [random.uniform(0.42, 0.58) * width, random.uniform(0.3, 0.7) * height]
    return [_look(picture, around, *path[frame]) for frame, picture in enumerate(pictures)]


def _path(move, random):
    """(pan in output pixels, zoom as a factor's logarithm, roll in degrees) of each frame.

    What doesn't move stands where it would be at a random start, had it moved: so no frame betrays the move.
    """
    frames = np.arange(FRAMES) - LAST_START / 2
    kind, _, way = move.partition(" ")
    columns = []
    for name, fastest in SPEEDS.items():
        speed = random.uniform(SLOWEST, FASTEST) * fastest
        if name == kind:
            columns.append((speed if way in ("right", "in") else -speed) * frames)
        else:
            columns.append(np.full(FRAMES, random.choice([-1, 1]) * speed * random.choice(frames[: LAST_START + 1])))
    return np.stack(columns, axis=1)


def _look(picture, around, pan, zoom, roll):
    """What the camera sees: a turned and scaled window of the picture; beyond its edge the picture is mirrored."""
    scale = SIZE[1] / WIDTH * np.exp(zoom)
    turn = cv2.getRotationMatrix2D(tuple(around), roll, scale)
    turn[:, 2] += [SIZE[1] / 2 - around[0] - pan, SIZE[0] / 2 - around[1]]
    return cv2.warpAffine(picture, turn, (SIZE[1], SIZE[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _read(file):
    frames = []
    with Clip(file) as clip:
        while (frame := clip.read(FOOTAGE)) is not None:
            frames.append(frame)
    return frames


def _write(path, frames):
    """Motion JPEG: every frame by itself, so that the coding knows nothing of the motion."""
    with atomic_path(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*"MJPG"), RATE, (SIZE[1], SIZE[0]))
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()
