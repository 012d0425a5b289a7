"""The calibration of a classifier in a report: the reliability diagram and what it means in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from retinue.tasks.plots import BLUE, GRAY, WIDTH, Plot, TableRow, render
from retinue.tasks.report_section import Section
from retinue.tasks.scores import counted

if TYPE_CHECKING:
    from retinue.tasks.scores import Scores

FEW_LABELS = 200  # fewer, spread over 15 bins, say little


def calibration_section(scores: "Scores") -> Section:
    """Make the section with the reliability diagram.

    Args:
        scores: with the table `calibration`, as `plot_reliability` takes it, and the metric `calibration_error`.

    Returns:
        The section.
    """
    table = scores.tables["calibration"]
    filled = [row for row in table if row["count"]]
    total = sum(row["count"] for row in filled)
    confidence = sum(row["count"] * row["confidence"] for row in filled) / total
    accuracy = sum(row["count"] * row["accuracy"] for row in filled) / total
    error = scores.metrics["calibration_error"]
    if error < 0.03:
        verdict = "it is well calibrated"
    elif abs(confidence - accuracy) < 0.02:
        verdict = "it is overconfident in some ranges and underconfident in others"
    elif confidence > accuracy:
        verdict = "it is overconfident"
    else:
        verdict = "it is underconfident"
    text = (
        f"The mean confidence of a predicted label is {confidence:.1%}, and {accuracy:.1%} of these labels are right: "
        f"{verdict} (mean gap {error:.1%})."
    )
    last = table[-1]
    if last["count"]:
        text += f" The confidence is above {last['low']:.0%} for {last['count']:,} of {counted(total, 'label')}: "
        text += _right_in_words(round(last["count"] * last["accuracy"]), last["count"])
    if total < FEW_LABELS:
        text += f" With only {counted(total, 'label')} this is a rough estimate."
    return Section("Calibration of the confidence", [text], [plot_reliability(table)])


def _right_in_words(right: int, count: int) -> str:
    if count == 1:
        return "it is right." if right else "it is wrong."
    if right in (0, count):
        return "all of them are right." if right else "none of them is right."
    return f"{right:,} of these {'is' if right == 1 else 'are'} right ({right / count:.1%})."


def plot_reliability(table: Sequence[TableRow]) -> Plot:
    """Plot the accuracy at each confidence, with 95% intervals, and the number of labels at each confidence.

    Args:
        table: one row for each bin with `low`, `high`, `count`, `confidence` and `accuracy`; the last two are None in
            empty bins.

    Returns:
        The plot.
    """
    filled = [row for row in table if row["count"]]
    accuracy = np.array([row["accuracy"] for row in filled])
    confidence = np.array([row["confidence"] for row in filled])
    low, high = wilson_interval(accuracy, np.array([row["count"] for row in filled]))

    def draw(figure: Figure) -> None:
        axes, counts = figure.subplots(1, 2, width_ratios=(1, 1))
        axes.plot([0, 1], [0, 1], "--", color=GRAY, linewidth=1.2, label="perfect calibration")
        axes.vlines(confidence, low, high, color=BLUE, alpha=0.35, linewidth=3)
        axes.plot(confidence, accuracy, "o-", color=BLUE, label="this model, with 95% intervals")
        axes.set(title="Reliability", xlabel="confidence of a label", ylabel="fraction of these labels that is right")
        axes.set(xlim=(0, 1.01), ylim=(0, 1.01))
        figure.legend(loc="outside lower left", ncols=2)
        width = table[0]["high"] - table[0]["low"]
        counts.bar([(row["low"] + row["high"]) / 2 for row in table], [row["count"] for row in table], 0.9 * width)
        for bar in counts.patches:
            bar.set_color(BLUE)
        counts.set(title="Number of labels", xlabel="confidence of a label", ylabel="labels", xlim=(0, 1.01))
        counts.yaxis.set_major_locator(MaxNLocator(integer=True))
        for each in (axes, counts):
            each.xaxis.set_major_formatter(PercentFormatter(1))
            each.set_xticks(np.linspace(0, 1, 6))
        axes.yaxis.set_major_formatter(PercentFormatter(1))

    alt = "Reliability diagram: the accuracy at each confidence, and the number of labels"
    return render("calibration", table, (WIDTH, 3.7), [], draw, alt)


def wilson_interval(fraction: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the 95% interval of a fraction of `count` trials (Wilson 1927).

    Args:
        fraction: float `[n]`, from 0 to 1.
        count: int `[n]`, at least 1.

    Returns:
        The lower and the upper bounds, float `[n]` each.
    """
    z = 1.96
    middle = (fraction + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(fraction * (1 - fraction) / count + z * z / (4 * count * count))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
