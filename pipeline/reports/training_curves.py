"""The course of training in a report: loss, primary metric and learning rate over the epochs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from retinue.tasks.plots import (
    BLUE,
    GRAY,
    INK,
    LIGHT,
    ORANGE,
    WIDTH,
    Plot,
    TableRow,
    column_values,
    metric_label,
    render,
    shorten,
)
from retinue.tasks.report_section import Section
from retinue.tasks.scores import counted, metric_text


def training_section(
    history: Sequence[TableRow], primary_metric: str | None, plain_metrics: Sequence[str] = ()
) -> Section:
    """Make the section with the training curves and the best epoch.

    Args:
        history: the rows of metrics.csv.
        primary_metric: name of the primary metric; None where there are no scores. It is not plotted where no epoch
            has it.
        plain_metrics: metrics that are no fractions (see `Scores.plain_metrics`).

    Returns:
        The section.
    """
    if not any(row.get(f"val_{primary_metric}") is not None for row in history):
        primary_metric = None
    best = best_epoch(history, primary_metric) if primary_metric else None
    text = []
    if best and primary_metric:
        value = metric_text(primary_metric, best[f"val_{primary_metric}"], plain_metrics)
        text.append(
            f"The best epoch was {best['epoch']} of {history[-1]['epoch']}, with {value} on the validation set. A "
            "validation loss that rises while the training loss falls means that the model overfits the training set."
        )
    return Section("Training", text, [plot_training_curves(history, primary_metric, plain_metrics)])


def best_epoch(history: Sequence[TableRow], primary_metric: str) -> TableRow | None:
    """Return the row of the epoch whose weights were kept: the last one marked `best`.

    Args:
        history: the rows of metrics.csv.
        primary_metric: name of the primary metric.

    Returns:
        The row, or None where nothing was validated.
    """
    best = [row for row in history if row.get("best") and row.get(f"val_{primary_metric}") is not None]
    return best[-1] if best else None


def plot_training_curves(
    history: Sequence[TableRow], primary_metric: str | None, plain_metrics: Sequence[str] = ()
) -> Plot:
    """Plot loss, primary metric and learning rate over the epochs, with each stage shaded and the best epoch circled.

    Args:
        history: the rows of metrics.csv, with `epoch`, `stage`, `loss`, `val_loss`, `val_<primary_metric>`,
            `learning_rate` and `best`.
        primary_metric: name of the primary metric, or None where there is no validation set. Then it is not plotted.
        plain_metrics: metrics that are no fractions (see `Scores.plain_metrics`).

    Returns:
        The plot.
    """
    epochs = np.array([row["epoch"] for row in history])

    def draw(figure: Figure) -> None:
        all_axes = figure.subplots(1, 3 if primary_metric else 2)
        losses, rates = all_axes[0], all_axes[-1]
        titles = ["Loss", *([_title(primary_metric)] if primary_metric else []), "Learning rate"]
        margin = max(0.5, 0.04 * len(epochs))  # the circle of the best epoch must fit
        for axes, title in zip(all_axes, titles, strict=True):
            axes.set(title=title, xlabel="epoch", xlim=(epochs[0] - min(margin, 0.9), epochs[-1] + margin))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.margins(y=0.12)
            _mark_stages(axes, history)
        _plot_line(losses, epochs, column_values(history, "loss"), BLUE, "training")
        _plot_line(losses, epochs, column_values(history, "val_loss"), ORANGE, "validation")
        if primary_metric:
            _plot_metric(all_axes[1], epochs, history, primary_metric, primary_metric in plain_metrics)
        learning_rates = column_values(history, "learning_rate")
        for start, end in _stage_ranges(history):  # the learning rate jumps between stages, it does not slope
            _plot_line(rates, epochs[start:end], learning_rates[start:end], GRAY, None)
        if np.nanmax(learning_rates, initial=0) > 0:
            rates.set_ylim(0, 1.15 * np.nanmax(learning_rates))
        rates.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        figure.legend(loc="outside lower left", ncols=3)

    what = f"Training and validation loss, {metric_label(primary_metric)}" if primary_metric else "Training loss"
    alt = f"{what} and learning rate over {counted(len(history), 'epoch')}"
    return render("curves", history, (WIDTH, 3.1), [row["stage"] for row in history], draw, alt)


def _title(name: str) -> str:
    label = metric_label(name)
    return label[0].upper() + label[1:]


def _plot_metric(axes: Axes, epochs: np.ndarray, history: Sequence[TableRow], name: str, is_plain: bool) -> None:
    column = f"val_{name}"
    _plot_line(axes, epochs, column_values(history, column), ORANGE, None)
    best = best_epoch(history, name)
    if best:
        value = metric_text(name, best[column], (name,) if is_plain else ())
        label = f"best epoch, whose weights were kept: {value}"
        axes.plot(best["epoch"], best[column], "o", markersize=10, fillstyle="none", color=INK, label=label)
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    if not is_plain:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if np.ptp(axes.get_ylim()) > 0.04 else 1))


def _plot_line(axes: Axes, x: np.ndarray, y: np.ndarray, color: str, label: str | None) -> None:
    """Plot a curve. Up to 40 points have markers, and so has a single one."""
    if np.isfinite(y).any():
        axes.plot(x, y, "o-" if len(x) <= 40 else "-", color=color, label=label)


def _stage_ranges(history: Sequence[TableRow]) -> list[tuple[int, int]]:
    """Return the first row of each stage, and the row after its last."""
    starts = [index for index, row in enumerate(history) if not index or row["stage"] != history[index - 1]["stage"]]
    return list(zip(starts, [*starts[1:], len(history)], strict=True))


def _mark_stages(axes: Axes, history: Sequence[TableRow]) -> None:
    """Shade every second stage, and write its name below the upper end of the axes."""
    for number, (start, end) in enumerate(_stage_ranges(history)):
        left, right = history[start]["epoch"] - 0.5, history[end - 1]["epoch"] + 0.5
        if number % 2 == 0:
            axes.axvspan(left, right, color=LIGHT, alpha=0.5, linewidth=0, zorder=0)
        is_narrow = right - left < 0.15 * len(history)  # then its name begins where the stage does
        axes.text(
            left if is_narrow else (left + right) / 2,
            0.99,
            shorten(history[start]["stage"], 12),
            transform=axes.get_xaxis_transform(),
            ha="left" if is_narrow else "center",
            va="top",
            fontsize=7.5,
            color=GRAY,
        )
