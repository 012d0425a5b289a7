"""The result of a check as lines of text: for the screen, for the log, and for the report of a run."""

import logging
import os
import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from retinue.data.checking.check_masks import RESIZE_SETTING
from retinue.data.checking.check_report import CheckReport, printable
from retinue.data.finding import INVALID, NOTE, WARNING, Finding

logger = logging.getLogger(__name__)

MAX_EXAMPLES = 3  # of each kind of problem
MAX_CLASSES = 8
SKIP_SETTING = "data.on_invalid=skip"  # in a reason why training would fail: the setting that would remove it


def summary_lines(report: CheckReport, task: str = "auto", columns: str = "") -> list[str]:
    """Return the report for the screen: what there is, problems by kind with examples, and the command to run next.

    Args:
        report: The report.
        task: The option `--task` with which the data was read, "auto" for none.
        columns: The option `--columns` with which the data was read, "" for none.
    """
    dataset = report.dataset
    noun = "clips" if dataset.task == "video" else "images"
    lines = [
        _line("data", _data_text(report, noun)),
        *([_line("labels", dataset.labels_in)] if dataset.labels_in not in ("", dataset.source) else []),
        _line("classes", _classes_text(report)),
        _line("sizes", _sizes_text(report)),
        *([_line("scale", report.scale)] if report.scale else []),
        *(_line("length", text) for text in _length_texts(report)),
        *(_line("objects", text) for text in _object_texts(report)),
        *(_line("pixels", text) for text in _pixel_texts(report)),
        _line("invalid", f"{len(report.invalid_rows):,} of {len(dataset):,} {noun} can't be used"),
    ]
    lines += [_line(severity, text) for severity, text in _problems(report)]
    lines += [_line("stops", reason) for reason in report.would_fail]
    return [*lines, _line("next", _next_command(report, task, columns))]


def problem_lines(report: CheckReport) -> list[str]:
    """Return a line for each kind of problem, with its first examples; empty when there is none."""
    return [printable(text) for _, text in _problems(report)]


def log_problems(report: CheckReport) -> None:
    """Log each line of `problem_lines`, as a warning unless it is only a note."""
    for severity, text in _problems(report):
        logger.log(logging.INFO if severity == NOTE else logging.WARNING, printable(text))


def _problems(report: CheckReport) -> list[tuple[str, str]]:
    """Return the severity and the text of each kind of problem, the worst first."""
    findings_of = defaultdict(list)
    for finding in report.findings:
        findings_of[finding.severity, finding.kind].append(finding)
    problems = []
    for severity, kind in sorted(findings_of, key=lambda key: (INVALID, WARNING, NOTE).index(key[0])):
        findings = findings_of[severity, kind]
        count = f" ({len(findings):,})" if len(findings) > 1 else ""
        problems.append((severity, f"{kind}{count}: {_examples(findings, report.dataset.source)}"))
    return problems


def _line(heading: str, text: str) -> str:
    return printable(f"{heading:<8} {text}")


def _data_text(report: CheckReport, noun: str) -> str:
    dataset = report.dataset
    what = f"{dataset.format}, for {dataset.task}"
    return f"{dataset.source} ({what}), {len(dataset):,} {noun}{_splits_text(report)}"


def _splits_text(report: CheckReport) -> str:
    counts = {split: int((report.dataset.splits == split).sum()) for split in report.class_counts}
    if set(counts) <= {""}:
        return ""
    return " (" + ", ".join(f"{split or 'no split'} {count:,}" for split, count in counts.items()) + ")"


def _classes_text(report: CheckReport) -> str:
    total = sum(report.class_counts.values(), np.zeros(len(report.dataset.classes), np.int64))
    order = np.argsort(-total, kind="stable")
    names = [f"{report.dataset.classes[index]} {total[index]:,}" for index in order]
    if len(names) > MAX_CLASSES:
        half = MAX_CLASSES // 2
        names = [*names[:half], "...", *names[-half:]]
    detail = ", several per image" if report.dataset.multi_label else ""
    return f"{len(report.dataset.classes):,}{detail}: {', '.join(names)}"


def _sizes_text(report: CheckReport) -> str:
    sizes = report.sizes()
    if not sizes:
        return "none is known"
    width, height = sizes["width"], sizes["height"]
    formats = Counter(file.format for file in report.files if not file.problem).most_common()
    text = f"median {width['median']} x {height['median']} pixels, "
    text += f"width {width['min']} to {width['max']}, height {height['min']} to {height['max']}"
    if width["min"] == width["max"] and height["min"] == height["max"]:
        text = f"all {width['min']} x {height['min']} pixels"
    text += "; " + ", ".join(f"{name} {count:,}" for name, count in formats)
    rotated = report.num_rotated()
    return text + (f"; rotated by EXIF: {rotated:,}" if rotated else "")


def _length_texts(report: CheckReport) -> list[str]:
    """Return how long the clips are, and what could not be decoded; empty for other tasks than video."""
    clips: list[Any] = [file for file in report.files if not file.problem]
    if report.dataset.task != "video" or not clips:
        return []
    frames, rates = [clip.frame_count for clip in clips], [clip.fps for clip in clips if clip.fps]
    parts = [f"median {int(np.median(frames))} frames, {min(frames)} to {max(frames)}"]
    if rates:
        spread = f"{min(rates):g} to {max(rates):g}" if min(rates) < max(rates) else f"{rates[0]:g}"
        parts.append(f"{spread} frames per second")
    lost = sum(clip.lost_frames for clip in clips)
    return [", ".join(parts + ([f"{lost:,} frames lost in decoding"] if lost else []))]


def _object_texts(report: CheckReport) -> list[str]:
    """Return what the boxes are like, in two lines; empty for other tasks than detection."""
    objects = report.objects
    if not objects or not objects["objects"]:
        return []
    parts = [f"{objects['objects']:,}", f"{objects['images_without_objects']:,} images without"]
    parts += [f"{objects[name]:,} {name}" for name in ("crowds", "difficult") if objects[name]]
    side, far = objects["side"], objects["anchors"]["below_negative"]
    parts += [f"at most {objects['max_per_image']:,} in one"]
    parts += [f"side {side['min']:g} to {side['max']:g} pixels, median {side['median']:g}"]
    parts += [f"90% within {side['5%']:g} to {side['95%']:g}"]
    fraction = far / objects["objects"]
    return [", ".join(parts), f"{far:,} ({fraction:.1%}) are far from every anchor (IoU below 0.3)"]


def _pixel_texts(report: CheckReport) -> list[str]:
    """Return the fraction of each class and of void; empty for other tasks than segmentation."""
    if not report.masks:
        return []
    pixels, void = report.masks["pixels"], report.masks["void"]
    total = max(sum(pixels.values()) + void, 1)
    largest_first = sorted(pixels.items(), key=lambda item: -item[1])
    texts = [f"{name} {count / total:.1%}" for name, count in largest_first[:MAX_CLASSES]]
    texts += ["..."] if len(largest_first) > MAX_CLASSES else []
    return [", ".join(texts + ([f"void {void / total:.1%}"] if void else []))]


def _examples(findings: Sequence[Finding], source: str) -> str:
    examples = []
    for finding in findings[:MAX_EXAMPLES]:
        name = os.path.relpath(finding.file, source) if _is_inside(finding.file, source) else finding.file
        examples.append(finding.reason if finding.file == source else f"{name} ({finding.reason})")
    return "; ".join(examples) + ("; ..." if len(findings) > MAX_EXAMPLES else "")


def _is_inside(file: str, folder: str) -> bool:
    return os.path.isdir(folder) and file.startswith(os.path.join(folder, ""))


def _next_command(report: CheckReport, task: str, columns: str) -> str:
    data = shlex.quote(report.dataset.source) + ("" if task == "auto" else f" --task {task}")
    data += f" --columns {shlex.quote(columns)}" if columns else ""
    masks = report.masks or {}
    if masks.get("resizable") and report.would_fail:
        return f"retinue check {data} --set {RESIZE_SETTING}"
    if masks.get("resized"):
        data += f" --set {RESIZE_SETTING}"
    if not all(SKIP_SETTING in reason for reason in report.would_fail):
        return f"fix what stops it, then: retinue check {data}"
    return f"retinue train {data}" + (f" --set {SKIP_SETTING}" if report.would_fail or report.skips else "")
