"""The report of a run: one page that can be sent to a colleague, and every number in it as a file beside it."""

import dataclasses
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from PIL import Image

from retinue.data.storage.atomic_files import atomic_path, atomic_write
from retinue.pipeline.evaluation.evaluate import LONGEST_SIDE
from retinue.pipeline.reports.sections import batch_images_section, data_section, metrics_section, settings_section
from retinue.pipeline.reports.training_curves import training_section
from retinue.pipeline.runs.run import to_csv
from retinue.tasks import drawing
from retinue.tasks.fonts import printable
from retinue.tasks.plots import TableRow, metric_label
from retinue.tasks.report_section import data_uri, percent
from retinue.tasks.scores import counted, metric_text
from retinue.tasks.worst_images import WorstImage

if TYPE_CHECKING:
    from retinue.data.dataset import Dataset
    from retinue.tasks.scores import Scores
    from retinue.tasks.task import Task

MAX_WORST = 20  # images in worst/ and on the page
NO_SCORE = "There is no validation set, so there is no score."
WORST_IMAGE_NAME = re.compile(r"\d\d_truth-.*_predicted-.*\.jpg")


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything that a report shows.

    Attributes:
        title: the title of the page.
        task: the task with its configuration. It supplies the sections that show the scores.
        dataset: the whole dataset with its splits.
        scores: the scores, or None where there is no validation set. Then nothing about a score is written.
        worst_images: images with wrong predictions, the worst first. The first 20 are used.
        history: the rows of metrics.csv as numbers; empty when there was no training.
        run_info: facts of the run, every key optional: versions {name: version}, command, seed, seconds, backbone,
            weights, device, source, fingerprint, split (the one that was scored).
        check_summary: sentences about what `check` reported; empty if there are no problems, None if the data was not
            checked.
        batch_images: paths of contact sheets that batch_images.py wrote, by "training" or "validation".
    """

    title: str
    task: "Task"
    dataset: "Dataset"
    scores: "Scores | None"
    worst_images: Sequence[WorstImage] = ()
    history: Sequence[TableRow] = ()
    run_info: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    check_summary: Sequence[str] | None = None
    batch_images: Mapping[str, Path] = dataclasses.field(default_factory=dict)


def write_report(folder: str | os.PathLike[str], data: ReportData) -> Path:
    """Write a report: `report.html`, `scores.json`, `per_class.csv`, each plot as PNG and CSV, and `worst/`.

    The same input gives the same bytes.

    Args:
        folder: where the files are written.
        data: what the report shows.

    Returns:
        The path of `report.html`.
    """
    folder, scores = Path(folder), data.scores
    worst_images = data.worst_images[:MAX_WORST]
    sections = []
    if data.history:
        plain_metrics = scores.plain_metrics if scores else ()
        sections.append(training_section(data.history, scores.primary_metric if scores else None, plain_metrics))
    if scores:
        sections += data.task.report_sections(scores, worst_images)
    sections.append(data_section(data.task, data.dataset, data.check_summary))
    if data.batch_images:
        sections.append(batch_images_section(data.batch_images))
    if scores:
        sections.append(metrics_section(data.task, scores))
    sections.append(settings_section(data.task.config, data.run_info))
    for plot in [plot for section in sections for plot in section.plots]:
        atomic_write(folder / f"{plot.name}.png", plot.png)
        _write_csv(folder / f"{plot.name}.csv", plot.rows)
    if scores:
        tables = ({"per_class": scores.per_class} if scores.per_class else {}) | scores.tables
        for name, rows in tables.items():
            _write_csv(folder / f"{name}.csv", rows)
        atomic_write(folder / "scores.json", json.dumps(scores.as_json(), indent=1, allow_nan=False) + "\n")
        _write_worst_images(folder / "worst", worst_images)
    page = _template().render(
        title=data.title,
        metric=metric_label(scores.primary_metric) if scores else None,
        value=_primary_text(scores, scores.value) if scores else None,
        interval=_interval(scores) if scores else "Give a folder “val”, or a data.val_fraction above 0, to get one.",
        verdict=scores.verdict if scores else NO_SCORE,
        notes=[*scores.notes, *_split_notes(data)] if scores else [],
        summary=_training_summary(data),
        command=data.run_info.get("command"),
        sections=sections,
        data_uri=data_uri,
    )
    atomic_write(folder / "report.html", page.encode("utf-8", "backslashreplace"))
    return folder / "report.html"


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


def _primary_text(scores: "Scores", value: float | None) -> str:
    return metric_text(scores.primary_metric, value, scores.plain_metrics)


def _interval(scores: "Scores") -> str:
    if scores.interval is None:
        return counted(scores.count, "file")
    low, high = (_primary_text(scores, bound) for bound in scores.interval)
    return f"95% interval {low} to {high}, from {counted(scores.count, 'file')}"


def _split_notes(data: ReportData) -> list[str]:
    if data.history and data.run_info.get("split") == "val":
        return [
            "The best epoch was chosen by the score on this validation set, so the score is slightly optimistic. Files "
            "that took no part in training (a test set) give an unbiased score."
        ]
    return []


def _training_summary(data: ReportData) -> str:
    """Describe how the model was made, in one sentence."""
    info, history = data.run_info, data.history
    weights = {"none": "random"}.get(info.get("weights", ""), info.get("weights"))
    text = "Made"
    if history:
        verb = "Trained" if weights == "random" else "Fine-tuned"
        text = f"{verb} in {counted(history[-1]['epoch'], 'epoch')}"
    if info.get("backbone"):
        text += f" from {info['backbone']}" + (f" ({weights} weights)" if weights else "")
    num_trained = int((data.dataset.splits == "train").sum())
    if history and num_trained:
        text += f" on {counted(num_trained, 'file')}"
    if info.get("source"):
        text += f" of {info['source']}"
    if info.get("seconds") is not None:
        text += f" in {_duration(info['seconds'])}"
    if info.get("device"):
        text += f" on {info['device']}"
    timed = [row for row in history if row.get("images_per_second") and row.get("seconds")]
    if timed:
        seconds = sum(row["seconds"] for row in timed)
        speed = sum(row["images_per_second"] * row["seconds"] for row in timed) / seconds
        waiting = sum((row.get("input_wait_fraction") or 0) * row["seconds"] for row in timed) / seconds
        text += f", at {speed:,.0f} files a second and {waiting:.0%} of the time waiting for files"
    return text + "."


def _duration(seconds: float) -> str:
    seconds = round(seconds)
    if seconds < 60:
        parts: tuple[object, ...] = (seconds, "s")
    elif seconds < 3600:
        parts = (seconds // 60, "min", seconds % 60, "s")
    else:
        parts = (seconds // 3600, "h", seconds % 3600 // 60, "min")
    return "\u00a0".join(map(str, parts))  # spaces that do not break the line


def _write_csv(path: Path, rows: Sequence[TableRow]) -> None:
    atomic_write(path, to_csv(rows).encode("utf-8", "backslashreplace"))


def _write_worst_images(folder: Path, images: Sequence[WorstImage]) -> None:
    """Write each image with the truth and the prediction below it, and `worst.csv`, the list of their files."""
    for old in folder.glob("*.jpg"):
        if WORST_IMAGE_NAME.fullmatch(old.name):  # of an earlier report into the same folder
            old.unlink()
    rows = []
    for rank, item in enumerate(images, 1):
        lines = [drawing.Row("truth: " + (", ".join(item.truth) or "no label"))]
        for label in item.predicted:
            symbol, color = ("✓", drawing.RIGHT) if label["right"] else ("✗", drawing.WRONG)
            score = percent(label["score"])
            lines.append(drawing.Row(f"{symbol} {label['label']}", label["score"], color, score))
        names = [label["label"] for label in item.predicted]
        name = f"{rank:02d}_truth-{_file_name_part(item.truth)}_predicted-{_file_name_part(names)}.jpg"
        drawn = drawing.with_panel(drawing.shrink(item.image, LONGEST_SIDE), lines)
        with atomic_path(folder / name) as path:
            Image.fromarray(drawn).save(path, quality=90)
        rows.append(
            {
                "image": name,
                "file": item.file,
                "truth": ";".join(item.truth),
                "predicted": ";".join(names),
                "score": ";".join(
                    "" if label["score"] is None else f"{label['score']:.4f}" for label in item.predicted
                ),
            }
        )
    if rows or (folder / "worst.csv").exists():
        _write_csv(folder / "worst.csv", rows)


def _file_name_part(names: Sequence[str]) -> str:
    """Join class names to a part of a file name that every system allows."""
    return re.sub(r"[^\w.+-]+", "-", printable("+".join(names) or "none"))[:24]
