"""The parts of a segmentation's report: what replaces or follows the parts that every task has."""

from retinue.pipeline.reports import plots, sections
from retinue.pipeline.reports.sections import Section
from retinue.tasks.scores import counted

THOUSAND = 1000


def score_sections(scores, worst_images):
    """All sections that come of the scores, in their order."""
    parts = [confusion(scores)] if scores.tables.get("confusion") else []
    return [*parts, per_class(scores), worst(worst_images, scores)]


def confusion(scores):
    """Which class's pixels are taken for which."""
    table = scores.tables["confusion"]
    corner = next(iter(table[0]))
    unit, noun = (THOUSAND, "thousand pixels") if _largest(table) >= 100 * THOUSAND else (1, "pixels")
    scaled = [{name: value if name == corner else round(value / unit) for name, value in row.items()} for row in table]
    text = [f"Each row is a true class, each column the model's answer, in {noun}; the diagonal is right."]
    pairs = plots.most_confused(table)
    if pairs:
        worst_pair = pairs[0]
        text.append(
            f"The most common mistake: {worst_pair['share']:.1%} of the pixels of “{worst_pair['truth']}” are taken "
            f"for “{worst_pair['predicted']}”."
        )
    return Section("What it mixes up", text, [plots.confusion(scaled, noun)])


def per_class(scores):
    """Every class, the worst first."""
    section = sections.per_class(scores)
    section.text = [
        "IoU: of the pixels that the model or the truth calls by this name, the share where both do. Precision: the "
        "share of the pixels called so that are right. Recall: the share of its pixels that are found. F1 is both in "
        "one number. Boundary F: how well its edges lie on the true ones. The worst class comes first."
    ]
    section.table.columns[1] = ("pictures", True)
    return section


def worst(images, scores):
    """The pictures with the lowest IoU: what was said, the truth, and where they differ."""
    section = sections.worst(images, scores)
    if images:
        section.text = [
            f"The {len(images)} of {counted(scores.count, 'picture')} with the lowest IoU: the model's mask, the true "
            "one, and the mistakes in red. Percentages are the IoU of each class in the picture. Some may be mistakes "
            "of the annotation: look for these first."
        ]
    return section


def _largest(table):
    return max(value for row in table for value in row.values() if not isinstance(value, str))
