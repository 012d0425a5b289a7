"""The precision-recall curves of a detector's report."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from retinue.tasks.plots import INK, WIDTH, Plot, TableRow, render, shorten

# The colors of Okabe and Ito, without the yellow that no line can have on white. The mean over classes has ink.
COLORS = ("#0072B2", "#E08A00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A949E")
DASHES = ("-", "--")


def plot_precision_recall(table: Sequence[TableRow], per_class: Sequence[TableRow]) -> Plot:
    """Plot the precision at each recall for an IoU of 0.5: the mean over classes, and each class.

    Args:
        table: rows with `recall`, `all classes` and, unless there are too many classes, a column for each class.
        per_class: rows with `class` and `ap50`.

    Returns:
        The plot.
    """
    names = [name for name in table[0] if name not in ("recall", "all classes")]
    ap50 = {row["class"]: row["ap50"] for row in per_class}
    mean = np.mean([value for value in ap50.values() if value is not None])
    recall = [row["recall"] for row in table]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for index, name in enumerate(names):
            color, dash = COLORS[index % len(COLORS)], DASHES[index // len(COLORS) % len(DASHES)]
            label = f"{shorten(name, 28)}: {ap50[name]:.1%}"
            axes.plot(recall, [row[name] for row in table], dash, color=color, linewidth=1.3, label=label)
        mean_of = "all classes" if len(ap50) > 1 else next(iter(ap50))
        label = f"{shorten(mean_of, 28)}: {mean:.1%}"
        axes.plot(recall, [row["all classes"] for row in table], color=INK, linewidth=2.4, label=label)
        axes.set(title="Precision and recall", xlabel="recall: fraction of the objects that is detected")
        axes.set(ylabel="precision: fraction of the boxes that is right", xlim=(0, 1.01), ylim=(0, 1.01))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title="AP50")

    alt = f"Precision over recall at an IoU of 0.5; AP50 is {mean:.1%}"
    return render("precision_recall", table, (WIDTH, 4.2), list(ap50), draw, alt)
