"""Shards of features: whole or not there, in their order, never for ever, and a full disk is reported."""

import os
import signal

import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.pipeline.training import feature_cache
from retinue.pipeline.training.feature_cache import FeatureCache, format_bytes


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(feature_cache, "SMALLEST_SHARD", 8)
    return tmp_path / "cache" / "features"


def test_rows_are_taken_from_their_view_and_shard():
    features = FeatureCache({}, 20, (2,), 2)
    values = np.arange(80, dtype=np.float32).reshape(2, 20, 2)
    assert features.num_missing == 40
    for view in (0, 1):
        for first in (0, 8, 16):
            assert features.first_missing(view) == first and features.rows_of_next(view) == min(8, 20 - first)
            features.append(view, values[view, first : first + 8])
    assert features.num_missing == 0 and features.num_bytes == 320
    for opened in (features, FeatureCache({}, 20, (2,), 2)):
        np.testing.assert_array_equal(opened.take([1, 0, 1], [19, 7, 8]), values[[1, 0, 1], [19, 7, 8]])


def test_few_large_shards_for_many_rows():
    assert FeatureCache({}, 8 * 64, (2,), 1).shard_rows == 8
    assert FeatureCache({}, 8 * 64 + 1, (2,), 1).shard_rows == 16


def test_more_views_find_those_that_are_there():
    features = FeatureCache({}, 4, (2,), 1)
    features.append(0, np.ones((4, 2), np.float32))
    assert FeatureCache({}, 4, (2,), 3).num_missing == 8


def test_other_features_are_in_another_folder():
    features = FeatureCache({"weights": 1, "files": 2}, 4, (2,), 1)
    assert FeatureCache({"files": 2, "weights": 1}, 4, (2,), 1).folder == features.folder
    assert FeatureCache({"files": 2, "weights": 3}, 4, (2,), 1).folder != features.folder


@pytest.mark.parametrize("damage", [lambda whole: whole[:-4], lambda whole: b"", lambda whole: whole[:20]])
def test_a_damaged_shard_and_those_behind_it_count_as_missing(damage):
    features = FeatureCache({}, 20, (2,), 1)
    for rows in (8, 8, 4):
        features.append(0, np.ones((rows, 2), np.float32))
    path = features.folder / "copy-000-0001.npy"
    path.write_bytes(damage(path.read_bytes()))
    assert FeatureCache({}, 20, (2,), 1).first_missing(0) == 8


def test_sizes_as_one_says_them():
    assert (format_bytes(44_000_000), format_bytes(21_500_000_000)) == ("44 MB", "21.5 GB")


def test_what_a_week_has_not_used_is_deleted(cache):
    old, new = (FeatureCache({"weights": name}, 4, (2,), 1) for name in ("old", "new"))
    os.utime(old.folder / "about.json", (0, 0))
    FeatureCache({"weights": "other"}, 4, (2,), 1)
    assert not old.folder.exists() and new.folder.exists()


def test_a_full_disk_is_reported_before(cache):
    with pytest.raises(RetinueError, match=r"features need 512,000.0 GB, but .* are free; free disk space"):
        FeatureCache({}, 10**12, (128,), 1).refuse_full_disk()


def test_a_full_disk_is_reported_and_keeps_what_there_is(cache):
    """A limit on the size of files makes the write fail halfway, as a full disk does."""
    resource = pytest.importorskip("resource")
    features = FeatureCache({}, 20, (1000,), 1)
    features.append(0, np.ones((8, 1000), np.float32))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(RetinueError, match="could not write features .* free disk space"):
            features.append(0, np.ones((8, 1000), np.float32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert FeatureCache({}, 20, (1000,), 1).first_missing(0) == 8
    assert {path.name for path in features.folder.iterdir()} == {"about.json", "copy-000-0000.npy"}
