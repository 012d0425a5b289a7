"""The checkpoint: round trip, damage, another model, a full disk."""

import keras
import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.pipeline import checkpoint


def variables():
    return {"model": [keras.Variable([1.0, 2.0]), keras.Variable(3)], "optimizer": [keras.Variable([[4.0]])]}


def test_round_trip(tmp_path):
    path = tmp_path / "last" / "checkpoint.npz"
    checkpoint.save(path, variables(), {"epoch": 3, "history": [{"loss": 0.5}]})
    restored = {name: [keras.Variable(v.numpy() * 0) for v in group] for name, group in variables().items()}
    checkpoint.restore(path, restored)
    assert checkpoint.read_progress(path) == {"epoch": 3, "history": [{"loss": 0.5}]}
    for name, group in variables().items():
        for mine, theirs in zip(restored[name], group, strict=True):
            np.testing.assert_array_equal(mine.numpy(), theirs.numpy())
    assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint.npz"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "missing"])
def test_damage_is_noticed(tmp_path, damage):
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, variables(), {"epoch": 3})
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        place = content.index(np.float32(2.0).tobytes())
        content[place] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    with pytest.raises(RetinueError, match="checkpoint.npz"):
        checkpoint.restore(path, variables())


def test_another_model_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, variables(), {})
    with pytest.raises(RetinueError, match="another model"):
        checkpoint.restore(path, {"model": [keras.Variable([1.0, 2.0])]})


def test_a_full_disk_keeps_the_last_good_checkpoint():
    """A limit on the size of files makes the write fail halfway, as a full disk does."""
    pytest.importorskip("resource")
    import resource
    import signal
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.npz"
        checkpoint.save(path, variables(), {"epoch": 1})
        good = path.read_bytes()
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails with EFBIG
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        try:
            with pytest.raises(RetinueError, match="the one before it is whole"):
                checkpoint.save(path, {"model": [keras.Variable(np.zeros(100_000, "float32"))]}, {"epoch": 2})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert path.read_bytes() == good
        assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint.npz"]
