"""The sections that every report has, whatever its task: data, input images, all metrics, settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from retinue.configs.load import to_yaml
from retinue.data.dataset import SPLITS
from retinue.tasks import drawing
from retinue.tasks.plots import metric_label
from retinue.tasks.report_section import Section, Table, jpeg_uri
from retinue.tasks.scores import counted, metric_text

if TYPE_CHECKING:
    from retinue.configs.schema import Config
    from retinue.data.dataset import Dataset
    from retinue.tasks.scores import Scores
    from retinue.tasks.task import Task

SHEET_SIDE = 1100  # pixels of the longer side of a sheet of input images


def data_section(task: "Task", dataset: "Dataset", check_summary: Sequence[str] | None) -> Section:
    """Make the section about the data: where it came from, its classes, and what the check reported.

    Args:
        task: supplies the plots of the data.
        dataset: the whole dataset with its splits.
        check_summary: sentences about problems; empty if there are none, None if the data was not checked.

    Returns:
        The section.
    """
    splits = [(name, int((dataset.splits == name).sum())) for name in SPLITS]
    counts = ", ".join(f"{count:,} {name}" for name, count in splits if count)
    counts = f": {counts}" if counts else ""
    source = f" from {dataset.source} ({dataset.format})" if dataset.source else ""
    num_classes = len(dataset.classes)
    in_classes = f" in {num_classes:,} {'class' if num_classes == 1 else 'classes'}" if num_classes else ""
    text = [f"{counted(len(dataset), 'file')}{in_classes}{source}{counts}."]
    if check_summary:
        text += check_summary
    elif check_summary is not None:
        text.append("The check of the files found no problems.")
    return Section("Data", text, task.data_plots(dataset))


def batch_images_section(sheets: Mapping[str, Path]) -> Section:
    """Make the section with images of a batch as the model gets them.

    Args:
        sheets: paths of contact sheets, by "training" or "validation".

    Returns:
        The section.
    """
    text = (
        "Some images of a batch as the model gets them, resized and augmented as the configuration says, with their "
        "labels. Look for labels that are wrong, and for objects that the crop cut away."
    )
    shown = []
    for name, path in sheets.items():
        with Image.open(path) as image:
            uri = jpeg_uri(drawing.shrink(np.asarray(image.convert("RGB")), SHEET_SIDE))
        shown.append({"uri": uri, "caption": f"{name.capitalize()} (larger: {Path(path).name})"})
    return Section("Input images", [text], sheets=shown)


def metrics_section(task: "Task", scores: "Scores") -> Section:
    """Make the section with all metrics and their meaning. task: supplies the descriptions."""
    descriptions = task.metric_descriptions()
    rows = [
        [
            {"text": text}
            for text in (metric_label(name), metric_text(name, value, scores.plain_metrics), descriptions.get(name, ""))
        ]
        for name, value in scores.metrics.items()
    ]
    return Section("All metrics", table=Table([("metric", False), ("value", True), ("meaning", False)], rows))


def settings_section(config: "Config", run_info: Mapping[str, Any]) -> Section:
    """Make the section with everything that determined this run, collapsed.

    Args:
        config: the configuration.
        run_info: facts of the run; `seed`, `fingerprint`, `backbone`, `weights`, `device` and `versions` are shown.

    Returns:
        The section.
    """
    facts = {key: run_info[key] for key in ("seed", "fingerprint", "backbone", "weights", "device") if key in run_info}
    facts |= run_info.get("versions", {})
    collapsed = [("Configuration", to_yaml(config))]
    if facts:
        lines = "\n".join(f"{name}: {value}" for name, value in facts.items())
        collapsed.append(("Seed, data fingerprint and versions", lines))
    return Section("Settings", collapsed=collapsed)
