"""The confusion matrix of a report: its plot, its most confused pairs of classes, and its section."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from retinue.tasks.plots import (
    BLUE,
    INK,
    MAX_CLASSES,
    ORANGE,
    WIDTH,
    Plot,
    TableRow,
    bar_chart_height,
    label_bars,
    render,
    shorten,
)
from retinue.tasks.report_section import Section
from retinue.tasks.scores import counted

if TYPE_CHECKING:
    from retinue.tasks.scores import Scores

MAX_PAIRS = 20  # most confused pairs that are shown instead of the matrix of many classes


def confusion_section(scores: "Scores") -> Section:
    """Make the section with the confusion matrix and its largest confusion.

    Args:
        scores: with the table `confusion`, as `plot_confusion_matrix` takes it; or, if there are too many classes for a
            matrix, with the table `confused_pairs`, as `most_confused` returns it.

    Returns:
        The section.
    """
    if "confused_pairs" in scores.tables:
        return _pairs_section(scores.tables["confused_pairs"], len(scores.per_class))
    table = scores.tables["confusion"]
    pairs = most_confused(table)
    text = ["Each row is a true class, each column a predicted class. The diagonal holds the correct predictions."]
    if len(table) > MAX_CLASSES and not pairs:
        return Section("Confusion matrix", ["No class was predicted in place of another."])
    if len(table) > MAX_CLASSES:
        text = [f"The full matrix of {len(table)} classes is in confusion.csv. These are its most confused pairs."]
    if pairs:
        text.append(_largest_confusion(pairs[0]))
    return Section("Confusion matrix", text, [plot_confusion_matrix(table)])


def _pairs_section(pairs: Sequence[TableRow], num_classes: int) -> Section:
    """Make the section for so many classes that there is no matrix."""
    if not pairs:
        return Section("Confusion matrix", ["No class was predicted in place of another."])
    text = [
        f"A matrix of {num_classes:,} classes would be too large; confused_pairs.csv lists every pair of a class and "
        "another that was predicted in its place. These are the most frequent ones.",
        _largest_confusion(pairs[0]),
    ]
    return Section("Confusion matrix", text, [_plot_pairs(pairs, pairs, num_classes, "files", "confused_pairs")])


def _largest_confusion(pair: TableRow) -> str:
    files = round(pair["count"] / pair["fraction"])
    return (
        f"The most common confusion: {pair['count']:,} of {counted(files, 'file')} of “{pair['truth']}” "
        f"{'was' if pair['count'] == 1 else 'were'} predicted as “{pair['predicted']}”."
    )


def plot_confusion_matrix(table: Sequence[TableRow], unit: str = "files", name: str = "confusion") -> Plot:
    """Plot a confusion matrix, with cells colored by their fraction of the row.

    Above 30 classes the most confused pairs are plotted instead, as bars.

    Args:
        table: one row for each true class, with the class in the first column and a column of counts for each
            predicted class. Detection has one more row (false positives) and one more column (false negatives).
        unit: what is counted, in the plural.
        name: name of the plot's files.

    Returns:
        The plot.
    """
    corner, *predicted_names = table[0]
    names = [row[corner] for row in table]
    counts = np.array([[row[name] for name in predicted_names] for row in table], np.int64)
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(names) > MAX_CLASSES:
        return _plot_pairs(most_confused(table), table, len(names), unit, name)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.imshow(fractions, cmap=_blue_colormap(), vmin=0, vmax=1)
        axes.grid(False)
        short, short_predicted = ([shorten(name, 20) for name in some] for some in (names, predicted_names))
        turned = max(map(len, short)) * len(names) > 50
        axes.set_xticks(
            range(len(names)), short_predicted, rotation=45 if turned else 0, ha="right" if turned else "center"
        )
        axes.set_yticks(range(len(names)), short)
        axes.set(xlabel="predicted", ylabel="truth")
        axes.tick_params(axis="x", rotation_mode="anchor")
        if len(names) > 15:
            axes.tick_params(labelsize=7.5)
        size = 11 if len(names) <= 4 else 9 if len(names) <= 12 else 6.5
        for row, column in np.argwhere(counts > 0):
            fraction = f"\n{fractions[row, column]:.0%}" if len(names) <= 10 else ""
            text = f"{counts[row, column]:,}{fraction}"
            color = "white" if fractions[row, column] > 0.55 else INK
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size)
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="minor", length=0)

    side = 3.2 if len(names) <= 3 else 4.6 if len(names) <= 6 else 6.2 if len(names) <= 15 else 8.2
    alt = f"Confusion matrix of {len(names)} classes: truth down, predictions across"
    return render(name, table, (min(WIDTH, side + 1.6), side), [*names, *predicted_names], draw, alt)


def most_confused(table: Sequence[TableRow]) -> list[dict[str, Any]]:
    """List the wrong cells of a confusion matrix, the largest count first.

    Args:
        table: as for `plot_confusion_matrix`.

    Returns:
        Dicts with `truth`, `predicted`, `count`, and `fraction`, the fraction of the true class.
    """
    corner = next(iter(table[0]))
    pairs = []
    for row in table:
        total = sum(count for name, count in row.items() if name != corner)
        pairs += [
            {"truth": row[corner], "predicted": name, "count": count, "fraction": count / total}
            for name, count in row.items()
            if name not in (corner, row[corner]) and count
        ]
    return sorted(pairs, key=lambda pair: (-pair["count"], -pair["fraction"]))


def _plot_pairs(
    pairs: Sequence[TableRow], table: Sequence[TableRow], num_classes: int, unit: str, plot_name: str
) -> Plot:
    """Plot the most frequent of the confused pairs as bars.

    Args:
        pairs: as `most_confused` returns them.
        table: the rows of the plot's CSV file.
        num_classes: the number of classes.
        unit: what is counted, in the plural.
        plot_name: name of the plot's files.
    """
    pairs = pairs[:MAX_PAIRS]
    pairs = [pair for pair in pairs if pair["count"] > 1] or pairs  # a mistake made once is no pattern

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        labels = [f"{shorten(pair['truth'], 28)} → {shorten(pair['predicted'], 28)}" for pair in pairs]
        bars = axes.barh(range(len(pairs)), [pair["count"] for pair in pairs], color=ORANGE, height=0.7)
        axes.bar_label(bars, [f"{pair['count']:,}  ({pair['fraction']:.0%})" for pair in pairs], padding=3, fontsize=8)
        label_bars(axes, labels)
        axes.set(title="Most confused: truth → prediction", xlabel=f"{unit} (fraction of the true class)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.12)

    alt = f"The {len(pairs)} most confused pairs of {num_classes:,} classes"
    names = [pair[key] for pair in pairs for key in ("truth", "predicted")]
    return render(plot_name, table, (WIDTH, bar_chart_height(len(pairs))), names, draw, alt)


def _blue_colormap() -> matplotlib.colors.Colormap:
    return matplotlib.colors.LinearSegmentedColormap.from_list("blues", ["#F4F7FA", "#9CC7E4", BLUE, "#003F66"])
