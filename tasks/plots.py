"""What all plots of a report share: the style, the `Plot` that a report takes, and drawing helpers.

Matplotlib's objects are used without pyplot, so that no figure outlives its function and no display is needed.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retinue.tasks.fonts import drawable, font_families

# Blue and orange of Okabe and Ito, and grays: color-blind readers tell them apart, and so does a gray printer.
BLUE, ORANGE, GRAY, LIGHT, INK = "#0072B2", "#E08A00", "#8A949E", "#E4E8EC", "#24292E"
WIDTH = 9.0  # inches; the page shows it at 900 pixels, which makes 9 points 12.5 pixels
DPI = 200
LEGEND = 0.3  # inches that a legend below the axes takes
MAX_CLASSES = 30  # more rows than this are not readable
WORST_CLASSES = 20  # classes that are shown when there are more
STYLE = {
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GRAY,
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

TableRow = Mapping[str, Any]


@dataclass(frozen=True)
class Plot:
    """A plot of a report, and the numbers that it shows.

    Attributes:
        name: name of its files, without the suffix.
        png: the image file.
        rows: the numbers, one dict for each row of the CSV file beside the image.
        alt: a description of the image in words.
        width: width in inches. The page shows 100 pixels for each inch.
    """

    name: str
    png: bytes
    rows: Sequence[TableRow]
    alt: str
    width: float


def render(
    name: str,
    rows: Sequence[TableRow],
    size: tuple[float, float],
    texts: Iterable[object],
    draw: Callable[[Figure], None],
    alt: str,
) -> Plot:
    """Draw a plot in the report's style. The same input gives the same bytes.

    Args:
        name: name of its files, without the suffix.
        rows: the numbers that the plot shows.
        size: width and height in inches.
        texts: all texts that come from users, such as class names, so that fonts with their characters are chosen.
        draw: function that draws into an empty figure.
        alt: a description of the image in words.

    Returns:
        The plot.
    """
    families = font_families("".join(map(str, texts)))
    with matplotlib.rc_context(STYLE | {"font.family": families}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # no installed font has it: a box is drawn
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return Plot(name, buffer.getvalue(), rows, alt, size[0])


def metric_label(name: str) -> str:
    """Return the name of a metric as a reader writes it: "f1" -> "F1", "ap_small" -> "AP small"."""
    name = re.sub(r"\b(ap|ar|voc)(?=\d|\b)", lambda match: match[0].upper(), name.replace("_", " "))
    return name.replace("f1", "F1").replace("top5", "top 5")


def shorten(text: str, length: int) -> str:
    """Return `text` on one line of at most `length` characters."""
    text = drawable(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def column_values(rows: Sequence[TableRow], name: str) -> np.ndarray:
    """Return a column of a table as float64 `[rows]`, NaN where it is missing or None."""
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], np.float64)


def label_bars(axes: Axes, labels: Sequence[str]) -> None:
    """Label the rows of a horizontal bar chart, the first row on top."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)


def bar_chart_height(rows: int) -> float:
    """Return the height in inches of a horizontal bar chart of `rows` bars."""
    return 1.1 + 0.26 * max(rows, 2)
