"""A package like nsfwjs-4.3.0.tgz, made by hand: a script with a manifest, and scripts with base64 numbers."""

import base64
import io
import tarfile

import numpy as np
import pytest

from retinue.backbones import tfjs
from retinue.configs.errors import RetinueError

# As a minifier writes it: keys without quotes, numbers without their zero. Kernel: 8 bits; bias: plain float32.
MODEL = (
    'export default{modelTopology:{node:[1]},weightsManifest:[{paths:["group1-shard1of2","group1-shard2of2"],weights:['
    '{name:"conv/kernel",shape:[1,1,2,3],dtype:"float32",quantization:{min:-.5,scale:.25,dtype:"uint8"}},'
    '{name:"conv/bias",shape:[2],dtype:"float32"}]}]};'
)
NUMBERS = bytes([0, 1, 2, 3, 4, 255]) + np.array([1.5, -2.0], "<f4").tobytes()


def package(path, numbers=NUMBERS, model=MODEL):
    """The numbers are cut in the middle of a float: shards are one stream."""
    files = {
        "model.min.js": model,
        "group1-shard1of2.min.js": f'var a="x";export default"{base64.b64encode(numbers[:8]).decode()}";',
        "group1-shard2of2.min.js": f'var a="x";export default"{base64.b64encode(numbers[8:]).decode()}";',
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/dist/models/mobilenet_v2/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_numbers_are_scaled_back(tmp_path):
    arrays = tfjs.read(package(tmp_path / "a.tgz"), "MobileNetV2")
    assert list(arrays) == ["conv/kernel", "conv/bias"]
    assert arrays["conv/kernel"].dtype == arrays["conv/bias"].dtype == np.float32
    np.testing.assert_array_equal(arrays["conv/kernel"], [[[[-0.5, -0.25, 0.0], [0.25, 0.5, 63.25]]]])
    np.testing.assert_array_equal(arrays["conv/bias"], [1.5, -2.0])


def test_a_net_that_it_does_not_have(tmp_path):
    with pytest.raises(RetinueError, match="weights of InceptionV3 and MobileNetV2 only, not of VGG16"):
        tfjs.read(package(tmp_path / "a.tgz"), "VGG16")


@pytest.mark.parametrize(
    "numbers, model", [(NUMBERS[:10], MODEL), (NUMBERS, MODEL[:200]), (NUMBERS, "export default{}")]
)
def test_a_broken_script_is_one_line_with_the_cure(tmp_path, numbers, model):
    with pytest.raises(RetinueError, match=r"a.tgz: not a whole nsfwjs package .*npm pack nsfwjs@4.3.0"):
        tfjs.read(package(tmp_path / "a.tgz", numbers, model), "MobileNetV2")


def test_a_truncated_or_foreign_archive_is_one_line_with_the_cure(tmp_path):
    whole = package(tmp_path / "a.tgz").read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / "a.tgz").write_bytes(content)
        with pytest.raises(RetinueError, match="a.tgz: not a whole nsfwjs package"):
            tfjs.read(tmp_path / "a.tgz", "MobileNetV2")
    with tarfile.open(tmp_path / "empty.tgz", "w:gz"):
        pass
    with pytest.raises(RetinueError, match="empty.tgz: not a whole nsfwjs package"):
        tfjs.read(tmp_path / "empty.tgz", "MobileNetV2")
    with pytest.raises(RetinueError, match="none.tgz"):
        tfjs.read(tmp_path / "none.tgz", "MobileNetV2")
