"""What the check knows of a file: an `ImageFile` or a `ClipFile` of `data.decoding`."""

from typing import Protocol


class FileInfo(Protocol):
    """The fields that `ImageFile` and `ClipFile` share. See `data.decoding.image_file.ImageFile` for their meaning."""

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
    def bytes(self) -> int: ...
    @property
    def bad(self) -> tuple[str, str, str] | None: ...
    @property
    def remarks(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def content_id(self) -> str: ...


def upright_size(file: FileInfo) -> tuple[int, int]:
    """Return height and width in pixels of the upright image, as people see it."""
    return (file.width, file.height) if file.orientation >= 5 else (file.height, file.width)
