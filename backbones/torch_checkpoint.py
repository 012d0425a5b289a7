"""Read the tensors of a torch checkpoint (.pth) without torch. Only tensors are unpickled; nothing is ever run."""

import collections
import io
import pickle
import struct
import zipfile
from pathlib import Path

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
BROKEN = (pickle.UnpicklingError, zipfile.BadZipFile, EOFError, struct.error, LookupError, ValueError, TypeError)
CONTAINERS = ("state_dict", "model_state_dict", "model", "module")


class Tensor(collections.namedtuple("Tensor", "key dtype offset shape strides")):
    """Where a tensor lies in the file: its storage's key and type, offset, shape and strides in elements."""


class Refused(pickle.UnpicklingError):
    """The pickle asks for something that is not a tensor."""


class TensorUnpickler(pickle.Unpickler):
    """Unpickles tensors in plain containers; any other class or function is refused before it is looked up."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise Refused(f"it holds {module}.{name}, which is not a tensor")

    def persistent_load(self, identifier):
        return identifier[2], identifier[1]


def read(path):
    """Give the tensors of a .pth file as `{name: numpy array}`, bfloat16 as float32.

    Both of torch's formats are read (zip, and the older one of pickles followed by raw numbers). A checkpoint that
    wraps its weights (`{"state_dict": ...}`) is unwrapped, and the prefix `module.` of data-parallel
    training is taken off.
    Raises RetinueError when the file is missing, cut short, or holds anything that is not a tensor.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            content, storage = _open_zip(path)
        else:
            content, storage = _open_legacy(path)
        return {name: _array(tensor, storage) for name, tensor in _named_tensors(content)}
    except FileNotFoundError:
        raise RetinueError(f"{path}: no such file") from None
    except Refused as error:
        raise RetinueError(
            f"{path}: refused, {error}; only checkpoints of plain tensors (a state dict) are read"
        ) from None
    except BROKEN as error:
        raise RetinueError(
            f"{path}: not a whole torch checkpoint ({error or 'cut short'}); get the file again"
        ) from None


def _tensor(storage, offset, shape, strides, *_):
    key, dtype = storage
    return Tensor(key, dtype, offset, shape, strides)


def _parameter(tensor, *_):
    return tensor


def _open_zip(path):
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        root = [name for name in names if name.endswith("data.pkl")][0].removesuffix("data.pkl")
        content = TensorUnpickler(io.BytesIO(archive.read(f"{root}data.pkl"))).load()
        used = {tensor.key: tensor.dtype for _, tensor in _named_tensors(content)}
        return content, {key: _numbers(archive.read(f"{root}data/{key}"), dtype) for key, dtype in used.items()}


def _open_legacy(path):
    with open(path, "rb") as file:
        if TensorUnpickler(file).load() != LEGACY_MAGIC:
            raise ValueError("it does not start as one")
        TensorUnpickler(file).load()  # the version of the format
        TensorUnpickler(file).load()  # sizes of the machine's types
        content = TensorUnpickler(file).load()
        keys = TensorUnpickler(file).load()
        dtypes = {tensor.key: tensor.dtype for _, tensor in _named_tensors(content)}
        storage = {}
        for key in keys:
            (count,) = struct.unpack("<q", file.read(8))
            size = count * (2 if dtypes[key] == "bfloat16" else np.dtype(dtypes[key]).itemsize)
            raw = file.read(size)
            if len(raw) != size:
                raise EOFError
            storage[key] = _numbers(raw, dtypes[key])
        return content, storage


def _named_tensors(content):
    if not isinstance(content, dict):
        raise ValueError("no names in it")
    for wrapper in CONTAINERS:
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
            break
    return [
        (name.removeprefix("module."), each)
        for name, each in content.items()
        if isinstance(each, Tensor) and isinstance(name, str)
    ]


def _numbers(raw, dtype):
    if dtype == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    return np.frombuffer(raw, dtype)


def _array(tensor, storage):
    numbers = storage[tensor.key]
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min((*tensor.shape, 1)) > 0 and not (0 <= tensor.offset <= last < len(numbers)) or min((*tensor.strides, 0)) < 0:
        raise ValueError("a tensor reaches beyond its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides).copy()
