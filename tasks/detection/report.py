"""The sections of a detector's report, and what its metrics mean."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retinue.tasks.confusion_matrix import most_confused, plot_confusion_matrix
from retinue.tasks.detection.precision_recall import plot_precision_recall
from retinue.tasks.detection.scores import FALSE_NEGATIVES, FALSE_POSITIVES
from retinue.tasks.per_class import per_class_section
from retinue.tasks.report_section import Section
from retinue.tasks.scores import counted
from retinue.tasks.worst_images import WorstImage, worst_images_section

if TYPE_CHECKING:
    from retinue.tasks.scores import Scores


METRICS = {
    "ap": "COCO's primary metric: average precision; mean over classes and IoU thresholds from 0.5 to 0.95",
    "ap50": "average precision where a box is right from an IoU of 0.5 on",
    "ap75": "average precision where a box is right from an IoU of 0.75 on",
    "ap_small": "AP of objects below 32 x 32 pixels",
    "ap_medium": "AP of objects up to 96 x 96 pixels",
    "ap_large": "AP of larger objects",
    "ar1": "average recall with one box for each image; mean over classes and IoU thresholds",
    "ar10": "average recall with ten boxes for each image",
    "ar100": "average recall with a hundred boxes for each image",
    "ar_small": "average recall of objects below 32 x 32 pixels",
    "ar_medium": "average recall of objects up to 96 x 96 pixels",
    "ar_large": "average recall of larger objects",
    "proposal_recall_50": "fraction of the objects that one of the 50 best proposals covers with an IoU of 0.5",
    "proposal_recall_100": "the same with 100 proposals",
    "proposal_recall_300": "the same with 300 proposals, or as many as there are",
    "proposal_recall_1000": "the same with 1,000 proposals, or as many as there are",
    "voc07_ap50": "AP as VOC defined it in 2007: precision at eleven recalls, IoU 0.5, no difficult objects",
    "voc10_ap50": "AP as VOC has defined it since 2010: the area under the curve, IoU 0.5",
    "precision": "fraction of the boxes that is right",
    "recall": "fraction of the objects that is detected",
    "f1": "precision and recall in one number",
    "best_threshold": "boxes are counted from this score on; it is the score where F1 is best",
}


def report_sections(scores: "Scores", worst_images: Sequence[WorstImage]) -> list[Section]:
    """Make the sections that show the scores: precision-recall curves, confusion matrix, classes, worst predictions."""
    return [
        precision_recall_section(scores),
        confusion_section(scores),
        _per_class_section(scores),
        _worst_images_section(worst_images, scores),
    ]


def precision_recall_section(scores: "Scores") -> Section:
    """Make the section with the precision-recall curves and the best balance of the two."""
    metrics = scores.metrics
    text = (
        "Boxes are taken by falling score: further to the right more objects are detected, further down fewer boxes "
        "are right. A box is right when its IoU (intersection over union) with an object of its class is at least "
        f"0.5. The best balance is at score {metrics['best_threshold']:.2f}: there precision is "
        f"{_percent(metrics['precision'])} and recall {_percent(metrics['recall'])}. All counts below are from this "
        "score on."
    )
    plot = plot_precision_recall(scores.tables["precision_recall"], scores.per_class)
    return Section("Precision and recall", [text], [plot])


def confusion_section(scores: "Scores") -> Section:
    """Make the section with the confusion matrix, including false negatives and false positives."""
    table = scores.tables["confusion"]
    confused = [
        pair
        for pair in most_confused(table)
        if pair["truth"] != FALSE_POSITIVES and pair["predicted"] != FALSE_NEGATIVES
    ]
    text = [
        "Each row is a true class, each column a predicted class. The diagonal holds the correct predictions. The last "
        "column counts objects without a box (false negatives), the last row boxes without an object (false positives)."
    ]
    if confused:
        worst = confused[0]
        verb = "was" if worst["count"] == 1 else "were"
        text.append(
            f"The most common confusion: {counted(worst['count'], 'object')} of “{worst['truth']}” {verb} predicted "
            f"as “{worst['predicted']}”."
        )
    return Section("Confusion matrix", text, [plot_confusion_matrix(table, "objects")])


def _per_class_section(scores: "Scores") -> Section:
    explanation = (
        "AP and AP50: the area under the precision-recall curve, for IoU thresholds from 0.5 to 0.95 and for 0.5. "
        "Precision: the fraction of its boxes that is right. Recall: the fraction of its objects that is detected. F1 "
        "combines both. The worst class comes first."
    )
    return per_class_section(scores, explanation, ("objects", "boxes"))


def _worst_images_section(images: Sequence[WorstImage], scores: "Scores") -> Section:
    total = len(scores.worst)
    explanation = (
        f"The {len(images)} worst of {counted(total, 'image')} with mistakes. Green boxes are right, blue ones have "
        "the wrong class, red ones are false positives, and dashed red is what was missed. Some may be mistakes of "
        "the annotation: look for these first."
    )
    return worst_images_section(images, scores, explanation=explanation)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
