"""The classes in a report: a plot of how many files each has, and the per-class metrics as a plot and a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from retinue.data.dataset import SPLITS
from retinue.tasks.plots import (
    BLUE,
    GRAY,
    LEGEND,
    MAX_CLASSES,
    ORANGE,
    WIDTH,
    WORST_CLASSES,
    Plot,
    TableRow,
    bar_chart_height,
    column_values,
    label_bars,
    metric_label,
    render,
    shorten,
)
from retinue.tasks.report_section import Section, Table, table_cell

if TYPE_CHECKING:
    from retinue.data.dataset import Dataset
    from retinue.tasks.scores import Scores

SPLIT_COLORS = dict(zip((*SPLITS, "no split"), (BLUE, ORANGE, GRAY, BLUE), strict=True))
EXPLANATION = (
    "Precision: the fraction of the files with this prediction that is right. Recall: the fraction of the files of "
    "this class that is predicted so. F1 combines both. Confidence: the mean score of the predictions for these "
    "files. The worst class comes first."
)


def per_class_section(scores: "Scores", explanation: str = EXPLANATION, units: Sequence[str] = ("files",)) -> Section:
    """Make the section with the metrics of every class, the worst class first.

    Args:
        scores: with `per_class`.
        explanation: a paragraph that explains the columns.
        units: headings of the columns that follow the class and hold counts. The first is the column `count`.

    Returns:
        The section.
    """
    rows = worst_first(scores.per_class)
    rows += [row for row in scores.per_class if not row["count"]]
    highlighted = sum((row["f1"] or 0) < 1 for row in rows[: min(3, len(rows) // 2)])
    columns = [(metric_label(name), any(isinstance(row[name], int | float) for row in rows)) for name in rows[0]]
    columns[1 : 1 + len(units)] = [(unit, True) for unit in units]
    shown = WORST_CLASSES if len(rows) > MAX_CLASSES else None
    table = Table(columns, [[table_cell(value) for value in row.values()] for row in rows], highlighted, shown)
    return Section("Results by class", [explanation], [plot_per_class(scores.per_class)], table)


def plot_per_class(rows: Sequence[TableRow]) -> Plot:
    """Plot F1 of each class as a bar, with precision and recall as markers, the worst class first.

    Above 30 classes only the worst 20 are shown.

    Args:
        rows: dicts with `class`, `count`, `precision`, `recall` and `f1`; None where a metric is undefined.

    Returns:
        The plot.
    """
    shown = worst_first(rows)
    is_cut = len(shown) > MAX_CLASSES
    shown = shown[:WORST_CLASSES] if is_cut else shown

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        positions = range(len(shown))
        axes.barh(positions, column_values(shown, "f1"), color=BLUE, alpha=0.25, height=0.7, label="F1")
        open_circle: dict[str, Any] = {"markersize": 8, "markerfacecolor": "white", "clip_on": False}
        axes.plot(column_values(shown, "precision"), positions, "o", color=BLUE, label="precision", **open_circle)
        axes.plot(column_values(shown, "recall"), positions, "D", color=ORANGE, label="recall", clip_on=False)
        label_bars(axes, [f"{shorten(row['class'], 28)}  ({row['count']:,})" for row in shown])
        axes.set(xlim=(0, 1.01), xlabel=f"the worst {len(shown)} of {len(rows)} classes" if is_cut else "")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)

    alt = f"Precision, recall and F1 of {len(shown)} classes, the worst first"
    names = [row["class"] for row in rows]
    return render("per_class", rows, (WIDTH, bar_chart_height(len(shown))), names, draw, alt)


def worst_first(rows: Sequence[TableRow]) -> list[TableRow]:
    """Sort the classes that have files: the lowest F1 first, and of equal ones the largest class.

    Args:
        rows: dicts with `count` and `f1`.

    Returns:
        The rows whose count is not 0, sorted.
    """
    scored = [row for row in rows if row["count"]]
    return sorted(scored, key=lambda row: (row["f1"], -row["count"]))


def plot_class_counts(dataset: "Dataset", unit: str = "files") -> Plot:
    """Plot how many files each class has in each split, the largest class first.

    Above 30 classes the largest 15 and the smallest 15 are shown.

    Args:
        dataset: the whole dataset.
        unit: what `Dataset.class_counts` counts, in the plural ("objects" for detection).

    Returns:
        The plot.
    """
    splits = [name for name in (*SPLITS, "") if (dataset.splits == name).any()]
    counts = np.array([dataset.split(name).class_counts() for name in splits])
    names = [name or "no split" for name in splits]
    rows = [
        {"class": name} | dict(zip(names, counts[:, index].tolist(), strict=True))
        for index, name in enumerate(dataset.classes)
    ]
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    is_cut = len(order) > MAX_CLASSES
    shown = np.concatenate([order[: MAX_CLASSES // 2], order[-MAX_CLASSES // 2 :]]) if is_cut else order

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        start = np.zeros(len(shown))
        for name, values in zip(names, counts[:, shown], strict=True):
            axes.barh(range(len(shown)), values, left=start, color=SPLIT_COLORS[name], height=0.7, label=name)
            start += values
        beside: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 8}
        for position, total in enumerate(start):
            axes.annotate(f"{total:,.0f}", (total, position), (4, 0), **beside)
        label_bars(axes, [shorten(dataset.classes[index], 28) for index in shown])
        title = f"{unit.capitalize()} of each class"
        if is_cut:
            axes.axhline(MAX_CLASSES // 2 - 0.5, color=GRAY, linewidth=1, linestyle=":")
            title = f"The 15 largest and the 15 smallest of {len(order)} classes"
        axes.set(title=title, xlabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.08)
        figure.legend(loc="outside lower left", ncols=len(names))  # within the axes it would lie on the last bars

    alt = f"Number of {unit} of each class in {', '.join(names)}"
    size = (WIDTH, bar_chart_height(len(shown)) + LEGEND)
    return render("classes", rows, size, dataset.classes, draw, alt)
