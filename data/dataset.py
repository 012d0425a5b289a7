"""The `Dataset`: columns of files and annotations, the one form that every reader gives and every stage takes."""

import dataclasses
import hashlib
from dataclasses import dataclass, field

import numpy as np

from retinue.data.storage.content import content_ids

SPLITS = ("train", "val", "test")
NAMES = {"mask", "image_id", "place"}  # columns that say where something is, not what (mask_id says what a mask holds)


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths in two arrays: row i is `values[offsets[i]:offsets[i + 1]]`.

    values: `[m, ...]`; offsets: int64 `[n + 1]`, rising, from 0 to m.
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_rows(cls, rows, dtype, width=None):
        """Build from a list of sequences; `width` is the length of one value (4 for boxes), None for scalars."""
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        shape = (0,) if width is None else (0, width)
        filled = [np.asarray(row, dtype).reshape((-1,) + shape[1:]) for row in rows if len(row)]
        values = np.concatenate(filled) if filled else np.zeros(shape, dtype)
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, row):
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def take(self, rows):
        """The rows of int `rows`, in that order, as a new Ragged."""
        rows = np.asarray(rows, np.int64)
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Ragged(self.values[index], offsets)

    def row_of_value(self):
        """The row that each value is in, int64 `[m]`."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def keep(self, kept):
        """The same rows with those values alone for which `kept`, bool `[m]`, is true."""
        offsets = np.concatenate([[0], np.cumsum(kept)])[self.offsets].astype(np.int64)
        return Ragged(self.values[kept], offsets)


@dataclass(frozen=True)
class Dataset:
    """Files with their annotations, in columns; row i of every column describes file i.

    task: "classification", "detection", "segmentation" or "video".
    files: str objects `[n]`, paths that can be opened.
    classes: the class names; labels are indices into it. class_ids: the ids that the source gave them, or ().
    columns: by task. Classification: `label` int64 `[n]`, or, for several labels a file, `labels` (`Ragged` of int64).
        Detection: see `data.objects`. Segmentation: `mask` str objects `[n]`, paths; `values` int64 `[n, k]`, what
        their pixels mean (see `data.mask_file`); and, filled in by the check, those of `data.check_masks.MaskReport`.
    splits: str `[n]`, each "train", "val", "test" or "" (not assigned yet).
    groups: str `[n]` or None; files of one group never part.
    source, format: where it was read from and as what ("class folders", "csv", "tfds"), for messages and reports.
    findings: what the reader noticed (`Finding`s), for the check to report.
    content_ids: str `[n]` or None; what the files hold (see `data.content`), filled in by the check.
    """

    task: str
    files: np.ndarray
    classes: tuple
    columns: dict = field(default_factory=dict)
    splits: np.ndarray = None
    groups: np.ndarray = None
    source: str = ""
    format: str = ""
    findings: tuple = ()
    content_ids: np.ndarray = None
    class_ids: tuple = ()

    def __post_init__(self):
        files = np.array([str(name) for name in self.files], dtype=object)
        object.__setattr__(self, "files", files)
        object.__setattr__(self, "classes", tuple(self.classes))
        object.__setattr__(self, "class_ids", tuple(self.class_ids))
        if self.splits is None:
            object.__setattr__(self, "splits", np.full(len(files), "", dtype=object))
        if self.content_ids is not None:
            object.__setattr__(self, "content_ids", np.array(self.content_ids, dtype=object))
        optional = [("groups", self.groups), ("content_ids", self.content_ids)]
        for name, column in [*self.columns.items(), ("splits", self.splits), *optional]:
            if column is not None and len(column) != len(files):
                raise ValueError(f"column {name} has {len(column)} rows, but there are {len(files)} files")

    def __len__(self):
        return len(self.files)

    def __iter__(self):
        """Records: dicts with `file`, `split` and a value a column."""
        for row in range(len(self)):
            yield {"file": self.files[row], "split": self.splits[row]} | {
                name: column[row] for name, column in self.columns.items()
            }

    @property
    def multi_label(self):
        """Whether it is for classification and a file may have several labels (or none)."""
        return self.task == "classification" and "labels" in self.columns

    def take(self, rows):
        """The Dataset of int or bool `rows`, in that order."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        rows = rows.astype(np.int64)
        columns = {
            name: column.take(rows) if isinstance(column, Ragged) else column[rows]
            for name, column in self.columns.items()
        }
        return dataclasses.replace(
            self,
            files=self.files[rows],
            columns=columns,
            splits=self.splits[rows],
            groups=None if self.groups is None else self.groups[rows],
            content_ids=None if self.content_ids is None else self.content_ids[rows],
        )

    def split(self, name):
        """The part whose split is `name`."""
        return self.take(self.splits == name)

    def with_splits(self, splits):
        """The same records with other splits."""
        return dataclasses.replace(self, splits=np.asarray(splits, dtype=object))

    def class_counts(self):
        """Files of each class, int64 `[classes]` (a file with several labels counts for each); or objects of each.

        Masks must have been checked before: a file counts for each class that it has a pixel of.
        """
        labels = self.columns["labels"].values if "labels" in self.columns else self.columns["label"]
        return np.bincount(labels, minlength=len(self.classes))

    @property
    def fingerprint(self):
        """A hash of the files' contents, their annotations and splits, in the order of the rows.

        Names and ids play no part, so that a folder that was moved or renamed keeps its fingerprint. Without
        `content_ids` every file is read for it.
        """
        digest = hashlib.sha256(repr((self.task, self.classes)).encode())
        identities = content_ids(self.files) if self.content_ids is None else self.content_ids
        for identity, split in zip(identities, self.splits, strict=True):
            digest.update(f"{identity}\0{split}\n".encode())
        for name in sorted(set(self.columns) - NAMES):
            column = self.columns[name]
            parts = (column.values, column.offsets) if isinstance(column, Ragged) else (column,)
            for part in parts:
                digest.update(repr(part.tolist()).encode() if part.dtype == object else part.tobytes())
        return digest.hexdigest()[:16]
