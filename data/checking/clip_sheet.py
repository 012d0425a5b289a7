"""A contact sheet of clips: the middle frame of some clips of every class."""

from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.checking.contact_sheet import contact_sheet
from retinue.data.dataset import Dataset
from retinue.data.decoding.clip_file import Clip, frame_range, read_frames


def clip_sheet(dataset: Dataset) -> Image.Image:
    """Draw some clips of every class, as `contact_sheet` does.

    Args:
        dataset: A dataset for video.
    """

    def draw_tile(row: int, side: int) -> Image.Image:
        start, end = (float(dataset.columns[name][row]) for name in ("start", "end"))
        image = middle_frame(dataset.files[row], start, end)
        image.thumbnail((side, side))
        return image

    return contact_sheet(dataset, draw_tile=draw_tile)


def middle_frame(path: str, start: float = 0.0, end: float = 0.0) -> Image.Image:
    """Return the middle frame of a clip.

    Args:
        path: The video, or the folder of frames.
        start: Start of the clip in seconds.
        end: End of the clip in seconds; 0 is the end of the video.

    Returns:
        The frame; a gray image where it can't be read.
    """
    try:
        with Clip(path) as clip:
            first, count = frame_range(clip, start, end)
        frames, ended = read_frames(path, [count // 2], first)
        if ended:
            frames, _ = read_frames(path, [ended // 2], first)
        return Image.fromarray(frames[max(frames)])
    except (RetinueError, ValueError):
        return Image.new("RGB", (160, 120), "lightgrey")
