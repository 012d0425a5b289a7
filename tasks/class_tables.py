"""Tables, lines and index maps about classes, shared by the evaluators of all tasks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.configs.errors import RetinueError

if TYPE_CHECKING:
    from retinue.data.dataset import Dataset

MAX_NAMED_CLASSES = 5  # class names that a sentence lists before it only counts the rest
MAX_WORST_CLASSES = 3


def model_class_indices(dataset: "Dataset", classes: Sequence[str], ignore_unused: bool = False) -> np.ndarray:
    """Map the classes of a dataset to the classes of a model by their names.

    Args:
        dataset: the dataset to score.
        classes: class names of the model.
        ignore_unused: accept a class that the model does not know if the dataset has no example of it.

    Returns:
        int64 [classes of the dataset], the model's index of each class; -1 for an unused unknown class.

    Raises:
        RetinueError: the dataset has a class that the model does not know.
    """
    index = {name: position for position, name in enumerate(classes)}
    unknown = [name for name in dataset.classes if name not in index]
    if unknown and ignore_unused:
        counts = dict(zip(dataset.classes, dataset.class_counts(), strict=True))
        unknown = [name for name in unknown if counts[name]]
    if unknown:
        raise RetinueError(
            f"{dataset.source or 'the data'}: the model does not know the class {quoted_names(unknown)}; it knows "
            f"{quoted_names(classes)}. Rename or remove the class, or train a model on this data"
        )
    return np.array([index.get(name, -1) for name in dataset.classes], np.int64)


def confusion_rows(classes: Sequence[str], matrix: np.ndarray) -> list[dict[str, Any]]:
    """Turn a confusion matrix into the rows of its CSV file.

    Args:
        classes: class names.
        matrix: int [classes, classes], the true class down and the predicted class across.

    Returns:
        A dict per true class: its name under "truth/predicted", and a count under the name of each predicted class.
    """
    return [
        {"truth/predicted": name} | dict(zip(classes, row.tolist(), strict=True))
        for name, row in zip(classes, matrix, strict=True)
    ]


def worst_class_lines(per_class: Sequence[Mapping[str, Any]], metric: str, label: str) -> list[str]:
    """Format the classes with the lowest score for the terminal, one line per class.

    Args:
        per_class: rows of `Scores.per_class`, with "class", `metric`, "recall" and "precision".
        metric: key of the number that ranks the classes.
        label: name of that number on the line, such as "F1".

    Returns:
        At most three lines, the worst class first; classes whose number is undefined are omitted.
    """
    rows = sorted((row for row in per_class if row[metric] is not None), key=lambda row: row[metric])
    rows = rows[:MAX_WORST_CLASSES]
    width = max((len(row["class"]) for row in rows), default=0)
    return [
        f"  {row['class']:<{width}}  {label} {row[metric]:.2f}, recall {percent(row['recall'])}, "
        f"precision {percent(row['precision'])}"
        for row in rows
    ]


def percent(fraction: float | None) -> str:
    """Format a fraction as a whole percentage; "-" if it is undefined."""
    return "-" if fraction is None else f"{fraction:.0%}"


def quoted_names(names: Sequence[str]) -> str:
    """Join class names into a phrase: the first five in quotation marks, and the number of the others."""
    listed = ", ".join(f"“{name}”" for name in names[:MAX_NAMED_CLASSES])
    if len(names) <= MAX_NAMED_CLASSES:
        return listed
    return f"{listed} and {len(names) - MAX_NAMED_CLASSES} more"
