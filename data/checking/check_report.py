"""The result of a check: for programs (`to_dict`, CSV) and as a contact sheet. `summary.py` has it as lines of text."""

import csv
import io
import json
import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.checking.box_sheet import box_sheet
from retinue.data.checking.contact_sheet import contact_sheet
from retinue.data.checking.file_info import FileInfo, upright_size
from retinue.data.checking.mask_sheet import mask_sheet
from retinue.data.dataset import Dataset
from retinue.data.decoding.pixel_range import PixelRange
from retinue.data.finding import Finding
from retinue.data.storage.atomic_files import atomic_path, atomic_write

UNSPLIT = "unsplit"  # in the report, for files without a split


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes:
        dataset: The dataset as it was checked.
        files: What is known of each file, `[n]`.
        findings: All findings, including those of the reader.
        invalid_rows: int64, the rows that can't be used.
        class_counts: For each split, the usable files (or objects) of each class, int64 `[classes]`; "" are files
            without a split.
        duplicate_groups: Arrays of rows whose files have the same bytes.
        would_fail: The reasons why training would fail, empty when it would not.
        seconds: How long the check took.
        objects: For detection, what is known of the boxes (see `check_boxes.BoxReport.summary`), else None.
        masks: For segmentation, what is known of the pixels (see `check_masks.MaskReport.summary`), else None.
        pixel_range: The values that become 0 and 255 in images of more than 8 bits, or None. A run keeps it as
            data.pixel_range.
        scale: The same in words, "" if there are no such images.
        skips: Whether something invalid is skipped because the configuration allows it.
    """

    dataset: Dataset
    files: list[FileInfo]
    findings: list[Finding]
    invalid_rows: np.ndarray
    class_counts: dict[str, np.ndarray]
    duplicate_groups: list[np.ndarray]
    would_fail: list[str]
    seconds: float
    objects: dict[str, Any] | None = None
    masks: dict[str, Any] | None = None
    pixel_range: PixelRange | None = None
    scale: str = ""
    skips: bool = False

    def usable(self) -> tuple[Dataset, list[np.ndarray]]:
        """Return the dataset without the invalid rows, and the duplicate groups as rows of that dataset."""
        keep = np.ones(len(self.dataset), bool)
        keep[self.invalid_rows] = False
        new_row = np.cumsum(keep) - 1
        return self.dataset.take(keep), [new_row[rows] for rows in self.duplicate_groups]

    def sizes(self) -> dict[str, dict[str, int]]:
        """Return min, median and max of the upright width and height in pixels and of the bytes of the usable files."""
        rows = [(*reversed(upright_size(file)), file.file_size) for file in self.files if not file.problem]
        if not rows:
            return {}
        table = np.array(rows, np.int64)
        return {
            name: {"min": int(column.min()), "median": int(np.median(column)), "max": int(column.max())}
            for name, column in zip(("width", "height", "bytes"), table.T, strict=True)
        }

    def num_rotated(self) -> int:
        """Return the number of usable files that their EXIF orientation rotates or flips."""
        return sum(file.orientation != 1 for file in self.files if not file.problem)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        dataset = self.dataset
        kinds = Counter((finding.severity, finding.kind) for finding in self.findings)
        return {
            "source": dataset.source,
            "format": dataset.format,
            "labels_in": dataset.labels_in,
            "task": dataset.task,
            "fingerprint": dataset.fingerprint,
            "files": len(dataset),
            "invalid_files": len(self.invalid_rows),
            "multi_label": dataset.multi_label,
            "classes": {
                name: {split or UNSPLIT: int(counts[index]) for split, counts in self.class_counts.items()}
                for index, name in enumerate(dataset.classes)
            },
            "splits": {split or UNSPLIT: int((dataset.splits == split).sum()) for split in self.class_counts},
            "sizes": self.sizes(),
            "formats": dict(Counter(file.format or "none" for file in self.files).most_common()),
            "channels": dict(Counter(file.mode for file in self.files if not file.problem).most_common()),
            "exif_rotated": self.num_rotated(),
            "pixel_range": None if self.pixel_range is None else list(self.pixel_range),
            "duplicate_groups": [[dataset.files[row] for row in rows] for rows in self.duplicate_groups],
            "problems": [
                {"severity": severity, "kind": kind, "count": count} for (severity, kind), count in kinds.most_common()
            ],
            **({"frames": self._frame_counts()} if dataset.task == "video" else {}),
            **({} if self.objects is None else {"objects": self.objects}),
            **({} if self.masks is None else {"masks": self.masks}),
            "would_fail": self.would_fail,
            "seconds": round(self.seconds, 2),
        }

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write `report.json`, `problems.csv` (file, item, reason, action) and `samples.jpg`.

        Args:
            folder: Where to write them; it is made if need be.

        Raises:
            RetinueError: The folder can't be written.
        """
        try:
            self._write(folder)
        except OSError as error:
            cause = error.strerror or error
            raise RetinueError(
                f"{folder}: this folder can't be written ({cause}); free some space, or give another --out"
            ) from error

    def _write(self, folder: str | os.PathLike[str]) -> None:
        _write_text(folder, "report.json", json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n")
        table = io.StringIO(newline="")
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["file", "item", "reason", "action"])
        writer.writerows([row.file, row.item, row.reason, row.action] for row in self.findings)
        _write_text(folder, "problems.csv", table.getvalue())
        usable, _ = self.usable()
        if not len(usable):
            return
        with atomic_path(os.path.join(folder, "samples.jpg")) as path:
            self._draw_samples(usable).save(path, quality=90)

    def _draw_samples(self, usable: Dataset) -> Image.Image:
        if usable.task == "video":
            from retinue.data.checking.clip_sheet import clip_sheet  # imports OpenCV

            return clip_sheet(usable)
        sheets = {"detection": box_sheet, "segmentation": mask_sheet}
        return sheets.get(usable.task, contact_sheet)(usable, self.pixel_range)

    def _frame_counts(self) -> dict[str, int]:
        """Return how many frames of the usable clips were decoded, and how many more their containers declare."""
        clips: list[Any] = [file for file in self.files if not file.problem]
        return {"decoded": sum(clip.frame_count for clip in clips), "lost": sum(clip.lost_frames for clip in clips)}


def printable(text: str) -> str:
    """Return text with escapes for file names that are not Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


def _write_text(folder: str | os.PathLike[str], name: str, text: str) -> None:
    atomic_write(os.path.join(folder, name), printable(text))
