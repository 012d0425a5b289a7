"""The checkpoint: round trip, damage, the checkpoint before, another model, a full disk."""

import keras
import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.pipeline.training import checkpoint


def variables():
    return {"model": [keras.Variable([1.0, 2.0]), keras.Variable(3)], "optimizer": [keras.Variable([[4.0]])]}


def zeros():
    return {name: [keras.Variable(v.numpy() * 0) for v in group] for name, group in variables().items()}


def values(groups):
    return [variable.numpy().tolist() for group in groups.values() for variable in group]


def save(folder, step, keep=9):
    checkpoint.save(folder, variables(), {"step": step, "history": [{"loss": 0.5}]}, keep)
    return checkpoint.list_checkpoints(folder)[0]


def test_round_trip(tmp_path, logged):
    written = save(tmp_path / "last", 3)
    path, progress = checkpoint.read_newest(tmp_path / "last")
    assert path == written and progress == {"step": 3, "history": [{"loss": 0.5}]}
    assert not logged.messages
    restored = zeros()
    checkpoint.restore(path, restored)
    assert values(restored) == values(variables())
    assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint-000000003.npz"]


def test_the_last_few_are_kept(tmp_path):
    for step in (5, 20, 100, 7_000):
        save(tmp_path, step, keep=2)
    assert [path.name for path in checkpoint.list_checkpoints(tmp_path)] == [
        "checkpoint-000007000.npz",
        "checkpoint-000000100.npz",
    ]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_one_falls_back_to_the_one_before_and_says_so(tmp_path, damage, logged):
    before, path = save(tmp_path, 3), save(tmp_path, 4)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        place = content.index(np.float32(2.0).tobytes())
        content[place] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(b"")
    with pytest.raises(RetinueError, match=path.name):
        checkpoint.restore(path, variables())
    logged.clear()
    found, progress = checkpoint.read_newest(tmp_path)
    assert found == before and progress["step"] == 3
    (message,) = logged.messages
    assert path.name in message and "the checkpoint before" in message
    assert checkpoint.list_checkpoints(tmp_path) == [before] and path.with_suffix(".damaged").exists()


def test_any_flipped_bit_is_noticed_or_harmless(tmp_path):
    path = save(tmp_path, 3)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    noticed = 0
    for place in random.choice(len(content), 300, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << random.integers(8)
        path.write_bytes(flipped)
        restored = zeros()
        try:
            checkpoint.restore(path, restored)
        except RetinueError:
            noticed += 1
        else:
            assert values(restored) == values(variables()), place
    assert noticed > 100


def test_none_that_can_be_read_is_an_error(tmp_path):
    save(tmp_path, 3).write_bytes(b"")
    with pytest.raises(RetinueError, match="holds no checkpoint that can be read"):
        checkpoint.read_newest(tmp_path)


def test_another_model_is_refused(tmp_path):
    path = save(tmp_path, 0)
    with pytest.raises(RetinueError, match="another model"):
        checkpoint.restore(path, {"model": [keras.Variable([1.0, 2.0])]})


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path):
    """A limit on the size of files makes the write fail halfway, as a full disk does."""
    resource = pytest.importorskip("resource")
    import signal

    path = save(tmp_path, 1)
    good = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write then fails with EFBIG
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(RetinueError, match="the earlier checkpoints are complete"):
            checkpoint.save(tmp_path, {"model": [keras.Variable(np.zeros(100_000, "float32"))]}, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == good
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", ["directory cut short", "reported to be encrypted"])
def test_a_damaged_directory_of_the_zip_falls_back_too(tmp_path, damage, logged):
    before, path = save(tmp_path, 3), save(tmp_path, 4)
    content = bytearray(path.read_bytes())
    last = content.rindex(b"PK\x01\x02")  # the directory's last entry, which is that of the progress
    if damage == "reported to be encrypted":
        content[last + 8] |= 1
    else:
        end = content.rindex(b"PK\x05\x06")
        size = last - int.from_bytes(content[end + 16 : end + 20], "little")
        del content[last:end]
        end = last
        content[end + 12 : end + 16] = size.to_bytes(4, "little")
    path.write_bytes(content)
    logged.clear()
    found, progress = checkpoint.read_newest(tmp_path)
    assert found == before and progress["step"] == 3
    assert path.name in logged.messages[0] and "using the checkpoint before it" in logged.messages[0]


def test_arrays_of_other_shapes_are_refused(tmp_path):
    path = save(tmp_path, 3)
    groups = zeros() | {"optimizer": [keras.Variable([[0.0, 0.0]])]}
    with pytest.raises(RetinueError, match=r"optimizer/0 has the shape \(1, 1\), \(1, 2\) expected"):
        checkpoint.restore(path, groups)


def test_of_damaged_ones_the_last_has_none_before_it(tmp_path, logged):
    save(tmp_path, 3).write_bytes(b"")
    logged.clear()
    with pytest.raises(RetinueError, match="no checkpoint that can be read"):
        checkpoint.read_newest(tmp_path)
    assert len(logged.messages) == 1 and "the one before it" not in logged.messages[0]
