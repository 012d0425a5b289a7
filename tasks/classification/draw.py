"""Draws a classification: the image, the true class if it is known, and a bar for each of the best labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retinue.tasks import drawing
from retinue.tasks.classification.metrics import LABEL_THRESHOLD

MAX_LABELS = 3  # labels below an image


def draw(
    image: np.ndarray,
    prediction: Mapping[str, Any],
    truth: str | Sequence[str] | None = None,
) -> np.ndarray:
    """Draw a prediction below its image: green if it is correct, red if it is wrong, blue if the truth is unknown.

    Args:
        image: uint8 [h, w, 3], RGB, of any size.
        prediction: {"labels": [{"label", "score"}, ...]}, the best label first.
        truth: name of the true class, a sequence of names if a file has several labels, or None if unknown.

    Returns:
        uint8 [h', w', 3]: the image (enlarged if it is tiny) above a panel of text.
    """
    labels = prediction["labels"][:MAX_LABELS]
    true_names = [truth] if isinstance(truth, str) else truth
    if truth is None or isinstance(truth, str):
        rows = [_ranked_row(rank, label, true_names) for rank, label in enumerate(labels)]
    else:
        rows = [_multi_label_row(label, truth) for label in labels]
    if true_names is not None:
        rows.insert(0, drawing.Row("truth: " + (", ".join(true_names) or "no label")))
    return drawing.with_panel(image, rows)


def caption(target: np.ndarray, classes: Sequence[str], multi_label: bool) -> str:
    """Describe the target of an image: "cat"; "70% cat, 30% dog" if it was mixed; "no label".

    Args:
        target: float [classes].
        classes: class names.
        multi_label: whether a file may have several labels. Several labels keep the order of the classes; the
            fractions of a mixed label are written largest first.

    Returns:
        One line of text.
    """
    percents = np.round(100 * np.asarray(target, np.float64)).astype(int)
    order = np.arange(len(classes)) if multi_label else np.argsort(-percents, kind="stable")
    phrases = [
        classes[index] if percents[index] == 100 else f"{percents[index]}% {classes[index]}"
        for index in order
        if percents[index]
    ]
    return ", ".join(phrases) or "no label"


def _ranked_row(rank: int, label: Mapping[str, Any], true_names: Sequence[str] | None) -> drawing.Row:
    """Return the row of a single-label prediction; only the first label is colored."""
    if rank:
        return _row(label, drawing.FAINT)
    if true_names is None:
        return _row(label, drawing.NEUTRAL)
    return _scored_row(label, label["label"] in true_names)


def _multi_label_row(label: Mapping[str, Any], true_names: Sequence[str]) -> drawing.Row:
    """Return the row of one label of several; a true negative is drawn faintly."""
    predicted, actual = label["score"] >= LABEL_THRESHOLD, label["label"] in true_names
    return _scored_row(label, predicted == actual) if predicted or actual else _row(label, drawing.FAINT)


def _scored_row(label: Mapping[str, Any], correct: bool) -> drawing.Row:
    return _row(label, drawing.RIGHT if correct else drawing.WRONG, "✓ " if correct else "✗ ")


def _row(label: Mapping[str, Any], color: tuple[int, int, int], symbol: str = "") -> drawing.Row:
    return drawing.Row(symbol + label["label"], label["score"], color, f"{label['score']:.0%}")
