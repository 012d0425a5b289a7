"""Training in 16 bits and with accumulation: resume, the scale of the loss, skipped steps."""

import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_config
from retinue.pipeline.training.distribute import Distribution
from retinue.pipeline.training.learning_rate_schedule import scale_learning_rates
from retinue.pipeline.training.training_step import describe_step, out_of_memory_error, refuse_impossible_step
from retinue.tests.helpers import tiny_training as tiny


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    return tiny.make_images(tmp_path_factory.mktemp("images"))


def trained(folder, image_folder, *settings):
    trainer = tiny.make_trainer(folder, image_folder, settings)
    trainer.run_all()
    return trainer


def losses(trainer):
    return np.array([row["loss"] for row in trainer.state["history"]])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_sixteen_bits_learn_what_float32_learns(image_folder, tmp_path, precision):
    plain = losses(trained(tmp_path / "plain", image_folder))
    mixed = losses(trained(tmp_path / "mixed", image_folder, f"train.precision={precision}"))
    assert mixed[-1] < 0.9 * mixed[0]
    np.testing.assert_allclose(mixed, plain, rtol=0.02)
    assert (mixed != plain).any()  # it was another arithmetic


# 21 files in batches of 4: 5 steps an epoch, 10 in the head stage, 25 in all.
@pytest.mark.slow
def test_float16_accumulated_and_averaged_goes_on_bit_for_bit(image_folder, tmp_path):
    settings = [
        "train.precision=mixed_float16",
        "train.gradient_accumulation_steps=2",
    ]  # and an average, as always with this model
    unbroken = trained(tmp_path / "unbroken", image_folder, *settings)
    broken = tiny.run_with_stops(tmp_path / "broken", image_folder, [3, 12], settings)
    values, history = tiny.final_state(broken)
    whole_values, whole_history = tiny.final_state(unbroken)
    assert history == whole_history
    for mine, whole in zip(values, whole_values, strict=True):
        np.testing.assert_array_equal(mine, whole)
    assert float(unbroken.average.variables[0].numpy()) == 25  # once a step, not once a part


def test_the_scale_of_the_loss_is_in_the_checkpoint(image_folder, tmp_path):
    settings = ["train.precision=mixed_float16"]
    first = tiny.make_trainer(tmp_path / "run", image_folder, settings)
    step = first.progress.step

    def lower(images, waiting):
        step(images, waiting)
        if first.state["step"] == 2:
            first.trained_model.optimizer.dynamic_scale.assign(8.0)
            first.stop_soon("test")

    first.progress.step = lower
    with pytest.raises(KeyboardInterrupt):
        first.run_all()
    again = tiny.make_trainer(tmp_path / "run", image_folder, settings, resume=True)
    again.stop_soon("test")  # after one step more, which changes no scale
    with pytest.raises(KeyboardInterrupt):
        again.run_all(resume=True)
    assert float(again.trained_model.optimizer.dynamic_scale.numpy()) == 8.0
    assert int(again.trained_model.optimizer.step_counter.numpy()) == 3


def test_steps_that_are_left_out_are_counted_and_reported(image_folder, tmp_path, logged):
    settings = ["train.precision=mixed_float16", "train.stages.all.epochs=0"]
    trainer = tiny.make_trainer(tmp_path / "run", image_folder, settings)
    step = trainer.progress.step

    def raise_scale(images, waiting):
        step(images, waiting)
        if trainer.state["step"] == 1:
            trainer.trained_model.optimizer.dynamic_scale.assign(float("inf"))
            trainer.before = [weight.numpy() for weight in trainer.model.trainable_weights]
        if trainer.state["step"] == 2:
            trainer.after = [weight.numpy() for weight in trainer.model.trainable_weights]
            trainer.trained_model.optimizer.dynamic_scale.assign(1.0)

    trainer.progress.step = raise_scale
    trainer.run_all()
    for before, after in zip(trainer.before, trainer.after, strict=True):
        np.testing.assert_array_equal(before, after)
    assert any(line.startswith("1 of 5 steps were skipped") for line in logged.messages)
    assert sum("were skipped" in line for line in logged.messages) == 1


def test_scores_do_not_hang_on_the_precision_of_training(image_folder, tmp_path):
    """The same weights have the same scores and the same answers, bit for bit, in a model that learns in 16 bits."""
    fittings = [
        tiny.make_trainer(tmp_path / name, image_folder, [f"train.precision={name}"])
        for name in ("float32", "mixed_float16")
    ]
    for trainer in fittings:
        trainer._prepare_stage()
        trainer._fit(trainer.stages[0][1], _nothing(), 1, 1)
    fittings[0].model.set_weights(fittings[1].model.get_weights())
    image = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    answers = [trainer.model(image, training=False).numpy() for trainer in fittings]
    assert answers[0].dtype == np.float32
    np.testing.assert_array_equal(answers[0], answers[1])
    assert fittings[0].score().metrics == fittings[1].score().metrics
    assert all(layer.dtype_policy.name == "float32" for layer in fittings[1].model.layers)


def _nothing():
    import keras

    return keras.callbacks.Callback()


def test_memory_that_is_too_small_is_reported_with_what_to_try(image_folder, tmp_path):
    trainer = tiny.make_trainer(tmp_path / "run", image_folder)
    kept = trainer.model._loss_by_name

    def hungry(targets, outputs):
        size = tf.cast(tf.shape(outputs)[0], tf.int64) * 2**50  # bytes that no machine has
        noise = tf.reduce_sum(tf.random.uniform([size]))
        return {name: value + noise for name, value in kept(targets, outputs).items()}

    trainer.model._loss_by_name = hungry
    with pytest.raises(RetinueError, match=r"batch of 4 at 8 px.*gradient_accumulation_steps=2 .*train.batch_size=2"):
        trainer.run_all()


def test_what_to_try_is_always_less():
    train = load_config(settings=["train.gradient_accumulation_steps=4"]).train
    assert "train.gradient_accumulation_steps=4 " in str(
        out_of_memory_error(load_config(settings=["train.gradient_accumulation_steps=2"]).train, 8, 224)
    )
    assert "train.gradient_accumulation_steps=6 " in str(out_of_memory_error(train, 6, 224))
    assert "input_size=112" in str(out_of_memory_error(train, 4, 224))


def test_rates_follow_the_batch_size():
    """Goyal et al. 2017: 0.1 for 256, so 3.2 for 8192."""
    train = load_config(
        settings=["train.reference_batch_size=256", "train.stages={all: {epochs: 1, learning_rate: 0.1}}"]
    ).train
    stage = train.stages["all"]
    assert scale_learning_rates(stage, train, 8192).learning_rate == pytest.approx(3.2)
    (line,) = describe_step(train, 8192)
    assert "multiplied by 32 " in line
    assert (
        scale_learning_rates(stage, load_config().train, 8192) is stage
        and describe_step(load_config().train, 8192) == []
    )


@pytest.mark.slow
def test_a_large_batch_with_its_recipe_trains(image_folder, tmp_path, logged):
    settings = [
        "train.batch_size=16",
        "train.reference_batch_size=4",
        "train.gradient_accumulation_steps=4",
        "train.warmup_epochs=1",
    ]
    trainer = trained(tmp_path / "run", image_folder, *settings, "train.stages.all.epochs=20")
    assert any(line.startswith("stage head: 2 epochs at rate 0.004") for line in logged.messages)
    assert max(row["rate"] for row in trainer.state["history"]) == pytest.approx(0.004)
    assert losses(trainer)[-1] < 0.9 * losses(trainer)[0]


class Two:
    num_replicas_in_sync = 2


@pytest.mark.parametrize(
    ("settings", "distribution", "reported"),
    [
        (
            ["train.batch_size=3", "train.gradient_accumulation_steps=4"],
            Distribution(),
            "gradient_accumulation_steps=4: a batch of 3 .* at most 3",
        ),
        (
            ["train.batch_size=6", "train.gradient_accumulation_steps=4"],
            Distribution(Two()),
            "on each device .* at most 3",
        ),
        (
            ["train.precision=mixed_float16"],
            Distribution(Two()),
            "one device.*; use mixed_bfloat16, or train.strategy=single$",
        ),
        (["train.precision=mixed_float16"], Distribution(Two(), 0, 2), "one device.*; use mixed_bfloat16$"),
    ],
)
def test_steps_that_can_not_be_are_refused(settings, distribution, reported):
    with pytest.raises(UsageError, match=reported):
        refuse_impossible_step(load_config(settings=settings).train, distribution, 100)
