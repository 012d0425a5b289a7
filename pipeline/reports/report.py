"""The report of a run: one page that can be sent to a colleague, and every number in it as a file beside it."""

import json
import re
from pathlib import Path

import jinja2
from PIL import Image

from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.pipeline.evaluation.evaluate import LARGEST_SIDE
from retinue.pipeline.reports import detection_sections, plots, sections, segmentation_sections, video_sections
from retinue.pipeline.runs.run import to_csv
from retinue.tasks import drawing
from retinue.tasks.fonts import printable
from retinue.tasks.scores import counted

MOST_WORST = 20  # pictures in worst/ and on the page
NO_SCORE = "No files were held out, so there is no score."
WORST_NAME = re.compile(r"\d\d_truth-.*_said-.*\.jpg")


def write_report(
    folder,
    *,
    title,
    config,
    dataset,
    run_info,
    history,
    scores,
    worst_images,
    check_summary=None,
    batch_pictures=None,
):
    """Write `report.html`, `scores.json`, `per_class.csv`, each plot as PNG and CSV, and `worst/` into `folder`.

    title: of the page. config: `Config`. dataset: the whole `Dataset` with its splits. scores: `Scores`, or None where
        no files were held out; then nothing about a score is written.
    run_info: dict, every key optional: versions {name: version}, command, seed, seconds, backbone, weights, device,
        source, fingerprint, split (the one that was scored).
    history: rows of metrics.csv as numbers, empty when there was no training.
    worst_images: dicts with file, image uint8 `[h, w, 3]`, truth (list of str) and said [{"label", "score", "right"}],
        as `Task.summarize_errors` gives, and perhaps looked, uint8 `[h, w, 3]` as `looking.with_places` gives it;
        the most wrong first; the first 20 are used.
    check_summary: sentences on what `check` found; empty for no problems, None when the data was not checked.
    batch_pictures: {"training": path, "validation": path}, either or both, of sheets that batch_images.py wrote.
    Returns the Path of `report.html`. The same input gives the same bytes.
    """
    folder = Path(folder)
    worst_images = worst_images[:MOST_WORST]
    parts = [sections.learning(history, scores and scores.primary_metric)] if history else []
    if scores:
        parts += _score_sections(config, scores, worst_images)
    parts.append(sections.data(dataset, check_summary))
    if batch_pictures:
        parts.append(sections.batch_pictures(batch_pictures))
    if scores:
        parts.append(sections.numbers(scores))
    parts.append(sections.settings(config, run_info))
    for plot in [plot for part in parts for plot in part.plots]:
        atomic_write(folder / f"{plot.name}.png", plot.png)
        _write_csv(folder / f"{plot.name}.csv", plot.rows)
    if scores:
        for name, rows in {"per_class": scores.per_class, **scores.tables}.items():
            _write_csv(folder / f"{name}.csv", rows)
        atomic_write(folder / "scores.json", json.dumps(scores.as_json(), indent=1, allow_nan=False) + "\n")
        _write_worst(folder / "worst", worst_images)
    page = _template().render(
        title=title,
        headline=plots.words(scores.primary_metric) if scores else None,
        value=sections.number_text(scores.primary_metric, scores.value) if scores else None,
        interval=_interval(scores) if scores else "Give a folder “val”, or a data.val_fraction above 0, to get one.",
        verdict=scores.verdict if scores else NO_SCORE,
        notes=scores.notes + _split_notes(run_info, history) if scores else [],
        made=_how_made(dataset, run_info, history),
        command=run_info.get("command"),
        sections=parts,
        data_uri=sections.data_uri,
    )
    atomic_write(folder / "report.html", page.encode("utf-8", "backslashreplace"))
    return folder / "report.html"


def _score_sections(config, scores, worst_images):
    parts = []
    if scores.tables.get("precision_recall"):
        return detection_sections.score_sections(scores, worst_images)
    if scores.primary_metric == "mean_iou":
        return segmentation_sections.score_sections(scores, worst_images)
    if config.task == "video":
        return video_sections.score_sections(scores, worst_images, config.video.fusion)
    if scores.tables.get("confusion"):
        parts.append(sections.confusion(scores))
    if scores.per_class:
        parts.append(sections.per_class(scores))
    if scores.tables.get("calibration"):
        parts.append(sections.calibration(scores))
    return [*parts, sections.worst(worst_images, scores)]


def _template():
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


def _interval(scores):
    if scores.interval is None:
        return counted(scores.count, "file")
    low, high = (sections.number_text(scores.primary_metric, bound) for bound in scores.interval)
    return f"95% interval {low} to {high}, from {counted(scores.count, 'file')}"


def _split_notes(run_info, history):
    if history and run_info.get("split") == "val":
        return [
            "The best epoch was chosen by these same validation files, so the score is a little kind. Files that took "
            "no part in training (a test split) give a score to rely on."
        ]
    return []


def _how_made(dataset, run_info, history):
    """How the model came about, in a sentence or two."""
    weights = {"none": "random"}.get(run_info.get("weights"), run_info.get("weights"))
    made = "Made"
    if history:
        verb = "Trained" if weights == "random" else "Fine-tuned"
        made = f"{verb} in {counted(history[-1]['epoch'], 'epoch')}"
    if run_info.get("backbone"):
        made += f" from {run_info['backbone']}" + (f" ({weights} weights)" if weights else "")
    learned = int((dataset.splits == "train").sum())
    if history and learned:
        made += f" on {counted(learned, 'file')}"
    if run_info.get("source"):
        made += f" of {run_info['source']}"
    if run_info.get("seconds") is not None:
        made += f" in {_duration(run_info['seconds'])}"
    if run_info.get("device"):
        made += f" on {run_info['device']}"
    speeds = [row for row in history if row.get("images_per_second") and row.get("seconds")]
    if speeds:
        seconds = sum(row["seconds"] for row in speeds)
        speed = sum(row["images_per_second"] * row["seconds"] for row in speeds) / seconds
        waiting = sum((row.get("input_wait_fraction") or 0) * row["seconds"] for row in speeds) / seconds
        made += f", at {speed:,.0f} files a second and {waiting:.0%} of the time waiting for files"
    return made + "."


def _duration(seconds):
    seconds = round(seconds)
    if seconds < 60:
        parts = (seconds, "s")
    elif seconds < 3600:
        parts = (seconds // 60, "min", seconds % 60, "s")
    else:
        parts = (seconds // 3600, "h", seconds % 3600 // 60, "min")
    return "\u00a0".join(map(str, parts))  # spaces that do not break the line


def _write_csv(path, rows):
    atomic_write(path, to_csv(rows).encode("utf-8", "backslashreplace"))


def _write_worst(folder, images):
    """The pictures with the truth and the prediction under them, and the list of their files."""
    for old in folder.glob("*.jpg"):
        if WORST_NAME.fullmatch(old.name):  # of an earlier report into the same folder
            old.unlink()
    rows = []
    for rank, item in enumerate(images, 1):
        truth, given = item["truth"], item["said"]
        lines = [drawing.Row("truth: " + (", ".join(truth) or "no label"))]
        for label in given:
            mark, color = ("✓", drawing.RIGHT) if label["right"] else ("✗", drawing.WRONG)
            text = sections.percent(label["score"])
            lines.append(drawing.Row(f"{mark} {label['label']}", label["score"], color, text))
        names = [label["label"] for label in given]
        file = f"{rank:02d}_truth-{_file_part(truth)}_said-{_file_part(names)}.jpg"
        with atomic_path(folder / file) as path:
            Image.fromarray(drawing.with_panel(drawing.shrink(item["image"], LARGEST_SIDE), lines)).save(
                path, quality=90
            )
        scored = ";".join("" if label["score"] is None else f"{label['score']:.4f}" for label in given)
        rows.append(
            {"picture": file, "file": item["file"], "truth": ";".join(truth), "said": ";".join(names), "score": scored}
        )
    if rows or (folder / "worst.csv").exists():
        _write_csv(folder / "worst.csv", rows)


def _file_part(names):
    """Class names as a part of a file's name, on any system."""
    return re.sub(r"[^\w.+-]+", "-", printable("+".join(names) or "none"))[:24]
