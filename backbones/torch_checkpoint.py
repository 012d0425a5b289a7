"""Read the tensors of a torch checkpoint (.pth) without torch.

Only tensors are unpickled; no code of the file is ever executed.
"""

import collections
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retinue.configs.errors import RetinueError

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<?",
    "BFloat16Storage": "bfloat16",
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
CORRUPT_ERRORS = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    EOFError,
    struct.error,
    LookupError,
    ValueError,
    TypeError,
)
WRAPPERS = ("state_dict", "model_state_dict", "model", "module")  # keys under which checkpoints keep their weights


class Tensor(NamedTuple):
    """Where a tensor is in the file.

    Attributes:
        key: Key of its storage.
        dtype: dtype of its storage, as a numpy string or "bfloat16".
        offset: Offset in the storage, in elements.
        shape: Its shape.
        strides: Its strides in elements.
    """

    key: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class RefusedError(pickle.UnpicklingError):
    """The pickle asks for something that is not a tensor."""


class TensorUnpickler(pickle.Unpickler):
    """Unpickles tensors in plain containers. Any other class or function is refused before it is looked up."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function of the pickle.

        Raises:
            RefusedError: It is no part of a tensor.
        """
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise RefusedError(f"it contains {module}.{name}, which is not a tensor")

    def persistent_load(self, identifier: Any) -> tuple[str, str]:
        """Return (key, dtype) of a storage."""
        return identifier[2], identifier[1]


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the tensors of a .pth file.

    Both formats of torch are read: zip, and the older one of pickles followed by raw numbers. A checkpoint that wraps
    its weights (`{"state_dict": ...}`) is unwrapped, and the prefix `module.` of data-parallel training is removed.

    Args:
        path: The file.

    Returns:
        `{name: array}`, bfloat16 as float32.

    Raises:
        RetinueError: The file is missing or truncated, or it contains something that is not a tensor.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            content, storages = _open_zip(path)
        else:
            content, storages = _open_legacy(path)
        return {name: _to_array(tensor, storages) for name, tensor in _named_tensors(content)}
    except FileNotFoundError:
        raise RetinueError(f"{path}: no such file") from None
    except RefusedError as error:
        raise RetinueError(
            f"{path}: refused, because {error}; save a checkpoint of plain tensors (a state dict) and load that"
        ) from None
    except CORRUPT_ERRORS as error:
        raise RetinueError(
            f"{path}: not a complete torch checkpoint ({error or 'the file is truncated'}); get the file again"
        ) from None


def _tensor(storage: tuple[str, str], offset: int, shape: Any, strides: Any, *_: Any) -> Tensor:
    key, dtype = storage
    return Tensor(key, dtype, offset, shape, strides)


def _parameter(tensor: Tensor, *_: Any) -> Tensor:
    return tensor


def _open_zip(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """Return (the unpickled content, the storages that its tensors use)."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        root = [name for name in names if name.endswith("data.pkl")][0].removesuffix("data.pkl")
        content = TensorUnpickler(io.BytesIO(archive.read(f"{root}data.pkl"))).load()
        used = {tensor.key: tensor.dtype for _, tensor in _named_tensors(content)}
        return content, {key: _to_numbers(archive.read(f"{root}data/{key}"), dtype) for key, dtype in used.items()}


def _open_legacy(path: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """Return (the unpickled content, its storages)."""
    with open(path, "rb") as file:
        if TensorUnpickler(file).load() != LEGACY_MAGIC:
            raise ValueError("it does not begin like one")
        TensorUnpickler(file).load()  # the version of the format
        TensorUnpickler(file).load()  # the sizes of the machine's types
        content = TensorUnpickler(file).load()
        keys = TensorUnpickler(file).load()
        dtypes = {tensor.key: tensor.dtype for _, tensor in _named_tensors(content)}
        storages = {}
        for key in keys:
            (count,) = struct.unpack("<q", file.read(8))
            size = count * (2 if dtypes[key] == "bfloat16" else np.dtype(dtypes[key]).itemsize)
            raw = file.read(size)
            if len(raw) != size:
                raise EOFError
            storages[key] = _to_numbers(raw, dtypes[key])
        return content, storages


def _named_tensors(content: Any) -> list[tuple[str, Tensor]]:
    if not isinstance(content, dict):
        raise ValueError("it has no names")
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    return [
        (name.removeprefix("module."), value)
        for name, value in content.items()
        if isinstance(value, Tensor) and isinstance(name, str)
    ]


def _to_numbers(raw: bytes, dtype: str) -> np.ndarray:
    if dtype == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(raw, dtype)


def _to_array(tensor: Tensor, storages: Mapping[str, np.ndarray]) -> np.ndarray:
    numbers = storages[tensor.key]
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min((*tensor.shape, 1)) > 0 and not (0 <= tensor.offset <= last < len(numbers)) or min((*tensor.strides, 0)) < 0:
        raise ValueError("a tensor extends beyond its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides).copy()
