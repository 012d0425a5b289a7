"""The result of a check: for programs (`to_dict`, CSV), for the screen (`summary_lines`) and as a picture."""

import csv
import io
import json
import logging
import os
import shlex
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.checking.box_sheet import box_sheet
from retinue.data.checking.contact_sheet import contact_sheet
from retinue.data.checking.mask_sheet import mask_sheet
from retinue.data.finding import BAD, NOTE, WARNING
from retinue.data.readers.read import TASKS_OF_FORMAT, tasks_of
from retinue.data.storage.atomic_files import atomic_path, atomic_write

logger = logging.getLogger(__name__)

EXAMPLES = 3  # of each kind of problem on the screen
CLASSES_SHOWN = 8
SKIP = "data.on_invalid=skip"  # in a reason: what would take it away


@dataclass(frozen=True)
class Report:
    """What `check` found.

    dataset: as it was checked. images: an `ImageFile` a row. findings: all that was noticed, by the reader too.
    bad_rows: int64, the rows that can't be used. class_counts: {split: usable files of each class}, "" for files
    without a split. duplicate_groups: arrays of rows with the same bytes. would_fail: the reasons why training would
    fail, empty when it would not. seconds: how long it took. objects: for detection, what is known of the boxes (see
    `check_boxes.BoxReport.summary`), else None; class_counts are then objects. masks: for segmentation, what is known
    of the pixels (see `check_masks.MaskReport.summary`), else None. skips: whether something bad is left out because
    the configuration says so.
    """

    dataset: object
    images: list
    findings: list
    bad_rows: np.ndarray
    class_counts: dict
    duplicate_groups: list
    would_fail: list
    seconds: float
    objects: dict = None
    masks: dict = None
    skips: bool = False

    def usable(self):
        """The dataset without the bad rows, and the duplicate groups as rows of that dataset."""
        keep = np.ones(len(self.dataset), bool)
        keep[self.bad_rows] = False
        new_row = np.cumsum(keep) - 1
        return self.dataset.take(keep), [new_row[rows] for rows in self.duplicate_groups]

    def to_dict(self):
        """Plain values for JSON."""
        dataset = self.dataset
        kinds = Counter((finding.severity, finding.kind) for finding in self.findings)
        return {
            "source": dataset.source,
            "format": dataset.format,
            "task": dataset.task,
            "fingerprint": dataset.fingerprint,
            "files": len(dataset),
            "bad_files": len(self.bad_rows),
            "multi_label": dataset.multi_label,
            "classes": {
                name: {split or "unsplit": int(counts[index]) for split, counts in self.class_counts.items()}
                for index, name in enumerate(dataset.classes)
            },
            "splits": {split or "unsplit": int((dataset.splits == split).sum()) for split in self.class_counts},
            "sizes": self._sizes(),
            "formats": dict(Counter(image.format or "none" for image in self.images).most_common()),
            "channels": dict(Counter(image.mode for image in self.images if not image.bad).most_common()),
            "exif_rotated": self._rotated(),
            "duplicate_groups": [[dataset.files[row] for row in rows] for rows in self.duplicate_groups],
            "problems": [
                {"severity": severity, "kind": kind, "count": count} for (severity, kind), count in kinds.most_common()
            ],
            **self._clips(),
            **({} if self.objects is None else {"objects": self.objects}),
            **({} if self.masks is None else {"masks": self.masks}),
            "would_fail": self.would_fail,
            "seconds": round(self.seconds, 2),
        }

    def write(self, folder):
        """Write `report.json`, `problems.csv` (file, item, reason, action) and `samples.jpg` into `folder`.

        Raises RetinueError when it can't be written there.
        """
        try:
            self._write(folder)
        except OSError as error:
            why = error.strerror or error
            raise RetinueError(f"{folder}: can't be written ({why}); make room, or give another --out") from error

    def _write(self, folder):
        _write_text(folder, "report.json", json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n")
        table = io.StringIO(newline="")
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["file", "item", "reason", "action"])
        writer.writerows([row.file, row.item, row.reason, row.action] for row in self.findings)
        _write_text(folder, "problems.csv", table.getvalue())
        usable, _ = self.usable()
        if len(usable):
            with atomic_path(os.path.join(folder, "samples.jpg")) as path:
                sheets = {"detection": box_sheet, "segmentation": mask_sheet}
                sheet = sheets.get(self.dataset.task, contact_sheet)
                if self.dataset.task == "video":
                    from retinue.data.checking.clip_sheet import clip_sheet as sheet  # imports OpenCV
                sheet(usable).save(path, quality=90)

    def _clips(self):
        """Frames of the usable clips, and how many more their containers say there are; nothing but for video."""
        if self.dataset.task != "video":
            return {}
        clips = [image for image in self.images if not image.bad]
        frames = {"decoded": sum(clip.frames for clip in clips), "lost": sum(clip.lost for clip in clips)}
        return {"frames": frames}

    def _rotated(self):
        return sum(image.orientation != 1 for image in self.images if not image.bad)

    def _sizes(self):
        """min, median and max of width, height (turned upright) and bytes of the usable files."""
        rows = [
            (image.height, image.width, image.bytes)
            if image.orientation >= 5
            else (image.width, image.height, image.bytes)
            for image in self.images
            if not image.bad
        ]
        if not rows:
            return {}
        table = np.array(rows, np.int64)
        return {
            name: {
                "min": int(column.min()),
                "median": int(np.median(column)),
                "max": int(column.max()),
            }
            for name, column in zip(("width", "height", "bytes"), table.T, strict=True)
        }


def _write_text(folder, name, text):
    atomic_write(os.path.join(folder, name), _printable(text))


def summary_lines(report):
    """The report for the screen: what there is, problems by kind with examples, and the command to run next."""
    dataset = report.dataset
    noun = "clips" if dataset.task == "video" else "photos"
    lines = [
        _line("data", f"{dataset.source} ({dataset.format}), {len(dataset):,} {noun}{_splits(report)}"),
        _line("classes", _classes(report)),
        _line("sizes", _sizes(report)),
        *(_line("length", text) for text in _lengths(report)),
        *(_line("objects", text) for text in _objects(report)),
        *(_line("pixels", text) for text in _pixels(report)),
        _line("bad", f"{len(report.bad_rows):,} of {len(dataset):,} {noun} can't be used"),
    ]
    lines += [_line(severity, text) for severity, text in _problems(report)]
    lines += [_line("stops", reason) for reason in report.would_fail]
    return lines + [_line("next", _next_command(report))]


def problem_lines(report):
    """A sentence a kind of problem, with its first examples, for the report of a run. Empty when all is well."""
    return [_printable(text) for _, text in _problems(report)]


def log_problems(report):
    """Log each line of `problem_lines`, as a warning unless it is but a note."""
    for severity, text in _problems(report):
        logger.log(logging.INFO if severity == NOTE else logging.WARNING, _printable(text))


def _problems(report):
    """(severity, sentence) of each kind, the worst first."""
    by_kind = defaultdict(list)
    for finding in report.findings:
        by_kind[finding.severity, finding.kind].append(finding)
    order = sorted(by_kind, key=lambda key: (BAD, WARNING, NOTE).index(key[0]))
    return [
        (
            severity,
            f"{kind}{_count(by_kind[severity, kind])}: {_examples(by_kind[severity, kind], report.dataset.source)}",
        )
        for severity, kind in order
    ]


def _count(findings):
    return f" ({len(findings):,})" if len(findings) > 1 else ""


def _line(word, text):
    return _printable(f"{word:<8} {text}")


def _printable(text):
    """The text with escapes for file names that are not Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


def _splits(report):
    given = {split: int((report.dataset.splits == split).sum()) for split in report.class_counts}
    if set(given) <= {""}:
        return ""
    return " (" + ", ".join(f"{split or 'no split'} {count:,}" for split, count in given.items()) + ")"


def _classes(report):
    total = sum(report.class_counts.values(), np.zeros(len(report.dataset.classes), np.int64))
    order = np.argsort(-total, kind="stable")
    names = [f"{report.dataset.classes[index]} {total[index]:,}" for index in order]
    if len(names) > CLASSES_SHOWN:
        half = CLASSES_SHOWN // 2
        names = names[:half] + ["..."] + names[-half:]
    kind = ", several a photo" if report.dataset.multi_label else ""
    return f"{len(report.dataset.classes):,}{kind}: {', '.join(names)}"


def _sizes(report):
    sizes = report._sizes()
    if not sizes:
        return "none is known"
    width, height = sizes["width"], sizes["height"]
    formats = Counter(image.format for image in report.images if not image.bad).most_common()
    text = f"median {width['median']} x {height['median']} pixels, "
    text += f"width {width['min']} to {width['max']}, height {height['min']} to {height['max']}"
    if width["min"] == width["max"] and height["min"] == height["max"]:
        text = f"all {width['min']} x {height['min']} pixels"
    text += "; " + ", ".join(f"{name} {count:,}" for name, count in formats)
    rotated = report._rotated()
    return text + (f"; turned upright by EXIF: {rotated:,}" if rotated else "")


def _lengths(report):
    """How long clips are, and what could not be decoded, a line; none but for video."""
    clips = [image for image in report.images if not image.bad]
    if report.dataset.task != "video" or not clips:
        return []
    frames, rates = [clip.frames for clip in clips], [clip.rate for clip in clips if clip.rate]
    parts = [f"median {int(np.median(frames))} frames, {min(frames)} to {max(frames)}"]
    if rates:
        spread = f"{min(rates):g} to {max(rates):g}" if min(rates) < max(rates) else f"{rates[0]:g}"
        parts.append(f"{spread} frames a second")
    lost = sum(clip.lost for clip in clips)
    return [", ".join(parts + ([f"{lost:,} frames lost in decoding"] if lost else []))]


def _objects(report):
    """What the boxes are like, two lines; none but for detection."""
    found = report.objects
    if not found or not found["objects"]:
        return []
    parts = [f"{found['objects']:,}, {found['pictures_without']:,} photos without"]
    parts += [f"{found[name]:,} {name}" for name in ("crowds", "difficult") if found[name]]
    side, anchors = found["side"], found["anchors"]
    parts += [f"at most {found['most_in_a_picture']:,} in one"]
    parts += [f"side {side['5%']:g} to {side['95%']:g} pixels, median {side['median']:g}"]
    far = anchors["below_negative"]
    second = f"{far:,} ({far / found['objects']:.1%}) are far from every anchor (overlap below 0.3)"
    return [", ".join(parts), second]


def _pixels(report):
    """The share of each class and of void, a line; none but for segmentation."""
    if not report.masks:
        return []
    pixels, void = report.masks["pixels"], report.masks["void"]
    total = max(sum(pixels.values()) + void, 1)
    shares = sorted(pixels.items(), key=lambda one: -one[1])
    texts = [f"{name} {number / total:.1%}" for name, number in shares[:CLASSES_SHOWN]]
    texts += ["..."] if len(shares) > CLASSES_SHOWN else []
    return [", ".join(texts + ([f"void {void / total:.1%}"] if void else []))]


def _examples(findings, source):
    shown = []
    for finding in findings[:EXAMPLES]:
        name = os.path.relpath(finding.file, source) if _is_inside(finding.file, source) else finding.file
        shown.append(finding.reason if finding.file == source else f"{name} ({finding.reason})")
    return "; ".join(shown) + ("; ..." if len(findings) > EXAMPLES else "")


def _is_inside(file, folder):
    return os.path.isdir(folder) and file.startswith(os.path.join(folder, ""))


def _next_command(report):
    dataset = report.dataset
    by_itself = TASKS_OF_FORMAT.get(dataset.format, (dataset.task,))[0]
    if os.path.exists(dataset.source):
        by_itself = tasks_of(dataset.source)[0]
    is_default = by_itself == dataset.task
    data = shlex.quote(dataset.source) + ("" if is_default else f" --task {dataset.task}")
    if not all(SKIP in reason for reason in report.would_fail):
        return f"mend what stops it, then: retinue check {data}"
    return f"retinue train {data}" + (f" --set {SKIP}" if report.would_fail or report.skips else "")
