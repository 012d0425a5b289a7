"""What the check knows of a file: an `ImageInfo` or a `ClipInfo` of `data.decoding`."""

from typing import Protocol

from retinue.data.decoding import orientation
from retinue.data.decoding.file_problem import Problem


class FileInfo(Protocol):
    """The fields that `ImageInfo` and `ClipInfo` share. See `data.decoding.image_file.ImageInfo` for their meaning."""

    @property
    def format(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def mode(self) -> str: ...
    @property
    def orientation(self) -> int: ...
    @property
    def file_size(self) -> int: ...
    @property
    def problem(self) -> Problem | None: ...
    @property
    def remarks(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def content_id(self) -> str: ...


def upright_size(file: FileInfo) -> tuple[int, int]:
    """Return height and width in pixels of the upright image, as people see it."""
    return orientation.upright_size(file.height, file.width, file.orientation)
