"""The parts of a detector's report: what replaces or follows the parts that every task has."""

from retinue.pipeline.reports import detection_plots, plots, sections
from retinue.pipeline.reports.sections import Section
from retinue.tasks.scores import counted

FALSE_NEGATIVE, FALSE_POSITIVE = "false negative", "false positive"


def score_sections(scores, worst_images):
    """All sections that come of the scores, in their order."""
    parts = [precision_recall(scores), confusion(scores), per_class(scores)]
    return [*parts, worst(worst_images, scores)]


def precision_recall(scores):
    """The curves, and what they say in a sentence."""
    numbers = scores.numbers
    text = (
        "Boxes are taken by falling score: further to the right more objects are found, further down fewer boxes are "
        "right. A box is right when it overlaps an object of its class by 0.5 (intersection over union). The best "
        f"balance is at score {numbers['best_threshold']:.2f}: there precision is {_percent(numbers['precision'])} "
        f"and recall {_percent(numbers['recall'])}. All counts below are from this score on."
    )
    plot = detection_plots.precision_recall(scores.tables["precision_recall"], scores.per_class)
    return Section("How many it finds, and how many are right", [text], [plot])


def confusion(scores):
    """What became of the objects, and what the boxes are that belong to none."""
    table = scores.tables["confusion"]
    mixed = [
        pair
        for pair in plots.most_confused(table)
        if pair["truth"] != FALSE_POSITIVE and pair["predicted"] != FALSE_NEGATIVE
    ]
    text = [
        "Each row is a true class, each column what the model said of it; the diagonal is right. The last column "
        "counts objects that no box was found for, the last row boxes where nothing is."
    ]
    if mixed:
        worst = mixed[0]
        verb = "was" if worst["count"] == 1 else "were"
        text.append(
            f"The most common mix-up: {counted(worst['count'], 'object')} of “{worst['truth']}” {verb} taken for "
            f"“{worst['predicted']}”."
        )
    return Section("What it misses and mixes up", text, [plots.confusion(table, "objects")])


def per_class(scores):
    """Every class, the worst first."""
    section = sections.per_class(scores)
    section.text = [
        "AP and AP50: the area under the curve above, for overlaps from 0.5 to 0.95 and for 0.5. Precision: the share "
        "of its boxes that are right. Recall: the share of the objects that it finds. F1 is both in one number. The "
        "worst class comes first."
    ]
    section.table.columns[1] = ("objects", True)
    section.table.columns[2] = ("boxes", True)
    return section


def worst(images, scores):
    """The pictures with the most mistakes, the truth drawn over the prediction."""
    section = sections.worst(images, scores)
    if images:
        total = len(scores.worst)
        which = f"The {len(images)} worst of {counted(total, 'picture')} with mistakes"
        section.text = [
            f"{which}. Green boxes are right, blue ones have the wrong class, red ones are false alarms, and dashed "
            "red is what was missed. Some may be mistakes of the annotation: look for these first."
        ]
    return section


def _percent(value):
    return "–" if value is None else f"{value:.0%}"
