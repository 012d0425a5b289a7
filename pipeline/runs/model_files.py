"""The files that make a model: their fingerprint wherever they lie, and their transport to another machine."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.scratch import scratch_folder

EXPORTED = ("saved_model.pb", "model.xml", "model.bin", "model.onnx", "model.tflite")
# The files that determine the outputs of a model.
DECISIVE = ("config.yaml", "classes.json", "best.weights.h5", *EXPORTED)
# The files that tell how it was made, and what else its numbers need.
SUPPLEMENTARY = ("run.json", "export.json", "bf16.npz")


def fingerprint(folder: str | os.PathLike[str]) -> str:
    """Return a hash of the files that determine the outputs of a model, equal wherever the folder is copied to."""
    folder, digest = Path(folder), hashlib.sha256()
    for path in _decisive_files(folder):
        with open(path, "rb") as opened:
            digest.update(path.name.encode() + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


def model_bytes(folder: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return the content of all files that are needed to run the model of a run or an export, by relative path."""
    folder = Path(folder)
    supplementary = [folder / name for name in SUPPLEMENTARY if (folder / name).is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in [*_decisive_files(folder), *supplementary]
    }


@contextlib.contextmanager
def model_folder(
    folder: str | os.PathLike[str],
    expected: str,
    get_bytes: Callable[[], Mapping[str, bytes]],
    base: str | os.PathLike[str] | None = None,
) -> Iterator[Path]:
    """Yield a folder with the model of a fingerprint: `folder` if it is that model, else a temporary copy.

    Args:
        folder: where the model lies on the machine that asked for it.
        expected: the fingerprint.
        get_bytes: function that returns what `model_bytes` returned there.
        base: the folder in which to make the copy; by default that of temporary files.
    """
    folder = Path(folder)
    if folder.is_dir() and fingerprint(folder) == expected:
        yield folder
        return
    with scratch_folder(base) as copy:
        for name, content in get_bytes().items():
            atomic_write(copy / name, content)
        yield copy


def _decisive_files(folder: Path) -> list[Path]:
    paths = [folder / name for name in DECISIVE] + sorted(folder.glob("variables/*"))
    return [path for path in paths if path.is_file()]
