"""A contact sheet of clips: the middle frame of some clips of every class."""

from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.checking.contact_sheet import contact_sheet
from retinue.data.decoding.clip_file import Clip, read_frames, span


def clip_sheet(dataset):
    """As `contact_sheet`, of a `Dataset` for video."""

    def tile(row, side):
        picture = middle_frame(dataset.files[row], *(float(dataset.columns[name][row]) for name in ("start", "end")))
        picture.thumbnail((side, side))
        return picture

    return contact_sheet(dataset, tile)


def middle_frame(path, start=0.0, end=0.0):
    """The middle frame of a clip, or of its part in seconds, as a PIL image; a grey one where it can't be read."""
    try:
        with Clip(path) as clip:
            first, count = span(clip, start, end)
        frames, ended = read_frames(path, [count // 2], first)
        if ended:
            frames, _ = read_frames(path, [ended // 2], first)
        return Image.fromarray(frames[max(frames)])
    except (RetinueError, ValueError):
        return Image.new("RGB", (160, 120), "lightgrey")
