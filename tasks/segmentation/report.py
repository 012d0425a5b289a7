"""The sections of a segmentation model's report, and what its metrics mean."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retinue.tasks.confusion_matrix import most_confused, plot_confusion_matrix
from retinue.tasks.per_class import per_class_section
from retinue.tasks.plots import TableRow
from retinue.tasks.report_section import Section
from retinue.tasks.scores import counted
from retinue.tasks.worst_images import WorstImage, worst_images_section

if TYPE_CHECKING:
    from retinue.tasks.scores import Scores

THOUSAND = 1000
METRICS = {
    "mean_iou": "IoU of a class: of the pixels that the prediction or the truth calls so, the fraction where both do; "
    "mean over classes",
    "pixel_accuracy": "fraction of the pixels that is right",
    "mean_accuracy": "fraction of a class's pixels that is predicted so; mean over classes",
    "frequency_weighted_iou": "as mean IoU, but each class is weighted by its pixels",
    "boundary_f": "how well the edges of the classes lie on the true ones, within 0.75% of the image's diagonal",
}


def report_sections(scores: "Scores", worst_images: Sequence[WorstImage]) -> list[Section]:
    """Make the sections that show the scores: confusion matrix of pixels, classes, worst predictions."""
    sections = [confusion_section(scores)] if scores.tables.get("confusion") else []
    return [*sections, _per_class_section(scores), _worst_images_section(worst_images, scores)]


def confusion_section(scores: "Scores") -> Section:
    """Make the section with the confusion matrix of pixels, in thousands where there are many."""
    table = scores.tables["confusion"]
    corner = next(iter(table[0]))
    unit, noun = (THOUSAND, "thousand pixels") if _largest(table) >= 100 * THOUSAND else (1, "pixels")
    scaled = [{name: value if name == corner else round(value / unit) for name, value in row.items()} for row in table]
    text = [
        f"Each row is a true class, each column a predicted class, in {noun}. The diagonal holds the correct "
        "predictions."
    ]
    pairs = most_confused(table)
    if pairs:
        worst = pairs[0]
        text.append(
            f"The most common confusion: {worst['fraction']:.1%} of the pixels of “{worst['truth']}” are predicted as "
            f"“{worst['predicted']}”."
        )
    return Section("Confusion matrix", text, [plot_confusion_matrix(scaled, noun)])


def _per_class_section(scores: "Scores") -> Section:
    explanation = (
        "IoU: of the pixels that the prediction or the truth calls by this name, the fraction where both do. "
        "Precision: the fraction of the pixels predicted so that is right. Recall: the fraction of its pixels that is "
        "predicted so. F1 combines both. Boundary F: how well its edges lie on the true ones. The worst class comes "
        "first."
    )
    return per_class_section(scores, explanation, ("images",))


def _worst_images_section(images: Sequence[WorstImage], scores: "Scores") -> Section:
    explanation = (
        f"The {len(images)} of {counted(scores.count, 'image')} with the lowest IoU: the predicted mask, the true one, "
        "and the mistakes in red. Percentages are the IoU of each class in the image. Some may be mistakes of the "
        "annotation: look for these first."
    )
    return worst_images_section(images, scores, explanation=explanation)


def _largest(table: Sequence[TableRow]) -> int:
    return max(value for row in table for value in row.values() if not isinstance(value, str))
