import numpy as np
from matplotlib.colors import to_rgb

from retinue.pipeline.reports.training_curves import best_epoch, plot_training_curves
from retinue.tasks import plots
from retinue.tests.helpers.plot_images import has, pixels


def row(epoch, stage="all", best=False, **values):
    return {"epoch": epoch, "stage": stage, "loss": 1 / epoch, "learning_rate": 0.001, "best": best} | values


def test_curves_show_training_and_validation():
    history = [
        row(1, "head", val_loss=0.9, val_accuracy=0.5, best=True),
        row(2, "all", val_loss=None, val_accuracy=None),
        row(3, "all", val_loss=0.5, val_accuracy=0.7, best=True),
    ]
    plot = plot_training_curves(history, "accuracy")
    image = pixels(plot)
    assert plot.name == "curves" and plot.rows is history
    assert has(image, plots.BLUE) and has(image, plots.ORANGE) and has(image, plots.GRAY)
    assert plot.alt == "Training and validation loss, accuracy and learning rate over 3 epochs"


def test_curves_without_validation_have_no_second_line():
    image = pixels(plot_training_curves([row(1), row(2)], "accuracy"))
    assert has(image, plots.BLUE) and not has(image, plots.ORANGE)


def test_curves_without_a_validation_set_have_no_metric():
    plot = plot_training_curves([row(1), row(2)], None)
    assert has(pixels(plot), plots.BLUE) and plot.alt == "Training loss and learning rate over 2 epochs"
    assert plot_training_curves([row(1)], None).alt.endswith("over 1 epoch")


def test_a_stage_of_one_epoch_has_a_marker_for_its_learning_rate():
    def gray(rates):
        stages = ["head"] + ["all"] * (len(rates) - 1)
        history = [
            row(n, stage, learning_rate=rate) for n, (stage, rate) in enumerate(zip(stages, rates, strict=True), 1)
        ]
        image = pixels(plot_training_curves(history, None))
        return (np.abs(image - np.array(to_rgb(plots.GRAY)) * 255).max(axis=2) <= 2)[:, image.shape[1] // 2 :]

    # 60 epochs have a line without marks, and a first stage of one epoch its mark above it.
    marked, unmarked = gray([0.004] + [0.001] * 60), gray([None] + [0.001] * 60)
    assert marked.sum() > unmarked.sum() + 20


def test_curves_mark_each_stage():
    def shaded(stages):
        image = pixels(plot_training_curves([row(index + 1, stage) for index, stage in enumerate(stages)], "accuracy"))
        half_light = (np.array(to_rgb(plots.LIGHT)) * 255 + 255) / 2
        return (np.abs(image - half_light).max(axis=2) <= 1).sum()

    # Every second stage is shaded: one, two and three of four epochs.
    assert 0 < 1.5 * shaded("abbb") < shaded("aabb") < shaded("abcc") / 1.2


def test_best_epoch_is_the_last_one_marked():
    history = [
        row(1, val_accuracy=0.9, best=True),
        row(2, val_accuracy=0.5),
        row(3, val_accuracy=0.8, best=True),  # of a later stage
    ]
    assert best_epoch(history, "accuracy") is history[2]
    assert best_epoch([row(1, best=True)], "accuracy") is None
    assert best_epoch([], "accuracy") is None
