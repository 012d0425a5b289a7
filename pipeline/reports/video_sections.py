"""The parts of a report on clips: what replaces or follows the parts that every task has."""

from pathlib import Path

from retinue.pipeline.reports import plots, sections
from retinue.pipeline.reports.sections import Section, Table

STRIP = 800  # pixels
NAMES = {"spatial": "frames alone (spatial)", "temporal": "motion alone (temporal)", "both": "both, fused"}


def score_sections(scores, worst_images, fusion):
    """All sections that come of the scores, in their order. fusion: how the streams are joined, `video.fusion`."""
    parts = [streams(scores, fusion)] if scores.tables.get("streams") else []
    parts.append(sections.confusion(scores))
    parts += [alone(scores, name) for name in ("spatial", "temporal") if f"confusion_{name}" in scores.tables]
    parts += [sections.per_class(scores), sections.calibration(scores), worst(worst_images, scores)]
    return parts


def streams(scores, fusion):
    """The streams side by side."""
    rows = scores.tables["streams"]
    numbers = [name for name in rows[0] if name != "stream" and rows[0][name] is not None]
    cells = [
        [{"text": NAMES[row["stream"]]}, *({"text": sections.number_text(name, row[name])} for name in numbers)]
        for row in rows
    ]
    best = max(row["accuracy"] for row in rows[:-1])
    gain = rows[-1]["accuracy"] - best
    text = (
        f"Together the two are right on {100 * abs(gain):.1f} percentage points {'more' if gain >= 0 else 'less'} of "
        "the clips than the better of them alone. Where they gain nothing, one of them can be left away "
        "(video.architecture)."
    )
    if fusion == "svm":
        text += (
            " They are joined by a linear SVM, which was fitted when both had learned: the scores of single epochs "
            "are those of the plain mean."
        )
    table = Table([("stream", False), *((plots.words(name), True) for name in numbers)], cells)
    return Section("Frames, motion, and both", [text], table=table)


def alone(scores, name):
    """What one stream mixes up."""
    plot = plots.confusion(scores.tables[f"confusion_{name}"], name=f"confusion_{name}")
    pairs = plots.most_confused(scores.tables[f"confusion_{name}"])
    text = "It mixes up nothing."
    if pairs:
        text = f"Most often it takes “{pairs[0]['truth']}” for “{pairs[0]['predicted']}” ({pairs[0]['share']:.0%})."
    return Section(f"What {NAMES[name]} mixes up", [text], [plot])


def worst(images, scores):
    """The clips that were most wrong, as strips."""
    places = [{**item, "shown_as": "/".join(Path(item["file"]).parts[-2:])} for item in images]
    section = sections.worst(places, scores, STRIP)
    section.strips = True
    section.heading = "The most wrong clips"
    if images:
        section.text = [
            *section.text,
            "Each strip is a clip from left to right: frames, and below them the motion that follows each, its "
            "direction as a colour (red to the right, green-yellow down, cyan to the left, violet up; white is still).",
        ]
    return section
