"""Training: seeds, resuming bit for bit, not-a-number, early stop, frozen statistics."""

from pathlib import Path

import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.tests.helpers import tiny_training as tiny


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return tiny.make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def unbroken(images, tmp_path_factory):
    trainer = tiny.make_trainer(tmp_path_factory.mktemp("unbroken") / "run", images)
    trainer.run_all()
    return tiny.final_state(trainer)


def assert_equal(first, second):
    assert first[1] == second[1]
    assert len(first[0]) == len(second[0])
    for mine, theirs in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_two_runs_with_one_seed_are_equal_and_two_seeds_differ(images, unbroken, tmp_path):
    again = tiny.make_trainer(tmp_path / "again", images)
    again.run_all()
    assert_equal(tiny.final_state(again), unbroken)
    other = tiny.make_trainer(tmp_path / "other", images, ["seed=1"])
    other.run_all()
    assert any((a != b).any() for a, b in zip(tiny.final_state(other)[0], unbroken[0], strict=True))


# 21 files in batches of 4: 5 steps an epoch, 10 in the head stage, 25 in all.
@pytest.mark.parametrize(
    "stops", [[10], *(pytest.param(each, marks=pytest.mark.slow) for each in ([3], [12, 13], [25]))]
)
def test_stopped_and_resumed_equals_unbroken_bit_for_bit(images, unbroken, tmp_path, stops):
    trainer = tiny.run_with_stops(tmp_path / "run", images, stops)
    assert_equal(tiny.final_state(trainer), unbroken)


def test_head_stage_leaves_the_backbone_and_its_statistics_alone(images, tmp_path):
    trainer = tiny.make_trainer(tmp_path / "run", images, ["train.stages.all.epochs=0", "train.ema_decay=0"])
    before = [weight.numpy() for weight in trainer.model.get_layer("trunk").weights]
    statistics = [weight.numpy() for weight in trainer.model.get_layer("trunk_norm").weights]
    head = trainer.model.get_layer("head_logits").get_weights()[0]
    trainer.run_all()
    for old, weight in zip(
        before + statistics,
        trainer.model.get_layer("trunk").weights + trainer.model.get_layer("trunk_norm").weights,
        strict=True,
    ):
        np.testing.assert_array_equal(old, weight.numpy())
    assert (head != trainer.model.get_layer("head_logits").get_weights()[0]).any()


@pytest.mark.parametrize(("policy", "moves"), [("update", True), ("frozen", False)])
def test_batch_norm_policy(images, tmp_path, policy, moves):
    settings = [
        "train.stages.head.epochs=0",
        "train.stages.all.epochs=1",
        f"train.batch_norm={policy}",
        "train.ema_decay=0",
    ]
    trainer = tiny.make_trainer(tmp_path / "run", images, settings)
    norm = trainer.model.get_layer("trunk_norm")
    mean = norm.moving_mean.numpy()
    trainer.run_all()
    assert (norm.moving_mean.numpy() != mean).any() == moves
    assert norm.momentum == 0.9


def test_not_a_number_stops_and_names_the_files_of_the_batch(images, tmp_path):
    trainer = tiny.make_trainer(tmp_path / "run", images)
    kernel = trainer.model.get_layer("head_logits").kernel
    kernel.assign(kernel.numpy() * np.nan)
    with pytest.raises(RetinueError, match="not a finite number") as error:
        trainer.run_all()
    named = [name for name in trainer.files if name in str(error.value)]
    assert len(named) == 4 and set(named) == set(trainer.files_of_step(0))
    assert not (tmp_path / "run" / "best.weights.h5").exists()


def test_early_stop_ends_a_stage(images, tmp_path, logged):
    settings = [
        "train.stages.head.epochs=9",
        "train.stages.head.learning_rate=1e-12",
        "train.stages.all.epochs=1",
        "train.early_stopping_patience=2",
    ]
    trainer = tiny.make_trainer(tmp_path / "run", images, settings)
    history = trainer.run_all()
    assert [row["stage"] for row in history] == ["head"] * 3 + ["all"]
    assert any("ends early" in line for line in logged.messages)


def test_a_file_that_breaks_during_training_is_named(images, tmp_path):
    mine = tiny.make_images(tmp_path / "images")
    trainer = tiny.make_trainer(tmp_path / "run", mine)
    broken = Path(trainer.files[5])
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(RetinueError, match=broken.name):
        trainer.run_all()


def test_best_weights_are_the_averaged_ones_and_hold_no_optimizer(images, tmp_path):
    import h5py

    trainer = tiny.make_trainer(tmp_path / "run", images)
    history = trainer.run_all()
    with h5py.File(tmp_path / "run" / "best.weights.h5") as file:
        names = []
        file.visit(names.append)
    assert not [name for name in names if "optimizer" in name]
    model = trainer.task.build()
    model.load_weights(tmp_path / "run" / "best.weights.h5")
    trainer.evaluation.__init__(trainer.task, model, trainer.evaluation.dataset)
    best = max(row["val_accuracy"] for row in history)
    assert trainer.evaluation().value == best
