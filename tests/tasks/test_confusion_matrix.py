import numpy as np
import pytest

from retinue.data.dataset import Dataset
from retinue.tasks import plots
from retinue.tasks.classification.scores import ClassificationEvaluator
from retinue.tasks.confusion_matrix import confusion_section, most_confused, plot_confusion_matrix
from retinue.tests.helpers.plot_images import confusion_table, has, pixels, random_confusion_table


@pytest.mark.parametrize("count", [2, 3, 10, 30])
def test_the_matrix_is_darkest_on_the_diagonal(count):
    plot = plot_confusion_matrix(random_confusion_table(count))
    image = pixels(plot)
    assert plot.name == "confusion" and len(plot.rows) == count
    dark = (image.astype(int) @ [1, 1, 1] < 300) & (image[..., 2] > image[..., 0].astype(int) + 40)
    ys, xs = np.nonzero(dark)
    # From the upper left to the lower right; two squares on a diagonal correlate by 0.75.
    assert np.corrcoef(ys, xs)[0, 1] > (0.7 if count < 10 else 0.9)


def test_of_many_classes_the_most_confused_pairs_are_shown():
    table = random_confusion_table(31)
    image = pixels(plot_confusion_matrix(table))
    assert has(image, plots.ORANGE) and image.shape[0] == round(plots.bar_chart_height(20) * plots.DPI)


def test_most_confused_pairs_by_hand():
    pairs = most_confused(confusion_table([[6, 2, 0], [1, 3, 0], [2, 0, 2]], ["a", "b", "c"]))
    assert pairs == [
        {"truth": "c", "predicted": "a", "count": 2, "fraction": 0.5},
        {"truth": "a", "predicted": "b", "count": 2, "fraction": 0.25},
        {"truth": "b", "predicted": "a", "count": 1, "fraction": 0.25},
    ]


def test_the_row_of_a_class_without_files_is_empty():
    """The color of a cell is its fraction of the row; a row without files has the color of 0."""

    def darkness_by_half(matrix):
        image = pixels(plot_confusion_matrix(confusion_table(matrix, ["a", "b"]))).astype(int)
        blue = (image[..., 2] > image[..., 0] + 40).sum(axis=1)
        return blue[: len(blue) // 2].sum(), blue[len(blue) // 2 :].sum()

    upper, lower = darkness_by_half([[5, 1], [0, 0]])
    assert upper > 10 * max(lower, 1)
    upper, lower = darkness_by_half([[5, 1], [1, 5]])
    assert upper < 2 * lower


def test_a_table_with_another_last_row_and_column_is_drawn():
    table = [
        {"truth/predicted": "cat", "cat": 5, "false negative": 3},
        {"truth/predicted": "false positive", "cat": 2, "false negative": 0},
    ]
    plot = plot_confusion_matrix(table, "objects")
    assert plot.rows == table and "Confusion matrix of 2 classes" in plot.alt
    big = [
        {"truth/predicted": f"{row}"}
        | {f"{column}": int(row == column) for column in range(40)}
        | {"false negative": row}
        for row in range(40)
    ]
    big.append({"truth/predicted": "false positive"} | {f"{column}": 1 for column in range(40)} | {"false negative": 0})
    assert "most confused pairs" in plot_confusion_matrix(big, "objects").alt


def test_many_classes_without_a_mistake_have_no_list_of_mistakes():
    names = tuple(f"c{index}" for index in range(31))
    dataset = Dataset("classification", names, names, {"label": np.arange(31)})
    evaluator = ClassificationEvaluator(names)
    evaluator.update([{"scores": row} for row in np.eye(31, dtype=np.float32)], dataset)
    section = confusion_section(evaluator.scores())
    assert (section.text, section.plots) == (["No class was predicted in place of another."], [])


def test_names_of_any_kind_are_drawn_as_text():
    """A dollar would begin a formula, and this formula would be an error. Other names give other images."""
    images = [
        plot_confusion_matrix(confusion_table([[1, 0], [0, 1]], [name, "b"])).png
        for name in ("$\\frac{$", "猫", "bad\udcff", "a" * 200, "")
    ]
    assert len(set(images)) == len(images)
