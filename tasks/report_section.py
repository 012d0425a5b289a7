"""`Section`: one part of a report's page. Each task supplies its own sections; the page's template knows no task."""

import base64
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from retinue.tasks.plots import Plot


@dataclass
class Table:
    """A table of a section.

    Attributes:
        columns: a pair for each column: its name, and whether it holds numbers.
        rows: a list of cells for each row. A cell is a dict with `text` and, where a bar is drawn behind it,
            `fraction`, its length from 0 to 1.
        num_highlighted: number of first rows that stand out.
        num_shown: rows after these are collapsed. None shows all.
    """

    columns: list[tuple[str, bool]]
    rows: list[list[dict[str, Any]]]
    num_highlighted: int = 0
    num_shown: int | None = None


@dataclass(frozen=True)
class ImageCard:
    """An image with its caption: the truth beside the prediction.

    Attributes:
        uri: the image as a data URI.
        class_map_uri: a second image, where the model looks, as a data URI; or None.
        truth: the true labels in words.
        predicted: a dict for each predicted label, with `name`, `score` (text) and `right` (bool).
        file: the file's name.
    """

    uri: str
    class_map_uri: str | None
    truth: str
    predicted: list[dict[str, Any]]
    file: str


@dataclass
class Section:
    """One part of the page. What is empty is not shown.

    Attributes:
        heading: the heading.
        text: paragraphs.
        plots: plots, each written as a PNG and a CSV file beside the page, too.
        table: a table, or None.
        images: images with captions.
        wide_images: whether each image is as wide as the page.
        sheets: dicts with `uri` and `caption`: images as wide as the page, collapsed after the first.
        collapsed: pairs of a summary and a preformatted text, which is shown on a click.
    """

    heading: str
    text: list[str] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    table: Table | None = None
    images: list[ImageCard] = field(default_factory=list)
    wide_images: bool = False
    sheets: list[dict[str, str]] = field(default_factory=list)
    collapsed: list[tuple[str, str]] = field(default_factory=list)


def percent(score: float | None) -> str:
    """Return a score as a whole percentage; an empty text where there is none."""
    return "" if score is None else f"{score:.0%}"


def table_cell(value: Any) -> dict[str, Any]:
    """Return a cell of a `Table`: a fraction with a bar, a count, a text, or a dash for None."""
    if isinstance(value, float):
        return {"text": f"{value:.1%}", "fraction": value}
    if isinstance(value, int):
        return {"text": f"{value:,}"}
    return {"text": "–" if value is None else value}


def data_uri(content: bytes, kind: str) -> str:
    """Return an image file as a data URI, which an `img` element shows without a file. kind: "png" or "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def jpeg_uri(image: np.ndarray) -> str:
    """Return an image, uint8 `[h, w, 3]`, as the data URI of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85)
    return data_uri(buffer.getvalue(), "jpeg")
