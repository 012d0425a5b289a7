"""The picture of a classification: the photo, the truth where it is known, and a bar for each of the best labels."""

import numpy as np

from retinue.tasks import drawing

SHOWN = 3  # labels on a picture
THRESHOLD = 0.5  # with several labels, a score of at least this gives the label


def draw(image, prediction, classes, truth=None):
    """Draw `prediction` under `image`: green where it is right, red where it is wrong, blue where nobody knows.

    image: uint8 `[h, w, 3]` RGB of any size. prediction: `{"labels": [{"label", "score"}, ...]}`, the best first.
    classes: class names. truth: None, the index of the class, or a sequence of indexes where a file has several labels.
    Returns uint8 `[h', w', 3]`: the picture (enlarged if it is tiny) above a panel of text.
    """
    several = truth is not None and np.ndim(truth) == 1
    true_names = None if truth is None else [classes[index] for index in np.atleast_1d(truth)]
    labels = prediction["labels"][:SHOWN]
    if several:
        rows = [_decision_row(label, true_names) for label in labels]
    else:
        rows = [_ranked_row(position, label, true_names) for position, label in enumerate(labels)]
    if true_names is not None:
        rows.insert(0, drawing.Row("truth: " + (", ".join(true_names) or "no label")))
    return drawing.with_panel(image, rows)


def _ranked_row(position, label, true_names):
    """A row where one label is the answer: only the first is coloured."""
    if position:
        return _row(label, drawing.FAINT)
    if true_names is None:
        return _row(label, drawing.NEUTRAL)
    return _judged_row(label, label["label"] in true_names)


def _decision_row(label, true_names):
    """A row where each label is a yes or a no of its own; a right no is faint."""
    said, true = label["score"] >= THRESHOLD, label["label"] in true_names
    return _judged_row(label, said == true) if said or true else _row(label, drawing.FAINT)


def _judged_row(label, right):
    return _row(label, drawing.RIGHT if right else drawing.WRONG, "✓ " if right else "✗ ")


def _row(label, color, mark=""):
    return drawing.Row(mark + label["label"], label["score"], color, f"{label['score']:.0%}")


def caption(target, classes, multi_label):
    """The classes of a picture's target as text: "cat"; "70% cat, 30% dog" of a mixed one; "no label".

    target: float `[C]`. Shares of one label are written largest first; several labels keep the order of the classes.
    """
    percents = np.round(100 * np.asarray(target, np.float64)).astype(int)
    order = range(len(classes)) if multi_label else np.argsort(-percents, kind="stable")
    parts = [
        classes[index] if percents[index] == 100 else f"{percents[index]}% {classes[index]}"
        for index in order
        if percents[index]
    ]
    return ", ".join(parts) or "no label"
