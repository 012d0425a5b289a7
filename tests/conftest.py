"""Fixtures of all tests: a quiet TensorFlow with the kernels of retinue, a cache folder, and logged messages."""

import gc
import logging
import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # some tests import TensorFlow before retinue does
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# Building and tracing networks makes millions of objects that stay. By default Python looks for cycles among them after
# every 700, which takes about 6% of the time of the tests.
gc.set_threshold(20_000, 10, 10)


DOWNLOADS = ("weights", "packages")  # kinds of files in the cache that come from elsewhere


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Give the tests a cache folder of their own, so that they neither use nor change what the user has computed.

    It links to the user's downloads, so that slow tests don't repeat them.
    """
    users = Path(os.environ.get("RETINUE_CACHE", "~/.cache/retinue")).expanduser()
    folder = tmp_path_factory.mktemp("cache")
    for kind in DOWNLOADS:
        if (users / kind).is_dir():
            (folder / kind).symlink_to(users / kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETINUE_CACHE", str(folder))
        yield folder


class Logged:
    """The messages of retinue's own loggers since the test began, or since `clear`."""

    def __init__(self, caplog):
        self._caplog = caplog

    @property
    def messages(self):
        records = self._caplog.records
        return [record.getMessage() for record in records if record.name.split(".")[0] == "retinue"]

    def clear(self):
        self._caplog.clear()


@pytest.fixture
def logged(caplog):
    """What retinue logs in a test: `logged.messages` is the list of lines so far."""
    caplog.set_level(logging.INFO, logger="retinue")
    return Logged(caplog)


# The test files that take longest, in this order. Each goes to one worker as a whole (`--dist loadfile`), so the long
# ones start first; a long one that started last would run alone at the end.
LONGEST_FILES = (
    "tasks/detection/test_end_to_end.py",
    "backbones/test_contract.py",
    "tasks/detection/test_model.py",
    "tasks/segmentation/test_torchvision.py",
    "pipeline/prediction/test_predict.py",
    "test_end_to_end.py",
    "tasks/segmentation/test_end_to_end.py",
    "backbones/test_golden.py",
    "tasks/detection/test_torchvision.py",
    "pipeline/explaining/test_explain_regions.py",
    "backbones/test_keras_applications.py",
    "pipeline/training/test_trainer.py",
    "pipeline/training/test_features.py",
    "test_new_task.py",
    "tasks/video/test_explaining.py",
    "explain/test_golden.py",
    "tasks/video/test_end_to_end.py",
    "backbones/test_dilated_families.py",
    "pipeline/explaining/test_explain.py",
    "pipeline/exporting/test_quantize.py",
    "pipeline/exporting/test_serving.py",
    "tasks/video/test_model.py",
    "backbones/test_resnet.py",
)


def pytest_collection_modifyitems(items):
    """Sort the tests so that the longest files come first."""
    folder = Path(__file__).parent
    position = {folder / name: index for index, name in enumerate(LONGEST_FILES)}
    for path in position:
        assert path.is_file(), f"{path}: tests/conftest.py lists it in LONGEST_FILES; correct its name there"
    items.sort(key=lambda item: position.get(item.path, len(position)))
