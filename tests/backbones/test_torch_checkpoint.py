"""Read checkpoints that the tests write by hand, without torch, in both formats of torch."""

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


class StoredTensor:
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
def fake_torch_modules(monkeypatch):
    for replacement, module in ((FloatStorage, "torch"), (_rebuild_tensor_v2, "torch._utils")):
        monkeypatch.setattr(replacement, "__module__", module)
        fake = types.ModuleType(module)
        setattr(fake, replacement.__name__, replacement)
        monkeypatch.setitem(sys.modules, module, fake)


def pickled(content):
    stream = io.BytesIO()
    Pickler(stream, 2).dump(content)
    return stream.getvalue()


KERNEL = np.arange(6, dtype="<f4").reshape(2, 3)
BIAS = np.array([7, 8], "<f4")


def write_zip(path, content=None):
    content = content or collections.OrderedDict(a=StoredTensor("0", KERNEL), b=StoredTensor("1", BIAS))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(content))
        archive.writestr("archive/data/0", KERNEL.tobytes())
        archive.writestr("archive/data/1", BIAS.tobytes())
    return path


def write_legacy(path):
    content = collections.OrderedDict(a=StoredTensor("0", KERNEL), b=StoredTensor("1", BIAS))
    sections = [pickled(section) for section in (torch_checkpoint.LEGACY_MAGIC, 1001, {}, content, ["0", "1"])]
    sections += [struct.pack("<q", array.size) + array.tobytes() for array in (KERNEL, BIAS)]
    path.write_bytes(b"".join(sections))
    return path


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_names_and_values_are_read(tmp_path, write):
    tensors = torch_checkpoint.read(write(tmp_path / "a.pth"))
    assert list(tensors) == ["a", "b"]
    np.testing.assert_array_equal(tensors["a"], KERNEL)
    np.testing.assert_array_equal(tensors["b"], BIAS)


def test_a_transposed_tensor_is_read_by_its_strides(tmp_path):
    content = {"a": StoredTensor("0", KERNEL.T)}
    np.testing.assert_array_equal(torch_checkpoint.read(write_zip(tmp_path / "a.pth", content))["a"], KERNEL.T)


def test_wrapped_and_data_parallel_names_are_unwrapped(tmp_path):
    path = write_zip(tmp_path / "a.pth", {"epoch": 3, "state_dict": {"module.conv.weight": StoredTensor("0", KERNEL)}})
    assert list(torch_checkpoint.read(path)) == ["conv.weight"]


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_a_truncated_file_is_refused(tmp_path, write):
    path = write(tmp_path / "a.pth")
    complete = path.read_bytes()
    for kept in (0, 10, len(complete) // 2, len(complete) - 4):
        path.write_bytes(complete[:kept])
        with pytest.raises(RetinueError, match="a.pth"):
            torch_checkpoint.read(path)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path):
    with pytest.raises(RetinueError, match="beyond its storage"):
        torch_checkpoint.read(write_zip(tmp_path / "a.pth", {"a": StoredTensor("0", KERNEL, strides=(3, 100))}))


class MakeFolder:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_pickle_is_refused_and_not_executed(tmp_path, legacy):
    marker, path = tmp_path / "run", tmp_path / "evil.pth"
    if legacy:
        path.write_bytes(pickled(MakeFolder(marker)))
    else:
        write_zip(path, {"a": StoredTensor("0", KERNEL), "b": MakeFolder(marker)})
    with pytest.raises(RetinueError, match=r"evil.pth: refused, because it contains .*mkdir"):
        torch_checkpoint.read(path)
    assert not marker.exists()
    pickle.loads(pickled(MakeFolder(marker)))
    assert marker.exists(), "the attack does not work even without the protection"


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(RetinueError, match="no such file"):
        torch_checkpoint.read(tmp_path / "none.pth")
