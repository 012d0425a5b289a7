"""Flow on disk: one file a clip, with a grey PNG for each field and what it was made with beside them.

`<content id>.flow.zip` holds `000000.png`, ... (uint8 `[2 h, w]`, x above y, as `flow.to_bytes` keeps them) and
`flow.json`. A clip is known by its content, so that its flow is found wherever it is moved to. No TensorFlow.
"""

import json
import os
import zipfile

import cv2
import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.decoding.clip_file import Clip
from retinue.data.decoding.opencv import opencv_quiet
from retinue.data.storage.atomic_files import atomic_path
from retinue.data.storage.content import clip_id
from retinue.tasks.video import flow

ENDING = ".flow.zip"
PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def flow_file(folder, path):
    """Where the flow of the clip at `path` is in `folder`."""
    return os.path.join(folder, clip_id(path) + ENDING)


def write(folder, path, method="dis", bound=20.0, size=None):
    """Compute the flow of a whole clip and write it, whole or not at all. Returns how many fields it has.

    size: (height, width) that the frames are resized to before, None for their own. Memory holds two frames.
    Raises RetinueError when the clip can't be read or has no frames.
    """
    target = flow_file(folder, path)
    with Clip(path) as clip, atomic_path(target) as temporary:
        before, count = None, 0
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            while (frame := clip.read(size)) is not None:
                now = flow.grey(frame)
                if before is not None:
                    levels = flow.to_bytes(flow.compute(before, now, method), bound)
                    archive.writestr(f"{count:06d}.png", _to_png(levels))
                    count += 1
                before = now
            if before is None:
                raise RetinueError(f"{path}: gives no frame")
            height, width = before.shape
            described = {"method": method, "bound": bound, "height": height, "width": width, "fields": count}
            archive.writestr("flow.json", json.dumps(described | {"opencv": cv2.__version__}))
    return count


def describe(file):
    """What `flow.json` in a file of flow says, or None where the file is not whole."""
    try:
        with zipfile.ZipFile(file) as archive:
            described = json.loads(archive.read("flow.json"))
            return described if len(archive.namelist()) == described["fields"] + 1 else None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError):
        return None


def open_flow(folder, path, method, bound, size):
    """The `StoredFlow` of a clip, which must have been made with `method` and `bound` at `size`; None where `folder`
    has none, or not a whole one. Raises UsageError when it was made otherwise."""
    file = flow_file(folder, path)
    described = describe(file)
    if described is None:
        return None
    made = words(described["method"], described["bound"], (described["height"], described["width"]))
    wanted = words(method, bound, size)
    if made != wanted:
        raise UsageError(
            f"{path}: its flow in {folder} was made with {made}; {wanted} is wanted. Make flow so in another folder"
        )
    return StoredFlow(file, described["fields"])


class StoredFlow:
    """The flow of one clip on disk, `fields` fields."""

    def __init__(self, file, fields):
        self.file, self.fields = file, fields

    def read(self, number):
        """Field `number`, or the last one, as `flow.to_bytes` keeps it: uint8 `[h, w, 2]`. Raises RetinueError."""
        try:
            with zipfile.ZipFile(self.file) as archive:
                return _from_png(archive.read(f"{min(number, self.fields - 1):06d}.png"))
        except (OSError, zipfile.BadZipFile, KeyError, cv2.error) as error:
            raise RetinueError(f"{self.file}: damaged ({error}); delete it and run `retinue flow` again") from error


def words(method, bound, size):
    """What flow is made with, in words."""
    return f"{method}, bound {bound:g} pixels, frames of {size[0]} x {size[1]}"


def _to_png(levels):
    return cv2.imencode(".png", np.concatenate([levels[..., 0], levels[..., 1]]), PNG)[1].tobytes()


def _from_png(content):
    with opencv_quiet:
        both = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    half = len(both) // 2
    return np.stack([both[:half], both[half:]], axis=-1)
