"""The sections of a video model's report, and what its metrics mean."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retinue.tasks.classification.calibration import calibration_section
from retinue.tasks.classification.report import METRICS as CLASSIFICATION_METRICS
from retinue.tasks.confusion_matrix import confusion_section, most_confused, plot_confusion_matrix
from retinue.tasks.per_class import per_class_section
from retinue.tasks.plots import metric_label
from retinue.tasks.report_section import Section, Table
from retinue.tasks.scores import metric_text
from retinue.tasks.worst_images import WorstImage, worst_images_section

if TYPE_CHECKING:
    from retinue.tasks.scores import Scores

FRAME_STRIP_WIDTH = 800  # pixels
STREAM_NAMES = {"spatial": "frames alone (spatial)", "temporal": "motion alone (temporal)", "both": "both, fused"}
METRICS = CLASSIFICATION_METRICS | {
    "spatial_accuracy": "accuracy of the spatial stream (frames) alone",
    "temporal_accuracy": "accuracy of the temporal stream (motion) alone",
}


def report_sections(scores: "Scores", worst_images: Sequence[WorstImage], fusion: str) -> list[Section]:
    """Make the sections that show the scores.

    Args:
        scores: what the report shows.
        worst_images: film strips of the clips with the worst predictions.
        fusion: how the streams are fused, `video.fusion`.

    Returns:
        Streams, confusion matrices (of the fused prediction and of each stream), classes, calibration, worst clips.
    """
    sections = [streams_section(scores, fusion)] if scores.tables.get("streams") else []
    sections.append(confusion_section(scores))
    sections += [
        stream_confusion_section(scores, name)
        for name in ("spatial", "temporal")
        if f"confusion_{name}" in scores.tables
    ]
    sections += [per_class_section(scores), calibration_section(scores), worst_clips_section(worst_images, scores)]
    return sections


def streams_section(scores: "Scores", fusion: str) -> Section:
    """Make the section that compares the streams. fusion: `video.fusion`."""
    rows = scores.tables["streams"]
    names = [name for name in rows[0] if name != "stream" and rows[0][name] is not None]
    cells = [
        [{"text": STREAM_NAMES[row["stream"]]}, *({"text": metric_text(name, row[name])} for name in names)]
        for row in rows
    ]
    best = max(row["accuracy"] for row in rows[:-1])
    gain = rows[-1]["accuracy"] - best
    text = (
        f"Together the two streams are right on {100 * abs(gain):.1f} percentage points "
        f"{'more' if gain >= 0 else 'less'} of the clips than the better of them alone. Where they gain nothing, one "
        "of them can be removed (video.architecture)."
    )
    if fusion == "svm":
        text += (
            " They are fused by a linear SVM, which was fitted after training: the scores of single epochs are those "
            "of the mean of both."
        )
    table = Table([("stream", False), *((metric_label(name), True) for name in names)], cells)
    return Section("Frames, motion, and both", [text], table=table)


def stream_confusion_section(scores: "Scores", stream: str) -> Section:
    """Make the section with the confusion matrix of one stream."""
    name = f"confusion_{stream}"
    plot = plot_confusion_matrix(scores.tables[name], name=name)
    pairs = most_confused(scores.tables[name])
    text = "It confuses no classes."
    if pairs:
        worst = pairs[0]
        text = (
            f"The most common confusion: “{worst['truth']}” predicted as “{worst['predicted']}” "
            f"({worst['fraction']:.0%} of the class)."
        )
    return Section(f"Confusion matrix of {STREAM_NAMES[stream]}", [text], [plot])


def worst_clips_section(images: Sequence[WorstImage], scores: "Scores") -> Section:
    """Make the section with the clips that have the worst predictions, as film strips."""
    section = worst_images_section(images, scores, FRAME_STRIP_WIDTH, num_parts_of_path=2)
    section.wide_images = True
    if images:
        section.text.append(
            "Each film strip shows a clip from left to right: frames, and below them the motion that follows each. The "
            "color is the direction (red to the right, green-yellow down, cyan to the left, violet up; white is still)."
        )
    return section
