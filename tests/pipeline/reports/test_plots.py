import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from retinue.data.dataset import Dataset
from retinue.pipeline.reports import plots


def pixels(plot):
    """The picture as uint8 `[h, w, 3]`; its width is the plot's."""
    image = np.asarray(Image.open(io.BytesIO(plot.png)).convert("RGB"))
    assert image.shape[1] == round(plot.width * plots.DPI)
    return image


def has(image, color):
    """Whether `color` occurs in `image`, as it is or mixed to nearly the same."""
    return (np.abs(image.astype(int) - np.round(np.array(to_rgb(color)) * 255)).max(axis=2) <= 2).any()


def row(epoch, stage="all", best=False, **values):
    return {"epoch": epoch, "stage": stage, "loss": 1 / epoch, "learning_rate": 0.001, "best": best} | values


def confusion_table(matrix, names):
    rows = [dict(zip(names, counts, strict=True)) for counts in matrix]
    return [{"truth/predicted": name} | row for name, row in zip(names, rows, strict=True)]


def random_table(count, seed=0):
    matrix = np.random.default_rng(seed).integers(0, 3, (count, count)) + 20 * np.eye(count, dtype=int)
    return confusion_table(matrix.tolist(), [f"class {index}" for index in range(count)])


def test_curves_show_training_and_validation():
    history = [
        row(1, "head", val_loss=0.9, val_accuracy=0.5, best=True),
        row(2, "all", val_loss=None, val_accuracy=None),
        row(3, "all", val_loss=0.5, val_accuracy=0.7, best=True),
    ]
    plot = plots.curves(history, "accuracy")
    image = pixels(plot)
    assert plot.name == "curves" and plot.rows is history
    assert has(image, plots.BLUE) and has(image, plots.ORANGE) and has(image, plots.GREY)
    assert plot.alt == "Training and validation loss, accuracy and learning rate over 3 epochs"


def test_curves_without_validation_have_no_second_line():
    image = pixels(plots.curves([row(1), row(2)], "accuracy"))
    assert has(image, plots.BLUE) and not has(image, plots.ORANGE)


def test_curves_without_held_out_files_have_no_score():
    plot = plots.curves([row(1), row(2)], None)
    assert has(pixels(plot), plots.BLUE) and plot.alt == "Training loss and learning rate over 2 epochs"
    assert plots.curves([row(1)], None).alt.endswith("over 1 epoch")


def test_a_stage_of_one_epoch_has_its_rate_marked():
    def grey(rates):
        stages = ["head"] + ["all"] * (len(rates) - 1)
        history = [
            row(n, stage, learning_rate=rate) for n, (stage, rate) in enumerate(zip(stages, rates, strict=True), 1)
        ]
        image = pixels(plots.curves(history, None))
        return (np.abs(image - np.array(to_rgb(plots.GREY)) * 255).max(axis=2) <= 2)[:, image.shape[1] // 2 :]

    # 60 epochs have a line without marks, and a first stage of one epoch its mark above it.
    marked, unmarked = grey([0.004] + [0.001] * 60), grey([None] + [0.001] * 60)
    assert marked.sum() > unmarked.sum() + 20


def test_curves_mark_each_stage():
    def shaded(stages):
        image = pixels(plots.curves([row(index + 1, stage) for index, stage in enumerate(stages)], "accuracy"))
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
    assert plots.best_epoch(history, "accuracy") is history[2]
    assert plots.best_epoch([row(1, best=True)], "accuracy") is None
    assert plots.best_epoch([], "accuracy") is None


@pytest.mark.parametrize("count", [2, 3, 10, 30])
def test_confusion_is_darkest_on_the_diagonal(count):
    plot = plots.confusion(random_table(count))
    image = pixels(plot)
    assert plot.name == "confusion" and len(plot.rows) == count
    dark = (image.astype(int) @ [1, 1, 1] < 300) & (image[..., 2] > image[..., 0].astype(int) + 40)
    ys, xs = np.nonzero(dark)
    # From the upper left to the lower right; two squares on a diagonal correlate by 0.75.
    assert np.corrcoef(ys, xs)[0, 1] > (0.7 if count < 10 else 0.9)


def test_confusion_of_many_classes_is_a_list_of_pairs():
    table = random_table(31)
    image = pixels(plots.confusion(table))
    assert has(image, plots.ORANGE) and image.shape[0] == round(plots._height(20) * plots.DPI)


def test_confusion_of_a_class_without_files():
    pixels(plots.confusion(confusion_table([[5, 1], [0, 0]], ["a", "b"])))


def test_most_confused_pairs_by_hand():
    pairs = plots.most_confused(confusion_table([[6, 2, 0], [1, 3, 0], [2, 0, 2]], ["a", "b", "c"]))
    assert pairs == [
        {"truth": "c", "predicted": "a", "count": 2, "share": 0.5},
        {"truth": "a", "predicted": "b", "count": 2, "share": 0.25},
        {"truth": "b", "predicted": "a", "count": 1, "share": 0.25},
    ]


def test_reliability_with_empty_bins():
    table = [
        {"low": 0.0, "high": 0.5, "count": 0, "confidence": None, "accuracy": None},
        {"low": 0.5, "high": 1.0, "count": 8, "confidence": 0.8, "accuracy": 0.75},
    ]
    plot = plots.reliability(table)
    assert plot.name == "calibration" and plot.rows == table and has(pixels(plot), plots.BLUE)


def test_wilson_interval_as_published():
    low, high = plots._wilson(np.array([0.0, 0.5, 1.0]), np.array([10, 10, 10]))
    assert low == pytest.approx([0, 0.2366, 0.7225], abs=1e-3)  # Newcombe 1998, method 3, and by hand
    assert high == pytest.approx([0.2775, 0.7634, 1], abs=1e-3)


def dataset(classes, labels, splits):
    files = [f"{index}.png" for index in range(len(labels))]
    return Dataset("classification", files, classes, {"label": np.array(labels)}, np.array(splits, object))


def test_class_counts_by_split():
    plot = plots.class_counts(dataset(("a", "b"), [0, 0, 1, 0], ["train", "train", "train", "val"]))
    assert plot.rows == [{"class": "a", "train": 2, "val": 1}, {"class": "b", "train": 1, "val": 0}]
    image = pixels(plot)
    assert has(image, plots.BLUE) and has(image, plots.ORANGE)


def test_class_counts_without_splits_and_with_many_classes():
    count = 40
    plot = plots.class_counts(dataset(tuple(f"c{i}" for i in range(count)), range(count), [""] * count))
    assert plot.rows[0] == {"class": "c0", "no split": 1} and len(plot.rows) == count
    assert pixels(plot).shape[0] == round((plots._height(30) + plots.LEGEND) * plots.DPI)


def class_row(name, count, f1, precision=None, recall=None):
    return {"class": name, "count": count, "precision": precision, "recall": recall, "f1": f1}


def test_worst_first():
    rows = [class_row("good", 5, 0.9), class_row("none", 0, None), class_row("few", 1, 0.2), class_row("many", 9, 0.2)]
    assert [each["class"] for each in plots.worst_first(rows)] == ["many", "few", "good"]


@pytest.mark.parametrize("count", [2, 50])
def test_per_class_shows_all_or_the_worst(count):
    rows = [class_row(f"c{i}", 3, i / count, precision=None if i == 0 else 0.5, recall=0.4) for i in range(count)]
    plot = plots.per_class(rows)
    image = pixels(plot)
    assert plot.name == "per_class" and plot.rows is rows
    assert image.shape[0] == round(plots._height(min(count, 20)) * plots.DPI)
    assert has(image, plots.BLUE) and has(image, plots.ORANGE)


def test_names_of_any_kind_are_drawn():
    names = ["$\\frac{$", "猫", "bad\udcff", "a" * 200, ""]  # the first would be an error if a dollar began a formula
    rows = [class_row(name, 3, 0.5, 0.5, 0.5) for name in names]
    plots.per_class(rows)
    plots.confusion(confusion_table(np.eye(5, dtype=int).tolist(), names))


def test_the_same_numbers_give_the_same_bytes_and_leave_no_settings():
    import matplotlib

    before = {name: matplotlib.rcParams[name] for name in [*plots.STYLE, "font.family"]}
    assert plots.confusion(random_table(4)).png == plots.confusion(random_table(4)).png
    assert {name: matplotlib.rcParams[name] for name in before} == before


def test_the_legend_of_the_classes_lies_below_the_axes():
    classes = tuple("abcdef")
    image = pixels(plots.class_counts(dataset(classes, [0, 1, 2, 3, 4, 5] * 2, ["train", "val"] * 6)))
    orange = np.abs(image.astype(int) - np.round(np.array(to_rgb(plots.ORANGE)) * 255)).max(axis=2) <= 2
    legend = orange[-round(plots.LEGEND * plots.DPI) :]
    assert legend.any() and not legend[:, image.shape[1] // 2 :].any()


def test_words():
    assert plots.words("macro_f1") == "macro F1" and plots.words("top5") == "top 5"
    assert plots.shorten("a  long\nname", 8) == "a long…" and plots.shorten("short", 8) == "short"
