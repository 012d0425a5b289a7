"""Checkpoints are written here by hand in torch's two formats, without torch."""

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

import numpy as np
import pytest

from retinue.backbones import torch_checkpoint
from retinue.configs.errors import RetinueError


class FloatStorage:
    """Pickled by name as torch.FloatStorage."""


def _rebuild_tensor_v2(*_):
    """Pickled by name as torch._utils._rebuild_tensor_v2."""


class Stored:
    def __init__(self, key, array, strides=None):
        self.key, self.array = key, array
        self.strides = strides or tuple(step // array.itemsize for step in array.strides)

    def __reduce__(self):
        return _rebuild_tensor_v2, (
            StorageId(self.key, self.array.size),
            0,
            self.array.shape,
            self.strides,
            False,
            None,
        )


class StorageId:
    def __init__(self, key, count):
        self.key, self.count = key, count


class Pickler(pickle.Pickler):
    def persistent_id(self, item):
        return ("storage", FloatStorage, item.key, "cpu", item.count) if isinstance(item, StorageId) else None


@pytest.fixture(autouse=True)
def pretend_torch(monkeypatch):
    for thing, module in ((FloatStorage, "torch"), (_rebuild_tensor_v2, "torch._utils")):
        monkeypatch.setattr(thing, "__module__", module)
        home = types.ModuleType(module)
        setattr(home, thing.__name__, thing)
        monkeypatch.setitem(sys.modules, module, home)


def pickled(content):
    stream = io.BytesIO()
    Pickler(stream, 2).dump(content)
    return stream.getvalue()


KERNEL = np.arange(6, dtype="<f4").reshape(2, 3)
BIAS = np.array([7, 8], "<f4")


def write_zip(path, content=None):
    content = content or collections.OrderedDict(a=Stored("0", KERNEL), b=Stored("1", BIAS))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(content))
        archive.writestr("archive/data/0", KERNEL.tobytes())
        archive.writestr("archive/data/1", BIAS.tobytes())
    return path


def write_legacy(path):
    content = collections.OrderedDict(a=Stored("0", KERNEL), b=Stored("1", BIAS))
    parts = [pickled(part) for part in (torch_checkpoint.LEGACY_MAGIC, 1001, {}, content, ["0", "1"])]
    parts += [struct.pack("<q", array.size) + array.tobytes() for array in (KERNEL, BIAS)]
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_reads_names_and_numbers(tmp_path, write):
    tensors = torch_checkpoint.read(write(tmp_path / "a.pth"))
    assert list(tensors) == ["a", "b"]
    np.testing.assert_array_equal(tensors["a"], KERNEL)
    np.testing.assert_array_equal(tensors["b"], BIAS)


def test_a_transposed_tensor_is_read_by_its_strides(tmp_path):
    content = {"a": Stored("0", KERNEL.T)}
    np.testing.assert_array_equal(torch_checkpoint.read(write_zip(tmp_path / "a.pth", content))["a"], KERNEL.T)


def test_wrapped_and_data_parallel_names_are_unwrapped(tmp_path):
    path = write_zip(tmp_path / "a.pth", {"epoch": 3, "state_dict": {"module.conv.weight": Stored("0", KERNEL)}})
    assert list(torch_checkpoint.read(path)) == ["conv.weight"]


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_a_truncated_file_is_one_clear_error(tmp_path, write):
    path = write(tmp_path / "a.pth")
    whole = path.read_bytes()
    for kept in (0, 10, len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:kept])
        with pytest.raises(RetinueError, match="a.pth"):
            torch_checkpoint.read(path)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    with pytest.raises(RetinueError, match="beyond its storage"):
        torch_checkpoint.read(write_zip(tmp_path / "a.pth", {"a": Stored("0", KERNEL, strides=(3, 100))}))


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, legacy):
    mark, path = tmp_path / "run", tmp_path / "evil.pth"
    if legacy:
        path.write_bytes(pickled(Touch(mark)))
    else:
        write_zip(path, {"a": Stored("0", KERNEL), "b": Touch(mark)})
    with pytest.raises(RetinueError, match=r"evil.pth: refused, it holds .*mkdir"):
        torch_checkpoint.read(path)
    assert not mark.exists()
    pickle.loads(pickled(Touch(mark)))
    assert mark.exists(), "the attack of this test would not have worked anyway"


def test_missing_file(tmp_path):
    with pytest.raises(RetinueError, match="no such file"):
        torch_checkpoint.read(tmp_path / "none.pth")
