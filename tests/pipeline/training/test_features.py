"""Frozen features: they are the backbone's, the head learns the same from them, and the cache is the right one."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Ragged
from retinue.data.record_order import batch_rows
from retinue.data.seeds import example_seed
from retinue.pipeline.training import feature_cache
from retinue.pipeline.training.features import StageFeatures, find_feature_models
from retinue.tasks.video.task import Video
from retinue.tests.helpers import tiny_training as tiny

HEAD = ["train.stages.all.epochs=0", "train.stages.head.epochs=3", "train.cached_feature_views=3"]


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    return tiny.make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(feature_cache, "SMALLEST_SHARD", 8)  # 21 images to learn from make three shards a view
    return tmp_path / "cache" / "features"


def make_features(folder, image_folder, settings=(), first_epoch=0):
    """(`Trainer`, its computed `StageFeatures`)."""
    trainer = tiny.make_trainer(folder, image_folder, [*HEAD, *settings])
    features = stage_features(trainer, first_epoch)
    features.compute(trainer.progress, stopped=lambda: False)
    return trainer, features


def stage_features(trainer, first_epoch=0):
    models, _ = find_feature_models(trainer.task, trainer.model, 0)
    stage, validation = trainer.config.train.stages["head"], trainer.evaluation.dataset
    return StageFeatures(trainer.task, models, stage, first_epoch, trainer.train, validation, trainer.order)


def pooled(trainer, images):
    """The backbone's answer, the plain way."""
    trunk = keras.Model(trainer.model.input, trainer.model.get_layer("head_pool").output)
    return trunk(np.stack(images).astype(np.float32), training=False).numpy()


def head_weights(trainer):
    return [weight.numpy() for weight in trainer.model.get_layer("head_logits").weights]


@pytest.mark.parametrize(("views", "changed"), [(3, True), (1, False)])
def test_features_are_those_of_the_images_that_training_would_see(image_folder, tmp_path, views, changed):
    settings = [f"train.cached_feature_views={views}"]
    trainer, features = make_features(tmp_path / "run", image_folder, settings, first_epoch=5)
    example = trainer.task.example(training=changed)
    for view in range(views):
        rows = np.arange(len(trainer.train))
        records = [{name: column[row] for name, column in trainer.columns.items()} for row in rows]
        images = [example(record, example_seed(0, 5 + view, row))[0] for row, record in zip(rows, records, strict=True)]
        found = features.train_work.cache.take(np.full(len(rows), view), rows)
        np.testing.assert_allclose(found, pooled(trainer, images), atol=1e-5)
    assert features.num_copies == views


@pytest.mark.parametrize("views", ["none", "dihedral"])
def test_scores_of_validation_files_are_those_of_the_whole_model(image_folder, tmp_path, views):
    trainer, features = make_features(tmp_path / "run", image_folder, [f"evaluate.tta={views}"])
    plain, found = trainer.evaluation(), features.scores()
    assert found.value == plain.value and found.count == plain.count
    assert found.metrics["log_loss"] == pytest.approx(plain.metrics["log_loss"], abs=1e-5)


@pytest.mark.parametrize("settings", [[], ["train.optimizer=sgd", "train.early_stopping_patience=1"]])
def test_the_head_is_the_one_that_learns_from_the_images(image_folder, tmp_path, settings):
    slow = tiny.make_trainer(tmp_path / "slow", image_folder, [*HEAD, *settings, "train.cached_feature_views=0"])
    fast = tiny.make_trainer(tmp_path / "fast", image_folder, [*HEAD, *settings])
    expected, history = slow.run_all(), fast.run_all()
    for mine, theirs in zip(head_weights(fast), head_weights(slow), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert len(history) == len(expected)
    for mine, theirs in zip(history, expected, strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert mine["val_accuracy"] == theirs["val_accuracy"] and mine["best"] == theirs["best"]
    best = [trainer.task.build() for trainer in (slow, fast)]
    for model, name in zip(best, ("slow", "fast"), strict=True):
        model.load_weights(tmp_path / name / "best.weights.h5")
    for mine, theirs in zip(best[1].weights, best[0].weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=1e-5)


def test_fewer_views_than_epochs_come_in_turn(image_folder, tmp_path):
    _, features = make_features(tmp_path / "run", image_folder, ["train.cached_feature_views=2"])
    first, second, third = (
        next(iter(features.batches(21, first_step=step)))[0].numpy() for step in (0, 1, 2)
    )  # one step an epoch
    assert sorted(map(tuple, first)) == sorted(map(tuple, third)) != sorted(map(tuple, second))
    assert (first != third).any()  # in another order


def test_a_file_drawn_twice_in_an_epoch_has_two_looks(image_folder, tmp_path):
    trainer, features = make_features(tmp_path / "run", image_folder, ["train.class_balance=sampler"])
    batch = next(iter(features.batches(21, first_step=0)))[0].numpy()
    labels = trainer.train.columns["label"]
    drawn = batch_rows(len(labels), labels, batch_size=21, seed=0, order="balanced", step=0)
    assert len(np.unique(batch, axis=0)) > len(np.unique(drawn))


def final(trainer):
    return [np.array(array) for array in tiny.final_state(trainer)[0]]


SLOW = pytest.mark.slow


@pytest.mark.parametrize("stops", [[2], pytest.param([5], marks=SLOW), pytest.param([7, 12], marks=SLOW)])
def test_stopped_and_resumed_equals_unbroken_bit_for_bit(image_folder, tmp_path, stops):
    """5 steps an epoch: 15 from features, then the whole model."""
    settings = ["train.cached_feature_views=2", "train.stages.head.epochs=3", "train.stages.all.epochs=1"]
    unbroken = tiny.make_trainer(tmp_path / "unbroken", image_folder, settings)
    unbroken.run_all()
    trainer = tiny.run_with_stops(tmp_path / "run", image_folder, stops, settings)
    for mine, theirs in zip(final(trainer), final(unbroken), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert tiny.final_state(trainer)[1] == tiny.final_state(unbroken)[1]


def test_stopped_while_computing_keeps_whole_shards(image_folder, tmp_path, cache):
    trainer = tiny.make_trainer(tmp_path / "run", image_folder, HEAD)
    trainer.progress.step = lambda images, waiting: trainer.stop_soon("test")
    with pytest.raises(KeyboardInterrupt):
        trainer.run_all()
    (kept,) = cache.glob("*/*.npy")
    assert kept.name == "copy-000-0000.npy"
    written = kept.stat().st_mtime_ns
    make_features(tmp_path / "again", image_folder)
    assert kept.stat().st_mtime_ns == written
    assert len(list(cache.glob("*/*.npy"))) == 3 * 3 + 1


def test_the_cache_is_that_of_weights_data_and_augmentation(image_folder, tmp_path):
    _, features = make_features(tmp_path / "first", image_folder)
    mine, validation = features.train_work.cache.folder, features.validation_work.cache.folder

    def folder_of(name, image_folder=image_folder, settings=(), shift=0.0, first_epoch=0):
        trainer = tiny.make_trainer(tmp_path / name, image_folder, [*HEAD, *settings])
        kernel = trainer.model.get_layer("trunk").kernel
        kernel.assign(kernel.numpy() + shift)
        features = stage_features(trainer, first_epoch)
        assert (features.train_work.cache.num_missing == 0) == (features.train_work.cache.folder == mine)
        assert (features.validation_work.cache.num_missing == 0) == (
            features.validation_work.cache.folder == validation
        )
        return features.train_work.cache.folder

    for name, setting in (("rate", "train.stages.head.learning_rate=1"), ("dropout", "model.dropout=0.7")):
        assert folder_of(name, settings=[setting]) == mine
    others = [
        folder_of("weights", shift=1e-6),
        folder_of("data", image_folder=tiny.make_images(tmp_path / "others", count=15)),
        folder_of("augmentation", settings=["augment.brightness=0.5"]),
        folder_of("size", settings=["train.stages.head.input_size=12"]),
        folder_of("plain", settings=["train.cached_feature_views=1"]),
        folder_of("epoch", first_epoch=1),
    ]
    assert len({mine, *others}) == 1 + len(others)


def test_a_damaged_shard_is_computed_again(image_folder, tmp_path, logged):
    _, features = make_features(tmp_path / "run", image_folder)
    whole = features.train_work.cache.take(np.zeros(21, int), np.arange(21))
    path = features.train_work.cache.folder / "copy-000-0001.npy"
    path.write_bytes(path.read_bytes()[:-4])
    logged.clear()
    _, again = make_features(tmp_path / "again", image_folder)
    assert "computed once" in logged.messages[0]
    np.testing.assert_array_equal(again.train_work.cache.take(np.zeros(21, int), np.arange(21)), whole)


def test_a_file_that_broke_meanwhile_is_named(tmp_path):
    mine = tiny.make_images(tmp_path / "images")
    trainer = tiny.make_trainer(tmp_path / "run", mine, HEAD)
    broken = Path(trainer.files[5])
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(RetinueError, match=broken.name):
        trainer.run_all()


def test_several_labels_a_file_learn_from_features_too(image_folder, tmp_path):
    trainer, _ = make_features(tmp_path / "run", image_folder)
    label = trainer.train.columns["label"]
    labels = Ragged(np.repeat(label, 2) % 2, np.arange(0, 2 * len(label) + 1, 2, dtype=np.int64))
    dataset = dataclasses.replace(trainer.train, columns={"labels": labels})
    task = tiny.Tiny(trainer.config, ("blue", "red"), multi_label=True)
    models, _ = find_feature_models(task, trainer.model, 0)
    stage = trainer.config.train.stages["head"]
    features = StageFeatures(task, models, stage, 0, dataset, None, "shuffle")
    features.compute(trainer.progress, stopped=lambda: False)
    given, targets = next(iter(features.batches(4, first_step=0)))
    assert given.shape == (4, 4)
    rows = batch_rows(len(dataset), batch_size=4, seed=0, step=0)
    np.testing.assert_array_equal(targets, np.eye(2, dtype=np.float32)[label[rows]])


@pytest.mark.parametrize(
    ("settings", "number", "reason"),
    [
        (["augment.mixup=0.2"], 0, "mixup"),
        (["train.stages.head.backbone_lr_multiplier=0.1"], 0, ""),
        (["train.cached_feature_views=0"], 0, ""),
        (
            ["train.stages.head.backbone_lr_multiplier=1", "train.stages.all.backbone_lr_multiplier=0"],
            1,
            "train.ema_decay",
        ),
        (
            [
                "train.stages.head.backbone_lr_multiplier=1",
                "train.stages.all.backbone_lr_multiplier=0",
                "train.ema_decay=0",
            ],
            1,
            None,
        ),
    ],
)
def test_where_features_are_kept_and_where_not(image_folder, tmp_path, settings, number, reason):
    trainer = tiny.make_trainer(tmp_path / "run", image_folder, ["train.cached_feature_views=2", *settings])
    models, why_not = find_feature_models(trainer.task, trainer.model, number)
    assert (models is None) == (reason is not None)
    assert (reason or "") in why_not and bool(why_not) == bool(reason)


def test_clips_are_not_covered():
    assert Video.feature_models(None, None) is None
