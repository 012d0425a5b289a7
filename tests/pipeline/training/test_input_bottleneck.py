"""The warning that training waits for its data: when, and what it says would help."""

import numpy as np
import pytest

from retinue import tasks
from retinue.configs.load import load_config
from retinue.data.dataset import Dataset
from retinue.pipeline.training import input_bottleneck
from retinue.tests.helpers.box_files import save_image
from retinue.tests.helpers.tiny_training import make_images, make_trainer


def rows(*shares):
    return [{"input_wait_fraction": share} for share in shares]


@pytest.mark.parametrize(
    "history, seconds, due",
    [
        (rows(0.3), 9.0, True),
        (rows(0.0, 0.11), 9.0, True),
        (rows(0.0, 0.1), 9.0, False),
        (rows(0.2, 0.2), 9.0, False),  # it was reported before
        (rows(0.3), 1.0, False),
    ],
)
def test_once_a_run_and_over_a_tenth(history, seconds, due):
    assert input_bottleneck.is_due(history, seconds) is due


def task_of(name, **settings):
    config = load_config(settings=[f"task={name}", *(f"{key}={value}" for key, value in settings.items())])
    return tasks.create(config, ("cat", "dog"))


def test_each_cause_has_its_cure():
    plain = task_of("classification")
    assert input_bottleneck._cure(plain, (3, 2, 1), 4000, 224) == "move the files to a faster disk"
    assert input_bottleneck._cure(plain, (1, 3, 2), 4000, 224).startswith("smaller images: their shorter side has 4000")
    assert input_bottleneck._cure(plain, (1, 3, 2), 300, 224).startswith("more cores")
    changed = task_of("classification", **{"augment.randaugment_num_ops": 2})
    assert "augment.randaugment_num_ops=0" in input_bottleneck._cure(changed, (1, 2, 3), 4000, 224)
    clips = task_of("video")
    assert "retinue flow CLIPS" in input_bottleneck._cure(clips, (1, 0, 3), 0, 224)


def test_times_are_those_of_the_files(tmp_path):
    """Large images take longer to decode than to read, and that is what is reported, for boxes of any number too."""
    files = [str(save_image(tmp_path / f"{number}.jpg", size=(1200, 1000))) for number in range(3)]
    task = task_of("classification")
    dataset = Dataset("classification", files, ("cat", "dog"), {"label": np.array([0, 1, 0])})
    line = input_bottleneck.warning(0.34, task, task.columns(dataset), 32)
    assert line.startswith("warning: 34% of this epoch was spent waiting for data. A file takes ")
    assert "smaller images: their shorter side has 1000 pixels, and 64 are ample for an input of 32 pixels" in line


def test_it_is_reported_after_the_epoch_in_which_it_happened(tmp_path, monkeypatch, logged):
    images = make_images(tmp_path / "images", 6)
    logged.clear()
    monkeypatch.setattr("retinue.pipeline.training.input_bottleneck.is_due", lambda history, seconds: len(history) == 1)
    settings = ["train.stages.head.epochs=1", "train.stages.all.epochs=1"]
    make_trainer(tmp_path / "run", images, settings).run_all()
    epochs = [line for line in logged.messages if line.startswith("epoch")]
    assert len(epochs) == 2 and all("of it waiting for data" in line for line in epochs)
    assert [place for place, line in enumerate(logged.messages) if "was spent waiting for data" in line] == [
        logged.messages.index(epochs[0]) + 1
    ]
