"""Looking for problems in a dataset before it costs a night: invalid files, duplicates, leaks, empty classes."""

import dataclasses
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from retinue.configs.machine import usable_cores
from retinue.data.checking.anchor_iou import AnchorLayout
from retinue.data.checking.check_boxes import check_boxes
from retinue.data.checking.check_classes import class_counts, class_findings, reasons_against_training
from retinue.data.checking.check_duplicates import duplicate_findings, duplicate_groups, group_findings
from retinue.data.checking.check_masks import RESIZE_SETTING, check_masks
from retinue.data.checking.check_pixels import check_pixels
from retinue.data.checking.check_report import CheckReport
from retinue.data.checking.file_info import FileInfo
from retinue.data.dataset import Dataset
from retinue.data.decoding.image_file import SEVERAL_FRAMES, probe
from retinue.data.decoding.pixel_range import PixelRange
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.objects import keep_objects

CHUNK = 64  # files that a thread takes at once
NUM_TIMED = 2  # chunks that are probed first, to find out how long a file takes; the first one also imports decoders
SHORT_SECONDS = 0.0003


def check(
    dataset: Dataset,
    *,
    on_invalid: str = "stop",
    max_invalid_fraction: float = 0.03,
    max_pixels: int = 200_000_000,
    pixel_range: PixelRange | None = None,
    num_workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    training: bool = True,
    anchors: AnchorLayout | None = None,
    max_detections: int | None = None,
    resize_masks: bool = False,
) -> CheckReport:
    """Decode every file of a dataset and look for everything that would spoil a training.

    Args:
        dataset: The dataset as it was read.
        on_invalid: As data.on_invalid in the configuration.
        max_invalid_fraction: As data.max_invalid_fraction in the configuration.
        max_pixels: As data.max_pixels in the configuration.
        pixel_range: As data.pixel_range in the configuration.
        num_workers: The number of threads, by default the number of cores.
        progress: Called with the number of checked files and the number of all files.
        training: Whether to check also what training needs: two classes, and every class in the training set. False for
            data that is only evaluated.
        anchors: The anchors of the model, for detection.
        max_detections: The largest number of detections of an image, for detection; None for no limit.
        resize_masks: As segmentation.resize_masks in the configuration.

    Returns:
        The report. Its dataset has `content_ids`; for detection it only has boxes that can be right, and for
        segmentation it knows the pixels of each class.
    """
    begin = time.perf_counter()
    files = _probe_all(dataset, max_pixels, num_workers, progress)
    dataset = dataclasses.replace(dataset, content_ids=np.array([file.content_id for file in files], dtype=object))
    invalid = np.array([file.problem is not None for file in files], bool)
    findings = [*dataset.findings, *_file_findings(dataset, files)]
    pixels = check_pixels(dataset, files, pixel_range, training)
    findings += pixels.findings
    invalid |= pixels.invalid_files
    would_fail, objects, masks = list[str](), None, None
    cure = "fix or remove them"
    if training:
        cure = "fix them, or skip them with --set data.on_invalid=skip"
    if dataset.task == "detection":
        boxes = check_boxes(
            dataset,
            files,
            on_invalid=on_invalid,
            max_invalid_fraction=max_invalid_fraction,
            anchors=anchors,
            max_detections=max_detections,
            cure=cure,
        )
        dataset, objects = boxes.dataset, boxes.summary
        findings += boxes.findings
        invalid |= boxes.invalid_files
        would_fail += boxes.would_fail
    if dataset.task == "segmentation":
        mask_report = check_masks(dataset, files, num_workers, resize_masks)
        dataset, masks = mask_report.dataset, mask_report.summary
        findings += mask_report.findings
        invalid |= mask_report.invalid_files
        if masks["resizable"] and training:
            cure = f"resize masks with --set {RESIZE_SETTING}, {cure}"
    duplicates = duplicate_groups(files)
    findings += duplicate_findings(dataset, duplicates)
    findings += group_findings(dataset)
    would_fail = _too_many_invalid(dataset, findings, invalid, on_invalid, max_invalid_fraction, cure) + would_fail
    counts = class_counts(dataset, ~invalid)
    if training and dataset.classes:
        trained = class_counts(_without_ignored(dataset), ~invalid) if dataset.task == "detection" else counts
        would_fail += reasons_against_training(dataset, trained, counts)
        findings += class_findings(dataset, trained)
    return CheckReport(
        dataset=dataset,
        files=files,
        findings=findings,
        invalid_rows=np.flatnonzero(invalid),
        class_counts=counts,
        duplicate_groups=duplicates,
        would_fail=would_fail,
        seconds=time.perf_counter() - begin,
        objects=objects,
        masks=masks,
        pixel_range=pixels.pixel_range,
        scale=pixels.text,
        skips=on_invalid == "skip" and any(finding.severity == INVALID for finding in findings),
    )


def _probe_all(
    dataset: Dataset, max_pixels: int, num_workers: int | None, progress: Callable[[int, int], None] | None
) -> list[FileInfo]:
    """Probe every file, in order."""
    num_files = len(dataset)
    probe_row, chunk_size = _probe_function(dataset, max_pixels)
    chunks = [range(start, min(start + chunk_size, num_files)) for start in range(0, num_files, chunk_size)]
    files: list[FileInfo] = []
    # Pillow warns of odd metadata, which does not concern the pixels, and would do so once for each file.
    with warnings.catch_warnings(action="ignore"):
        for probed in _probe_chunks(probe_row, chunks, num_workers or usable_cores()):
            files += probed
            if progress:
                progress(len(files), num_files)
    return files


def _probe_chunks(
    probe_row: Callable[[int], FileInfo], chunks: Sequence[range], num_workers: int
) -> Iterator[list[FileInfo]]:
    """Probe files in threads: Pillow and OpenCV release Python's lock while they decode.

    Of files that take less than `SHORT_SECONDS`, one thread probes more than several, which wait for Python's lock.
    """

    def probe_chunk(rows: range) -> list[FileInfo]:
        return [probe_row(row) for row in rows]

    seconds = 0.0
    num_timed = NUM_TIMED if len(chunks) > NUM_TIMED else 0
    for rows in chunks[:num_timed]:
        begin = time.perf_counter()
        yield probe_chunk(rows)
        seconds = (time.perf_counter() - begin) / len(rows)
    with ThreadPoolExecutor(1 if seconds < SHORT_SECONDS else num_workers) as pool:
        yield from pool.map(probe_chunk, chunks[num_timed:])


def _probe_function(dataset: Dataset, max_pixels: int) -> tuple[Callable[[int], FileInfo], int]:
    """Return a function that probes the file of a row, and the number of files that a thread takes at once."""
    if dataset.task != "video":
        return lambda row: probe(dataset.files[row], max_pixels), CHUNK
    from retinue.data.decoding.clip_probe import probe_clip  # imports OpenCV

    starts, ends = dataset.columns["start"], dataset.columns["end"]
    return lambda row: probe_clip(dataset.files[row], float(starts[row]), float(ends[row]), max_pixels), 1


def _file_findings(dataset: Dataset, files: Sequence[FileInfo]) -> list[Finding]:
    locations = dataset.columns.get("location", np.full(len(files), "", object))
    findings = []
    for name, file, location in zip(dataset.files, files, locations, strict=True):
        if file.problem:
            kind, reason, cure = file.problem
            located = f"{location}: {reason}" if location else reason
            findings.append(Finding(INVALID, kind, name, location, located, f"skipped; {cure}"))
        for kind, reason in file.remarks:
            severity = NOTE if kind == SEVERAL_FRAMES else WARNING
            findings.append(Finding(severity, kind, name, "", reason, "used as it is"))
    return findings


def _without_ignored(dataset: Dataset) -> Dataset:
    """Return the dataset without crowds and difficult objects, which are not trained on."""
    ignored = dataset.columns["crowd"].values | dataset.columns["difficult"].values
    return dataclasses.replace(dataset, columns=keep_objects(dataset, ~ignored))


def _too_many_invalid(
    dataset: Dataset,
    findings: Sequence[Finding],
    invalid: np.ndarray,
    on_invalid: str,
    max_invalid_fraction: float,
    cure: str,
) -> list[str]:
    """Return the reasons why too few files can be used.

    Args:
        dataset: The dataset, with what its reader found.
        findings: All findings.
        invalid: bool `[n]`, the rows that can't be used.
        on_invalid: As in `check`.
        max_invalid_fraction: As in `check`.
        cure: What the user can do.
    """
    if invalid.all():
        first = next((finding for finding in findings if finding.severity == INVALID), None)
        return ["no file can be used" + (f", the first is {first.file}: {first.reason}" if first else "")]
    # A reader skips a file whose annotation is broken: it is not a row here, and counts as invalid all the same.
    skipped = sum(finding.severity == INVALID and not finding.item for finding in dataset.findings)
    count, total = int(invalid.sum()) + skipped, len(invalid) + skipped
    if on_invalid == "skip" or count / total <= max_invalid_fraction:
        return []
    fraction = f"{count / total:.1%}, more than {max_invalid_fraction:.0%}"
    return [f"{count:,} of {total:,} files are invalid ({fraction}); {cure}"]
