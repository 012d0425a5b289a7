"""What all tests share: TensorFlow kept quiet, with the kernels that retinue chooses, and what retinue logs."""

import logging
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # some tests import TensorFlow before retinue does
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def logged(caplog):
    """Captures what retinue logs: `logged.messages` is the list of lines so far."""
    caplog.set_level(logging.INFO, logger="retinue")
    return caplog
