"""Stores optical flow on disk: one file per clip, with a grayscale PNG per field and the settings that made it.

`<content id>.flow.zip` holds `000000.png`, ... (uint8 [2 h, w], x above y, as `flow.quantize` returns them) and
`flow.json`. A clip is identified by its content, so its flow is found wherever the clip is moved to. This module does
not import TensorFlow.
"""

import json
import os
import zipfile
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.clip_file import Clip
from retinue.data.decoding.opencv import silence_opencv
from retinue.data.storage.atomic_files import atomic_path
from retinue.data.storage.content import clip_id
from retinue.tasks.video import flow

SUFFIX = ".flow.zip"
PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def flow_file(folder: str | os.PathLike[str], path: str | os.PathLike[str]) -> str:
    """Return the path of the flow file in `folder` of the clip at `path`."""
    return os.path.join(folder, clip_id(os.fspath(path)) + SUFFIX)


def write_flow(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    method: str = "dis",
    bound: float = 20.0,
    size: tuple[int, int] | None = None,
) -> int:
    """Compute the flow of a whole clip and write it atomically. Two frames are in memory at a time.

    Args:
        folder: the folder to write to.
        path: the clip.
        method: how flow is computed, see `flow.compute`.
        bound: motion in pixels that 8 bits represent, see `flow.quantize`.
        size: (height, width) in pixels that the frames are resized to first, or None for their own size.

    Returns:
        The number of flow fields.

    Raises:
        RetinueError: the clip can't be read, or has no frames.
    """
    target = flow_file(folder, path)
    with Clip(path) as clip, atomic_path(target) as temporary:
        previous, count = None, 0
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            while (frame := clip.read(size)) is not None:
                current = flow.to_gray(frame)
                if previous is not None:
                    levels = flow.quantize(flow.compute(previous, current, method), bound)
                    archive.writestr(f"{count:06d}.png", _to_png(levels))
                    count += 1
                previous = current
            if previous is None:
                raise RetinueError(f"{path}: the clip has no frame that can be decoded; remove it, or replace the file")
            height, width = previous.shape
            description = {"method": method, "bound": bound, "height": height, "width": width, "fields": count}
            archive.writestr("flow.json", json.dumps(description | {"opencv": cv2.__version__}))
    return count


def read_description(file: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Read `flow.json` of a flow file: method, bound, height, width, fields and opencv; None if it is incomplete."""
    try:
        with zipfile.ZipFile(file) as archive:
            description = json.loads(archive.read("flow.json"))
            return description if len(archive.namelist()) == description["fields"] + 1 else None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return None


class StoredFlow:
    """The stored flow of one clip.

    Attributes:
        file: path of the flow file.
        num_fields: number of flow fields.
    """

    def __init__(self, file: str, num_fields: int) -> None:
        """Refer to a flow file that `read_description` accepts."""
        self.file, self.num_fields = file, num_fields

    def read(self, index: int) -> np.ndarray:
        """Read one field, or the last one if the clip has fewer.

        Args:
            index: of the field.

        Returns:
            uint8 [h, w, 2], as `flow.quantize` returns it.

        Raises:
            RetinueError: the file is damaged.
        """
        try:
            with zipfile.ZipFile(self.file) as archive:
                return _from_png(archive.read(f"{min(index, self.num_fields - 1):06d}.png"))
        except (OSError, zipfile.BadZipFile, KeyError, ValueError, cv2.error) as error:
            raise RetinueError(
                f"{self.file}: the flow file is damaged ({error}); delete it and run `retinue flow` again"
            ) from error


def open_flow(
    folder: str | os.PathLike[str], path: str | os.PathLike[str], method: str, bound: float, size: Sequence[int]
) -> StoredFlow | None:
    """Open the stored flow of a clip.

    Args:
        folder: a folder that `retinue flow` wrote.
        path: the clip.
        method: how the flow must have been computed.
        bound: motion in pixels that 8 bits must represent.
        size: (height, width) in pixels that the frames must have had.

    Returns:
        The `StoredFlow`, or None if the folder has none, or an incomplete file.

    Raises:
        UsageError: the flow was made with other settings.
    """
    file = flow_file(folder, path)
    description = read_description(file)
    if description is None:
        return None
    actual = format_settings(description["method"], description["bound"], (description["height"], description["width"]))
    wanted = format_settings(method, bound, size)
    if actual != wanted:
        raise UsageError(
            f"{path}: its flow in {folder} was made with {actual}, but the configuration asks for {wanted}. Run "
            "`retinue flow` with these settings and another folder"
        )
    return StoredFlow(file, description["fields"])


def format_settings(method: str, bound: float, size: Sequence[int]) -> str:
    """Describe the settings of stored flow: "dis, bound 20 pixels, frames of 256 x 340"."""
    return f"{method}, bound {bound:g} pixels, frames of {size[0]} x {size[1]}"


def _to_png(levels: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.concatenate([levels[..., 0], levels[..., 1]]), PNG_OPTIONS)[1].tobytes()


def _from_png(content: bytes) -> np.ndarray:
    with silence_opencv:
        stacked = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if stacked is None:
        raise ValueError("a PNG in it can't be decoded")
    half = len(stacked) // 2
    return np.stack([stacked[:half], stacked[half:]], axis=-1)
