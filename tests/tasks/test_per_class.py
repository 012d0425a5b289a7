import numpy as np
import pytest
from matplotlib.colors import to_rgb

from retinue.data.dataset import Dataset
from retinue.tasks import plots
from retinue.tasks.per_class import plot_class_counts, plot_per_class, worst_first
from retinue.tests.helpers.plot_images import has, pixels


def dataset(classes, labels, splits):
    files = [f"{index}.png" for index in range(len(labels))]
    return Dataset("classification", files, classes, {"label": np.array(labels)}, np.array(splits, object))


def test_class_counts_by_split():
    plot = plot_class_counts(dataset(("a", "b"), [0, 0, 1, 0], ["train", "train", "train", "val"]))
    assert plot.rows == [{"class": "a", "train": 2, "val": 1}, {"class": "b", "train": 1, "val": 0}]
    image = pixels(plot)
    assert has(image, plots.BLUE) and has(image, plots.ORANGE)


def test_class_counts_without_splits_and_with_many_classes():
    count = 40
    plot = plot_class_counts(dataset(tuple(f"c{i}" for i in range(count)), range(count), [""] * count))
    assert plot.rows[0] == {"class": "c0", "no split": 1} and len(plot.rows) == count
    assert pixels(plot).shape[0] == round((plots.bar_chart_height(30) + plots.LEGEND) * plots.DPI)


def class_row(name, count, f1, precision=None, recall=None):
    return {"class": name, "count": count, "precision": precision, "recall": recall, "f1": f1}


def test_the_class_with_the_lowest_f1_comes_first_and_of_equal_ones_the_largest():
    rows = [class_row("good", 5, 0.9), class_row("none", 0, None), class_row("few", 1, 0.2), class_row("many", 9, 0.2)]
    assert [each["class"] for each in worst_first(rows)] == ["many", "few", "good"]


@pytest.mark.parametrize("count", [2, 50])
def test_per_class_shows_all_or_the_worst(count):
    rows = [class_row(f"c{i}", 3, i / count, precision=None if i == 0 else 0.5, recall=0.4) for i in range(count)]
    plot = plot_per_class(rows)
    image = pixels(plot)
    assert plot.name == "per_class" and plot.rows is rows
    assert image.shape[0] == round(plots.bar_chart_height(min(count, 20)) * plots.DPI)
    assert has(image, plots.BLUE) and has(image, plots.ORANGE)


def test_the_legend_of_the_classes_lies_below_the_axes():
    classes = tuple("abcdef")
    image = pixels(plot_class_counts(dataset(classes, [0, 1, 2, 3, 4, 5] * 2, ["train", "val"] * 6)))
    orange = np.abs(image.astype(int) - np.round(np.array(to_rgb(plots.ORANGE)) * 255)).max(axis=2) <= 2
    legend = orange[-round(plots.LEGEND * plots.DPI) :]
    assert legend.any() and not legend[:, image.shape[1] // 2 :].any()


def test_a_long_name_is_shortened_and_an_empty_one_has_no_label():
    """All plots have the same size, and the label of a class differs."""
    names = ["a" * 200, "猫", "bad\udcff", ""]
    drawn = [plot_per_class([class_row(name, 3, 0.5, 0.5, 0.5), class_row("b", 3, 0.5, 0.5, 0.5)]) for name in names]
    assert len({pixels(plot).shape for plot in drawn}) == 1 and len({plot.png for plot in drawn}) == len(names)
