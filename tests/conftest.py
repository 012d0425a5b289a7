"""What all tests share: TensorFlow kept quiet, with the kernels that retinue chooses, and what retinue logs."""

import logging
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # some tests import TensorFlow before retinue does
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


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
