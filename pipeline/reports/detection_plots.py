"""The plots of a detector's report, besides those of plots.py."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from retinue.pipeline.reports import plots

# Okabe and Ito's, without the yellow that no line can have on white; the mean over classes is drawn in ink.
COLORS = ("#0072B2", "#E08A00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A949E")
DASHES = ("-", "--")


def precision_recall(table, per_class):
    """Precision at each recall for an overlap of 0.5: the mean over classes, and each class where the table has them.

    table: rows with `recall`, "all classes" and perhaps a column a class; per_class: rows with `class` and `ap50`.
    """
    names = [name for name in table[0] if name not in ("recall", "all classes")]
    ap50 = {row["class"]: row["ap50"] for row in per_class}
    mean = np.mean([value for value in ap50.values() if value is not None])
    recall = [row["recall"] for row in table]

    def draw(figure):
        axes = figure.subplots()
        for place, name in enumerate(names):
            color, dash = COLORS[place % len(COLORS)], DASHES[place // len(COLORS) % len(DASHES)]
            label = f"{plots.shorten(name, 28)}: {ap50[name]:.1%}"
            axes.plot(recall, [row[name] for row in table], dash, color=color, linewidth=1.3, label=label)
        kind = "all classes" if len(ap50) > 1 else next(iter(ap50))
        label = f"{plots.shorten(kind, 28)}: {mean:.1%}"
        axes.plot(recall, [row["all classes"] for row in table], color=plots.INK, linewidth=2.4, label=label)
        axes.set(title="Precision and recall", xlabel="recall: share of the objects that are found")
        axes.set(ylabel="precision: share of its boxes that are right", xlim=(0, 1.01), ylim=(0, 1.01))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), title="AP50")

    alt = f"Precision over recall at an overlap of 0.5; AP50 is {mean:.1%}"
    return plots.make("precision_recall", table, (plots.WIDTH, 4.2), list(ap50), draw, alt)
