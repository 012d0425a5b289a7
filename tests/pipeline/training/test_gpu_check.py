"""The check of a GPU: skipped with a reason, what counts as a difference, and the CPU against itself."""

import numpy as np
import pytest
import tensorflow as tf

from retinue.pipeline.training import gpu_check
from retinue.tasks import TASKS

LOSSES = np.array([1.0, 0.9, 0.8, 0.7, 0.6])


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_without_a_gpu_it_is_skipped_with_a_reason(logged):
    assert gpu_check.gpu_check()
    assert len(logged.messages) == 1 and logged.messages[0].startswith("skipped: TensorFlow sees no GPU")


@pytest.mark.parametrize(
    ("float32", "mixed", "good"),
    [(1.0, 1.0, True), (1.001, 1.02, True), (1.02, 1.0, False), (1.0, 1.2, False), (np.nan, 1.0, False)],
)
def test_what_counts_as_a_difference(monkeypatch, float32, mixed, good, logged):
    def losses_on(device, name, precision, settings=(), weights=None):
        factor = 1.0 if device == "reference" else float32 if precision == "float32" else mixed
        return [], LOSSES * np.array([1, 1, factor, 1, 1])

    monkeypatch.setattr(gpu_check, "losses_on", losses_on)
    logged.clear()
    assert gpu_check.compare_devices("device", "reference", ["classification"]) is good
    assert len(logged.messages) == 3 and any("MORE THAN" in line for line in logged.messages) is not good


def test_tf32_is_off_meanwhile_and_back_afterwards(monkeypatch):
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    seen = []

    def losses_on(*arguments):
        seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
        return [], LOSSES

    monkeypatch.setattr(gpu_check, "losses_on", losses_on)
    gpu_check.compare_devices("device", "reference", ["video"])
    assert seen == [False] * 4
    assert tf.config.experimental.tensor_float_32_execution_enabled() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TASKS))
def test_every_task_learns_in_16_bits_what_it_learns_in_float32(name, logged):
    """The CPU against itself: the first steps of each task's small model, whose loss falls in each precision."""
    assert gpu_check.compare_devices("/CPU:0", "/CPU:0", [name]), logged.messages
    for line in logged.messages:
        first, last = (float(number) for number in line.split(" on ")[0].split()[-3::2])
        assert last < first, line
