"""Empty files, which are enough for readers that look at names."""

from pathlib import Path


def make(folder: Path, *names: str) -> Path:
    """Make empty files of these names, relative to `folder`, and return it."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder
