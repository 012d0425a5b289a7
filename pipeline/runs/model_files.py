"""The files that make a model: known by a hash wherever they are, and carried to another machine."""

import contextlib
import hashlib
from pathlib import Path

from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.scratch import scratch_folder

EXPORTED = ("saved_model.pb", "model.xml", "model.bin", "model.onnx", "model.tflite")
DECISIVE = ("config.yaml", "classes.json", "best.weights.h5", *EXPORTED)
BESIDE = ("run.json", "export.json", "bf16.npz")  # tell how it was made, and what else its numbers need


def fingerprint(folder):
    """A hash of the files that decide what a model says, the same wherever the folder is copied to."""
    folder, digest = Path(folder), hashlib.sha256()
    for path in _decisive(folder):
        with open(path, "rb") as opened:
            digest.update(path.name.encode() + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


def model_bytes(folder):
    """{path in the folder: bytes} of all that is needed to run the model of a run or an export."""
    folder = Path(folder)
    beside = [folder / name for name in BESIDE if (folder / name).is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in [*_decisive(folder), *beside]}


@contextlib.contextmanager
def model_folder(folder, mark, get_bytes, base=None):
    """Give a folder (Path) with the model of the fingerprint `mark`: `folder` where it is that model, else a copy.

    get_bytes: gives what `model_bytes` gave. The copy is a `scratch_folder` below `base`.
    """
    folder = Path(folder)
    if folder.is_dir() and fingerprint(folder) == mark:
        yield folder
        return
    with scratch_folder(base) as copy:
        for name, content in get_bytes().items():
            atomic_write(copy / name, content)
        yield copy


def _decisive(folder):
    paths = [folder / name for name in DECISIVE] + sorted(folder.glob("variables/*"))
    return [path for path in paths if path.is_file()]
