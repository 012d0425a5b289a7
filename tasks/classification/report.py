"""The sections of a classifier's report, and what its metrics mean."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retinue.tasks.classification.calibration import calibration_section
from retinue.tasks.confusion_matrix import confusion_section
from retinue.tasks.per_class import per_class_section
from retinue.tasks.report_section import Section
from retinue.tasks.worst_images import WorstImage, worst_images_section

if TYPE_CHECKING:
    from retinue.tasks.scores import Scores

METRICS = {
    "accuracy": "fraction of the files that were right",
    "top5": "fraction of the files whose true class was among the five best guesses",
    "balanced_accuracy": "accuracy as it would be if every class had the same number of files",
    "macro_precision": "fraction of the files predicted as a class that is right (0 if none); mean over classes",
    "macro_recall": "fraction of the files of a class that was predicted so; mean over classes",
    "macro_f1": "precision and recall of a class in one number; mean over classes",
    "log_loss": "cross entropy; 0 is best, and confident mistakes cost most",
    "calibration_error": "mean gap between the confidence and the fraction of labels that is right; 0 is best",
    "mean_average_precision": "how well the files of a class come before all others when sorted by score",
    "micro_precision": "fraction of the predicted labels that is right",
    "micro_recall": "fraction of the true labels that was predicted",
    "micro_f1": "micro precision and recall in one number",
    "exact_match": "fraction of the files on which every label was right",
    "threshold": "a label is predicted from this score on",
}


def report_sections(scores: "Scores", worst_images: Sequence[WorstImage]) -> list[Section]:
    """Make the sections that show the scores: confusion matrix, classes, calibration, worst predictions."""
    sections = []
    if scores.tables.get("confusion") or "confused_pairs" in scores.tables:
        sections.append(confusion_section(scores))
    if scores.per_class:
        sections.append(per_class_section(scores))
    if scores.tables.get("calibration"):
        sections.append(calibration_section(scores))
    return [*sections, worst_images_section(worst_images, scores)]
