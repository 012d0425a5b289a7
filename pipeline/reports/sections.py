"""The parts of a report's page. Each function turns results into one `Section`; the template knows no task."""

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from retinue.configs.load import to_yaml
from retinue.data.dataset import SPLITS
from retinue.pipeline.reports import plots
from retinue.tasks import drawing
from retinue.tasks.scores import counted

THUMBNAIL = 360  # pixels of a side
SHEET = 1100  # pixels of the longer side of the pictures of a batch
FEW = 200  # labels; fewer spread over 15 bins say little
# What each number says, for someone who has not met it before. A name that is missing here gets no explanation.
MEANINGS = {
    "accuracy": "share of the files that were right",
    "top5": "share of the files whose true class was among the five best guesses",
    "balanced_accuracy": "accuracy as it would be if every class had the same number of files",
    "macro_precision": "of the files called by a class's name, the share that is right (0 if none); mean over classes",
    "macro_recall": "of the files of a class, the share that was found; mean over classes",
    "macro_f1": "precision and recall of a class in one number; mean over classes",
    "log_loss": "how much the truth surprised the model; 0 is best, and mistakes it was sure of cost most",
    "calibration_error": "how far its confidence is from how often it is right; 0 is best",
    "mean_average_precision": "how well the files of a class come before all others when sorted by score",
    "micro_precision": "share of the labels it gave that are right",
    "micro_recall": "share of the true labels that it gave",
    "micro_f1": "these two in one number",
    "exact_match": "share of the files on which every label was right",
    "threshold": "a label is given from this score on",
    "ap": "COCO's score: how well its boxes find the objects; mean over classes and overlaps from 0.5 to 0.95",
    "ap50": "the same where a box is right when it overlaps the object by half",
    "ap75": "the same where it must overlap by three quarters",
    "ap_small": "AP of objects below 32 x 32 pixels",
    "ap_medium": "AP of objects up to 96 x 96 pixels",
    "ap_large": "AP of larger objects",
    "ar1": "share of the objects found with one box a picture; mean over classes and overlaps",
    "ar10": "the same with ten boxes a picture",
    "ar100": "the same with a hundred boxes a picture",
    "ar_small": "the same for objects below 32 x 32 pixels",
    "ar_medium": "the same for objects up to 96 x 96 pixels",
    "ar_large": "the same for larger objects",
    "proposal_recall_50": "share of the objects that one of the 50 best proposals overlaps by half, of whatever class",
    "proposal_recall_100": "the same with 100 proposals",
    "proposal_recall_300": "the same with 300 proposals, or as many as there are",
    "proposal_recall_1000": "the same with 1,000 proposals, or as many as there are",
    "voc07_ap50": "AP as VOC defined it in 2007: precision at eleven recalls, overlap 0.5, no difficult objects",
    "voc10_ap50": "AP as VOC has defined it since 2010: the area under the curve, overlap 0.5",
    "mean_iou": "of the pixels that the model or the truth calls by a name, the share where both do; mean over classes",
    "pixel_accuracy": "share of the pixels that are right",
    "mean_accuracy": "share of a class's pixels that are found; mean over classes",
    "frequency_weighted_iou": "as mean IoU, but each class counts by its pixels",
    "boundary_f": "how well the edges of the classes lie on the true ones, within 0.75% of the picture's diagonal",
    "spatial_accuracy": "accuracy of the frames' stream alone",
    "temporal_accuracy": "accuracy of the motion's stream alone",
    "precision": "share of its boxes that are right",
    "recall": "share of the objects that it finds",
    "f1": "these two in one number",
    "best_threshold": "boxes count from this score on in the counts; it is where F1 is best",
}


@dataclass
class Section:
    """One part of the page; what is empty is not shown.

    text: paragraphs. plots: `plots.Plot`s. table: `Table` or None. pictures: dicts with uri, looked (a
    second picture's uri, or None), truth, said, file.
    sheets: dicts with uri and caption, pictures as wide as the page, folded after the first.
    folded: (summary, preformatted text) pairs, closed until they are clicked.
    """

    heading: str
    text: list = field(default_factory=list)
    plots: list = field(default_factory=list)
    table: object = None
    pictures: list = field(default_factory=list)
    strips: bool = False
    sheets: list = field(default_factory=list)
    folded: list = field(default_factory=list)


@dataclass
class Table:
    """columns: (name, whether numbers) pairs; rows: lists of cells, dicts with `text` and `share` (0..1, if a bar).

    marked: so many first rows stand out. shown: the rows after these are folded away; None shows all.
    """

    columns: list
    rows: list
    marked: int = 0
    shown: int = None


def learning(history, headline):
    """Curves over the epochs; without a score where none was taken in training (headline None, or in no row)."""
    if not any(row.get(f"val_{headline}") is not None for row in history):
        headline = None
    best = plots.best_epoch(history, headline) if headline else None
    text = []
    if best:
        text.append(
            f"The best epoch was {best['epoch']} of {history[-1]['epoch']}, with {best[f'val_{headline}']:.1%} on the "
            "validation files. A validation loss that rises while the training loss falls means that the model learns "
            "its files by heart."
        )
    return Section("How it learned", text, [plots.curves(history, headline)])


def confusion(scores):
    """The confusion matrix and its largest mistake."""
    table = scores.tables["confusion"]
    pairs = plots.most_confused(table)
    text = ["Each row is a true class, each column the model's answer; the diagonal is right."]
    if len(table) > plots.MOST_CLASSES and not pairs:
        return Section("What it mixes up", ["No class was taken for another."])
    if len(table) > plots.MOST_CLASSES:
        text = [f"The full matrix of {len(table)} classes is in confusion.csv; these are its largest mistakes."]
    if pairs:
        worst = pairs[0]
        files = round(worst["count"] / worst["share"])
        text.append(
            f"The most common mistake: {worst['count']:,} of {counted(files, 'file')} of “{worst['truth']}” "
            f"{'was' if worst['count'] == 1 else 'were'} taken for “{worst['predicted']}”."
        )
    return Section("What it mixes up", text, [plots.confusion(table)])


def calibration(scores):
    """The reliability diagram, and in words whether confidence can be believed."""
    table = scores.tables["calibration"]
    filled = [row for row in table if row["count"]]
    total = sum(row["count"] for row in filled)
    sure = sum(row["count"] * row["confidence"] for row in filled) / total
    right = sum(row["count"] * row["accuracy"] for row in filled) / total
    error = scores.numbers["calibration_error"]
    if error < 0.03:
        verdict = "its confidence can be taken at its word"
    elif abs(sure - right) < 0.02:
        verdict = "it is too sure in some ranges and not sure enough in others"
    elif sure > right:
        verdict = "it is surer than it should be"
    else:
        verdict = "it is right more often than it thinks"
    text = (
        f"On average the model is {sure:.1%} sure of a label, and {right:.1%} of these labels are true: {verdict} "
        f"(mean gap {error:.1%})."
    )
    last = table[-1]
    if last["count"]:
        text += f" It is more than {last['low']:.0%} sure of {last['count']:,} of {counted(total, 'label')}: "
        text += _true_ones(round(last["count"] * last["accuracy"]), last["count"])
    if total < FEW:
        text += f" From {counted(total, 'label')} this is only a rough picture."
    return Section("Can its confidence be believed?", [text], [plots.reliability(table)])


def _true_ones(true, count):
    if count == 1:
        return "it is true." if true else "it is not true."
    if true in (0, count):
        return "all of them are true." if true else "none of them is true."
    return f"{true:,} of these {'is' if true == 1 else 'are'} true ({true / count:.1%})."


def per_class(scores):
    """Every class, the worst first."""
    rows = plots.worst_first(scores.per_class)
    rows += [row for row in scores.per_class if not row["count"]]
    marked = sum((row["f1"] or 0) < 1 for row in rows[: min(3, len(rows) // 2)])
    text = (
        "Precision: of the files that the model calls by this name, the share that is right. Recall: of the files that "
        "are of this class, the share that it finds. F1 is both in one number. Confidence: how sure it is of its "
        "answers to these files, on average. The worst class comes first."
    )
    columns = [
        ("files" if name == "count" else plots.words(name), any(isinstance(row[name], int | float) for row in rows))
        for name in rows[0]
    ]
    shown = plots.WORST_CLASSES if len(rows) > plots.MOST_CLASSES else None
    table = Table(columns, [[_cell(value) for value in row.values()] for row in rows], marked, shown)
    return Section("Class by class", [text], [plots.per_class(scores.per_class)], table)


def worst(images, scores, side=THUMBNAIL):
    """The most wrong pictures, the truth beside the prediction; side: pixels of their longer one."""
    if not images:
        return Section("The most wrong pictures", ["There is no mistake to show."])
    total = len(scores.worst)
    which = f"The {len(images)} worst of {total:,} mistakes" if total > len(images) else f"All mistakes ({total:,})"
    text = (
        f"{which}, as truth → the model's answer and its confidence; where it was surest and wrong comes first. "
        "Some may be mistakes of the labels: look for these first."
    )
    if any("looked" in item for item in images):
        text += (
            " Under each is where the model looked for its answer (Grad-CAM): bright places spoke for it. Where they "
            "are beside the thing, it may have learned a background, a frame or a stamp."
        )
    pictures = [
        {
            "uri": data_uri(_jpeg(drawing.shrink(item["image"], side)), "jpeg"),
            "looked": data_uri(_thumbnail(item["looked"]), "jpeg") if "looked" in item else None,
            "truth": ", ".join(item["truth"]) or "no label",
            "said": [
                {"name": label["label"], "score": percent(label["score"]), "right": label["right"]}
                for label in item["said"]
            ],
            "file": item.get("shown_as") or Path(item["file"]).name,
        }
        for item in images
    ]
    return Section("The most wrong pictures", [text], pictures=pictures)


def data(dataset, check_summary):
    """Where the files came from, how many of each class, and what the check found."""
    parts = [(name, int((dataset.splits == name).sum())) for name in SPLITS]
    counts = ", ".join(f"{count:,} {name}" for name, count in parts if count)
    counts = f": {counts}" if counts else ""
    source = f" from {dataset.source} ({dataset.format})" if dataset.source else ""
    classes = len(dataset.classes)
    text = [f"{counted(len(dataset), 'file')} in {classes:,} {'class' if classes == 1 else 'classes'}{source}{counts}."]
    if check_summary:
        text += check_summary
    elif check_summary is not None:
        text.append("The check of the files found no problems.")
    return Section("The data", text, [plots.class_counts(dataset)])


def batch_pictures(paths):
    """The pictures of a batch as the net got them; paths: {"training" or "validation": Path of a contact sheet}."""
    text = (
        "Some pictures of a batch, cut and changed as the configuration says, with the labels that the net is told. "
        "Look for labels that are wrong, and for things that the crop cut away."
    )
    sheets = []
    for name, path in paths.items():
        with Image.open(path) as image:
            small = _jpeg(drawing.shrink(np.asarray(image.convert("RGB")), SHEET))
        sheets.append({"uri": data_uri(small, "jpeg"), "caption": f"{name.capitalize()} (larger: {Path(path).name})"})
    return Section("What the net sees", [text], sheets=sheets)


def numbers(scores):
    """All numbers with their meaning."""
    rows = [
        [{"text": text} for text in (plots.words(name), number_text(name, value), MEANINGS.get(name, ""))]
        for name, value in scores.numbers.items()
    ]
    return Section("All numbers", table=Table([("number", False), ("value", True), ("what it says", False)], rows))


def settings(config, run_info):
    """Everything that made this run, folded."""
    facts = {key: run_info[key] for key in ("seed", "fingerprint", "backbone", "weights", "device") if key in run_info}
    facts |= run_info.get("versions", {})
    folded = [("Configuration", to_yaml(config))]
    if facts:
        folded.append(
            ("Seed, data fingerprint and versions", "\n".join(f"{name}: {value}" for name, value in facts.items()))
        )
    return Section("Settings", folded=folded)


def number_text(name, value):
    """A number as the page shows it: losses as they are, all else as percent."""
    if value is None:
        return "–"
    return f"{value:.3f}" if name.endswith("loss") else f"{value:.1%}"


def percent(score):
    """A score as text; nothing where there is none."""
    return "" if score is None else f"{score:.0%}"


def data_uri(content, kind):
    """`content` as something an `img` shows without a file."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _cell(value):
    if isinstance(value, float):
        return {"text": f"{value:.1%}", "share": value}
    if isinstance(value, int):
        return {"text": f"{value:,}"}
    return {"text": "–" if value is None else value}


def _thumbnail(image):
    return _jpeg(drawing.shrink(image, THUMBNAIL))


def _jpeg(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
