"""The plots of a report. Each gives PNG bytes and the rows of numbers that it shows, for a CSV beside it.

Matplotlib's objects are used without pyplot, so that no figure outlives its function and no display is needed.
"""

import io
import re
import warnings
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from retinue.data.dataset import SPLITS
from retinue.tasks.fonts import drawable, font_families
from retinue.tasks.scores import counted

# Okabe and Ito's blue and orange, and greys: apart for colour-blind eyes, and on a grey printer.
BLUE, ORANGE, GREY, LIGHT, INK = "#0072B2", "#E08A00", "#8A949E", "#E4E8EC", "#24292E"
SPLIT_COLORS = dict(zip((*SPLITS, "no split"), (BLUE, ORANGE, GREY, BLUE), strict=True))
WIDTH = 9.0  # inches; the page shows it at 900 pixels, which makes 9 points 12.5 pixels
DPI = 200
LEGEND = 0.3  # inches that a legend below the axes takes
MOST_CLASSES = 30  # more rows than this are not readable
WORST_CLASSES, MOST_PAIRS = 20, 20  # shown when there are more classes
STYLE = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "text.parse_math": False,  # a dollar in a class name is a dollar
}


@dataclass(frozen=True)
class Plot:
    """name: of its files, without the ending; png: the picture; rows: dicts, the numbers; alt: the picture in words.

    width: inches; the page shows 100 pixels an inch.
    """

    name: str
    png: bytes
    rows: list
    alt: str
    width: float


def curves(history, headline):
    """Loss, score and rate over the epochs, each stage marked, the best epoch ringed.

    history: rows of metrics.csv with `epoch`, `stage`, `loss`, `val_loss`, `val_<headline>`, `rate`, `best`.
    headline: name of the score, or None where no files were held out; then there is no score to draw.
    """
    epochs = np.array([row["epoch"] for row in history])

    def draw(figure):
        losses, *scores, rates = figure.subplots(1, 3 if headline else 2)
        margin = max(0.5, 0.04 * len(epochs))  # the ring of the best epoch must fit
        for axes, title in ((losses, "Loss"), (rates, "Learning rate"), *((axes, _title(headline)) for axes in scores)):
            axes.set(title=title, xlabel="epoch", xlim=(epochs[0] - min(margin, 0.9), epochs[-1] + margin))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.margins(y=0.12)
            _mark_stages(axes, history)
        _line(losses, epochs, _column(history, "loss"), BLUE, "training")
        _line(losses, epochs, _column(history, "val_loss"), ORANGE, "validation")
        for axes in scores:
            _score_curve(axes, epochs, history, headline)
        rate = _column(history, "learning_rate")
        for start, end in _stages(history):  # the rate jumps between stages, it does not slope
            _line(rates, epochs[start:end], rate[start:end], GREY, None)
        if np.nanmax(rate, initial=0) > 0:
            rates.set_ylim(0, 1.15 * np.nanmax(rate))
        rates.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        figure.legend(loc="outside lower left", ncols=3)

    what = f"Training and validation loss, {words(headline)}" if headline else "Training loss"
    alt = f"{what} and learning rate over {counted(len(history), 'epoch')}"
    return make("curves", history, (WIDTH, 3.1), [row["stage"] for row in history], draw, alt)


def _title(name):
    name = words(name)
    return name[0].upper() + name[1:]


def _score_curve(axes, epochs, history, headline):
    score = f"val_{headline}"
    _line(axes, epochs, _column(history, score), ORANGE, None)
    best = best_epoch(history, headline)
    if best:
        label = f"the epoch that was kept: {best[score]:.1%}"
        axes.plot(best["epoch"], best[score], "o", markersize=10, fillstyle="none", color=INK, label=label)
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0 if np.ptp(axes.get_ylim()) > 0.04 else 1))


def best_epoch(history, headline):
    """The row whose weights were kept: the last one marked `best`; None where nothing was validated."""
    best = [row for row in history if row.get("best") and row.get(f"val_{headline}") is not None]
    return best[-1] if best else None


def confusion(table, noun="files", name="confusion"):
    """The confusion matrix, cells coloured by their share of the row; above 30 classes the most confused pairs.

    table: rows with the class in the first column, and a column of counts an answer: the same classes, or, for
    detection, one row and one column more that differ. noun: what is counted. name: of the plot's files.
    """
    corner, *answers = table[0]
    names = [row[corner] for row in table]
    counts = np.array([[row[name] for name in answers] for row in table], np.int64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(names) > MOST_CLASSES:
        return _confused_pairs(table, names, noun, name)

    def draw(figure):
        axes = figure.subplots()
        axes.imshow(shares, cmap=_blues(), vmin=0, vmax=1)
        axes.grid(False)
        short, short_answers = ([shorten(name, 20) for name in some] for some in (names, answers))
        turned = max(map(len, short)) * len(names) > 50
        axes.set_xticks(
            range(len(names)), short_answers, rotation=45 if turned else 0, ha="right" if turned else "center"
        )
        axes.set_yticks(range(len(names)), short)
        axes.set(xlabel="the model's answer", ylabel="truth")
        axes.tick_params(axis="x", rotation_mode="anchor")
        if len(names) > 15:
            axes.tick_params(labelsize=7.5)
        size = 11 if len(names) <= 4 else 9 if len(names) <= 12 else 6.5
        for row, column in np.argwhere(counts > 0):
            share = f"\n{shares[row, column]:.0%}" if len(names) <= 10 else ""
            color = "white" if shares[row, column] > 0.55 else INK
            axes.text(
                column, row, f"{counts[row, column]:,}{share}", ha="center", va="center", color=color, fontsize=size
            )
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="minor", length=0)

    side = 3.2 if len(names) <= 3 else 4.6 if len(names) <= 6 else 6.2 if len(names) <= 15 else 8.2
    alt = f"Confusion matrix of {len(names)} classes: truth down, the model's answer across"
    return make(name, table, (min(WIDTH, side + 1.6), side), [*names, *answers], draw, alt)


def most_confused(table):
    """The wrong cells of a confusion table, most files first: dicts with `truth`, `predicted`, `count`, `share`.

    share: of the files of the true class.
    """
    corner = next(iter(table[0]))
    pairs = []
    for row in table:
        files = sum(count for name, count in row.items() if name != corner)
        pairs += [
            {"truth": row[corner], "predicted": name, "count": count, "share": count / files}
            for name, count in row.items()
            if name not in (corner, row[corner]) and count
        ]
    return sorted(pairs, key=lambda pair: (-pair["count"], -pair["share"]))


def _confused_pairs(table, names, noun, name):
    pairs = most_confused(table)[:MOST_PAIRS]
    pairs = [pair for pair in pairs if pair["count"] > 1] or pairs  # a mistake made once is no pattern

    def draw(figure):
        axes = figure.subplots()
        labels = [f"{shorten(pair['truth'], 28)} → {shorten(pair['predicted'], 28)}" for pair in pairs]
        bars = axes.barh(range(len(pairs)), [pair["count"] for pair in pairs], color=ORANGE, height=0.7)
        axes.bar_label(bars, [f"{pair['count']:,}  ({pair['share']:.0%})" for pair in pairs], padding=3, fontsize=8)
        _rows(axes, labels)
        axes.set(title="Most confused: truth → the model's answer", xlabel=f"{noun} (share of the true class)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.12)

    alt = f"The {len(pairs)} most confused pairs of {len(names)} classes"
    return make(name, table, (WIDTH, _height(len(pairs))), names, draw, alt)


def reliability(table):
    """How often the model is right at each confidence, with 95% intervals, and how many answers there are.

    table: rows with `low`, `high`, `count`, `confidence`, `accuracy`; confidence and accuracy None in empty bins.
    """
    filled = [row for row in table if row["count"]]
    accuracy = np.array([row["accuracy"] for row in filled])
    confidence = np.array([row["confidence"] for row in filled])
    low, high = _wilson(accuracy, np.array([row["count"] for row in filled]))

    def draw(figure):
        axes, counts = figure.subplots(1, 2, width_ratios=(1, 1))
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1.2, label="a model that knows how sure it is")
        axes.vlines(confidence, low, high, color=BLUE, alpha=0.35, linewidth=3)
        axes.plot(confidence, accuracy, "o-", color=BLUE, label="this model, with 95% intervals")
        axes.set(title="Reliability", xlabel="how sure the model is of a label", ylabel="how often that label is true")
        axes.set(xlim=(0, 1.01), ylim=(0, 1.01))
        figure.legend(loc="outside lower left", ncols=2)
        width = table[0]["high"] - table[0]["low"]
        counts.bar([(row["low"] + row["high"]) / 2 for row in table], [row["count"] for row in table], 0.9 * width)
        for bar in counts.patches:
            bar.set_color(BLUE)
        counts.set(title="How many", xlabel="how sure the model is of a label", ylabel="labels", xlim=(0, 1.01))
        counts.yaxis.set_major_locator(MaxNLocator(integer=True))
        for each in (axes, counts):
            each.xaxis.set_major_formatter(PercentFormatter(1))
            each.set_xticks(np.linspace(0, 1, 6))
        axes.yaxis.set_major_formatter(PercentFormatter(1))

    alt = "Reliability diagram: how often the model is right at each confidence, and the number of answers"
    return make("calibration", table, (WIDTH, 3.7), [], draw, alt)


def class_counts(dataset):
    """Files (for detection objects) of each class in each split, the largest class first; above 30 classes the largest
    and the smallest 15."""
    splits = [name for name in (*SPLITS, "") if (dataset.splits == name).any()]
    counts = np.array([dataset.split(name).class_counts() for name in splits])
    names = [name or "no split" for name in splits]
    noun = "objects" if dataset.task == "detection" else "files"
    rows = [
        {"class": name} | dict(zip(names, counts[:, index].tolist(), strict=True))
        for index, name in enumerate(dataset.classes)
    ]
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    cut = len(order) > MOST_CLASSES
    shown = np.concatenate([order[: MOST_CLASSES // 2], order[-MOST_CLASSES // 2 :]]) if cut else order

    def draw(figure):
        axes = figure.subplots()
        start = np.zeros(len(shown))
        for name, values in zip(names, counts[:, shown], strict=True):
            axes.barh(range(len(shown)), values, left=start, color=SPLIT_COLORS[name], height=0.7, label=name)
            start += values
        for position, total in enumerate(start):
            axes.annotate(
                f"{total:,.0f}", (total, position), (4, 0), textcoords="offset points", va="center", fontsize=8
            )
        _rows(axes, [shorten(dataset.classes[index], 28) for index in shown])
        if cut:
            axes.axhline(MOST_CLASSES // 2 - 0.5, color=GREY, linewidth=1, linestyle=":")
        title = (
            f"The 15 largest and the 15 smallest of {len(order)} classes"
            if cut
            else f"{noun.capitalize()} of each class"
        )
        axes.set(title=title, xlabel=noun)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.08)
        figure.legend(loc="outside lower left", ncols=len(names))  # within the axes it would lie on the last bars

    alt = f"Number of {noun} of each class in {', '.join(names)}"
    return make("classes", rows, (WIDTH, _height(len(shown)) + LEGEND), dataset.classes, draw, alt)


def per_class(rows):
    """F1 of each class as a bar, precision and recall as marks, the worst class first; above 30 classes the worst 20.

    rows: dicts with `class`, `count`, `precision`, `recall`, `f1`; None where undefined.
    """
    shown = worst_first(rows)
    cut = len(shown) > MOST_CLASSES
    shown = shown[:WORST_CLASSES] if cut else shown

    def draw(figure):
        axes = figure.subplots()
        at = range(len(shown))
        axes.barh(at, _column(shown, "f1"), color=BLUE, alpha=0.25, height=0.7, label="F1")
        precision, recall = _column(shown, "precision"), _column(shown, "recall")
        axes.plot(
            precision, at, "o", color=BLUE, label="precision", clip_on=False, markersize=8, markerfacecolor="white"
        )
        axes.plot(recall, at, "D", color=ORANGE, label="recall", clip_on=False)
        _rows(axes, [f"{shorten(row['class'], 28)}  ({row['count']:,})" for row in shown])
        axes.set(xlim=(0, 1.01), xlabel=f"the worst {len(shown)} of {len(rows)} classes" if cut else "")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)

    alt = f"Precision, recall and F1 of {len(shown)} classes, the worst first"
    return make("per_class", rows, (WIDTH, _height(len(shown))), [row["class"] for row in rows], draw, alt)


def worst_first(rows):
    """The rows of a per-class table that have files: lowest F1 first, and of equal ones the largest class."""
    scored = [row for row in rows if row["count"]]
    return sorted(scored, key=lambda row: (row["f1"], -row["count"]))


def words(name):
    """The name of a number as words: "f1" -> "F1", "ap_small" -> "AP small", "voc07_ap50" -> "VOC07 AP50"."""
    name = re.sub(r"\b(ap|ar|voc)(?=\d|\b)", lambda found: found[0].upper(), name.replace("_", " "))
    return name.replace("f1", "F1").replace("top5", "top 5")


def shorten(text, length):
    """`text` on one line of at most `length` characters."""
    text = drawable(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def make(name, rows, size, texts, draw, alt):
    """A `Plot`. size: inches; texts: what is written in it, for the fonts; draw: takes matplotlib's empty figure."""
    families = font_families("".join(map(str, texts)))
    with matplotlib.rc_context(STYLE | {"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # no installed font has it: a box is drawn
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return Plot(name, buffer.getvalue(), rows, alt, size[0])


def _column(rows, name):
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], np.float64)


def _line(axes, x, y, color, label):
    """A curve; up to 40 points are marked, and so is a single one."""
    if np.isfinite(y).any():
        axes.plot(x, y, "o-" if len(x) <= 40 else "-", color=color, label=label)


def _stages(history):
    """(first, end) of the rows of each stage."""
    starts = [index for index, row in enumerate(history) if not index or row["stage"] != history[index - 1]["stage"]]
    return list(zip(starts, [*starts[1:], len(history)], strict=True))


def _mark_stages(axes, history):
    """Shade every second stage and write its name below the axes' upper end."""
    for number, (start, end) in enumerate(_stages(history)):
        left, right = history[start]["epoch"] - 0.5, history[end - 1]["epoch"] + 0.5
        if number % 2 == 0:
            axes.axvspan(left, right, color=LIGHT, alpha=0.5, linewidth=0, zorder=0)
        narrow = right - left < 0.15 * len(history)  # then its name begins where the stage does
        axes.text(
            left if narrow else (left + right) / 2,
            0.99,
            shorten(history[start]["stage"], 12),
            transform=axes.get_xaxis_transform(),
            ha="left" if narrow else "center",
            va="top",
            fontsize=7.5,
            color=GREY,
        )


def _rows(axes, labels):
    """A horizontal bar chart's rows, the first on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)


def _height(rows):
    return 1.1 + 0.26 * max(rows, 2)


def _blues():
    return matplotlib.colors.LinearSegmentedColormap.from_list("blues", ["#F4F7FA", "#9CC7E4", BLUE, "#003F66"])


def _wilson(share, count):
    """95% interval of a share of `count` (Wilson 1927)."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
