"""The part of the check that counts classes: which can't be trained on, and which can't be scored."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from retinue.data.dataset import SPLITS, Dataset
from retinue.data.finding import WARNING, Finding

PARTS = {"detection": "object", "segmentation": "pixel"}  # of the tasks whose images show several things

ClassCounts = Mapping[str, np.ndarray]


def class_counts(dataset: Dataset, usable: np.ndarray) -> dict[str, np.ndarray]:
    """Count the files, or objects, of each class.

    Args:
        dataset: The dataset.
        usable: bool `[n]`, the rows that count.

    Returns:
        For each split that the dataset has, int64 `[classes]`; "" are files without a split.
    """
    return {
        name: dataset.take(usable & (dataset.splits == name)).class_counts()
        for name in ("", *SPLITS)
        if (dataset.splits == name).any()
    }


def reasons_against_training(dataset: Dataset, trained: ClassCounts, counts: ClassCounts) -> list[str]:
    """Return the reasons why no model can be trained on these classes.

    Args:
        dataset: The dataset.
        trained: Counts of what is trained on, from `class_counts`.
        counts: Counts that include crowds and difficult objects.
    """
    trainable = _trainable(trained, len(dataset.classes))
    if dataset.task in PARTS:
        if trainable.any():
            return []
        ignored = int(_trainable(counts, len(dataset.classes)).sum()) if dataset.task == "detection" else 0
        detail = f": the {ignored:,} objects are crowds or difficult, which are not trained on" if ignored else ""
        return [f"no {PARTS[dataset.task]} is left for training{detail}"]
    noun = _noun(dataset)
    if not trainable.any():
        return [f"no {noun} is left for training"]
    reasons = []
    missing = [name for name, count in zip(dataset.classes, trainable, strict=True) if not count]
    if missing:
        examples = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        subject = "class has" if len(missing) == 1 else "classes have"
        reasons.append(
            f"{len(missing)} {subject} no usable {noun} to train on: {examples}; add {noun}s to train, or remove the "
            "class"
        )
    if len(dataset.classes) == 1 and not dataset.multi_label:
        reasons.append(f"there is only one class, {dataset.classes[0]}; add a class to tell it from")
    return reasons


def class_findings(dataset: Dataset, counts: ClassCounts) -> list[Finding]:
    """Return the findings about classes: rare ones, similar names, and classes without objects.

    Args:
        dataset: The dataset.
        counts: Counts of what is trained on, from `class_counts`.
    """
    trainable = _trainable(counts, len(dataset.classes))
    return [
        *_rare_class_findings(dataset, counts, trainable),
        *_one_group_findings(dataset, trainable),
        *_similar_name_findings(dataset),
        *_empty_class_findings(dataset, trainable),
    ]


def _noun(dataset: Dataset) -> str:
    return {"detection": "object", "video": "clip"}.get(dataset.task, "image")


def _trainable(counts: ClassCounts, num_classes: int) -> np.ndarray:
    """Return the files of each class that training can have: those of the train split and those without a split."""
    none = np.zeros(num_classes, np.int64)
    return counts.get("", none) + counts.get("train", none)


def _rare_class_findings(dataset: Dataset, counts: ClassCounts, trainable: np.ndarray) -> list[Finding]:
    """Return a finding for each class that can't be both trained on and scored."""
    findings, noun = [], _noun(dataset)
    action = f"kept; add {noun}s"
    for index, name in enumerate(dataset.classes):
        if "val" in counts:
            if trainable[index] and not counts["val"][index]:
                reason = f"the class {name} has no {noun} in val: it can't be scored"
                findings.append(Finding(WARNING, "class not in val", dataset.source, name, reason, action))
        elif trainable[index] == 1:
            reason = f"the class {name} has one {noun}: it is trained on, and can't be scored"
            findings.append(Finding(WARNING, f"class with one {noun}", dataset.source, name, reason, action))
    return findings


def _one_group_findings(dataset: Dataset, trainable: np.ndarray) -> list[Finding]:
    """Return a finding for each class whose files are all in one group, which can't be split."""
    if dataset.groups is None or "label" not in dataset.columns:
        return []
    groups_of = defaultdict(set)
    for row, (label, group, split) in enumerate(
        zip(dataset.columns["label"], dataset.groups, dataset.splits, strict=True)
    ):
        if split in ("", "train"):
            groups_of[int(label)].add(group or row)
    return [
        Finding(
            WARNING,
            "class in one group",
            dataset.source,
            dataset.classes[label],
            f"all {_noun(dataset)}s of the class {dataset.classes[label]} are in one group: it is trained on, and "
            "can't be scored",
            "kept; add another group",
        )
        for label, groups in sorted(groups_of.items())
        if len(groups) == 1 and trainable[label] > 1
    ]


def _similar_name_findings(dataset: Dataset) -> list[Finding]:
    """Return a finding for class names that only differ in case or spaces."""
    findings = []
    names_of = defaultdict(list)
    for name in dataset.classes:
        names_of[name.strip().casefold()].append(name)
    for names in names_of.values():
        if len(names) > 1:
            reason = f"the classes {' and '.join(names)} only differ in case or spaces"
            action = "kept apart; if they are one class, give them one name"
            findings.append(Finding(WARNING, "similar class names", dataset.source, names[-1], reason, action))
    return findings


def _empty_class_findings(dataset: Dataset, trainable: np.ndarray) -> list[Finding]:
    """Return a finding for each class without objects or pixels; the other classes can be trained all the same."""
    if dataset.task not in PARTS:
        return []
    part = PARTS[dataset.task]
    return [
        Finding(
            WARNING,
            f"class without {part}s",
            dataset.source,
            name,
            f"the class {name} has no {part} to train on: it will never be predicted",
            "kept; add images, or remove the class",
        )
        for name, count in zip(dataset.classes, trainable, strict=True)
        if not count
    ]
