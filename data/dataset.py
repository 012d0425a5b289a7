"""The `Dataset`: files and their annotations in columns. Every reader returns one, and every stage takes one."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from retinue.data.finding import Finding
from retinue.data.storage.content import content_ids

SPLITS = ("train", "val", "test")
LOCATION_COLUMNS = {
    "mask",
    "object_masks",
    "image_id",
    "location",
}  # they tell where an annotation is stored; mask_id is its content

# Arrays or `Ragged` columns by name. The name determines which of the two it is, which no type can say: hence Any.
Columns = dict[str, Any]


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, stored in two arrays: row i is `values[offsets[i]:offsets[i + 1]]`.

    Attributes:
        values: [m, ...], the values of all rows one after the other.
        offsets: int64 [n + 1], not decreasing, from 0 to m.
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_rows(cls, rows: Sequence[Any], dtype: DTypeLike, width: int | None = None) -> Self:
        """Build a ragged column from sequences.

        Args:
            rows: A sequence of numbers, or of sequences of `width` numbers, for each row.
            dtype: The dtype of the values.
            width: Length of one value (4 for boxes), or None for scalars.

        Returns:
            The column, with one row for each sequence.
        """
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        shape = (0,) if width is None else (0, width)
        filled = [np.asarray(row, dtype).reshape((-1,) + shape[1:]) for row in rows if len(row)]
        values = np.concatenate(filled) if filled else np.zeros(shape, dtype)
        return cls(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def take(self, rows: Sequence[int] | np.ndarray) -> "Ragged":
        """Return the rows with these indices, in this order.

        Args:
            rows: int [k], indices of rows. A row may occur several times.
        """
        rows = np.asarray(rows, np.int64)
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.repeat(self.offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return Ragged(self.values[index], offsets)

    def value_rowids(self) -> np.ndarray:
        """Return the index of the row that each value belongs to, int64 [m]."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def filter_values(self, mask: np.ndarray) -> "Ragged":
        """Return the same rows with only those values for which `mask`, bool [m], is true."""
        offsets = np.concatenate([[0], np.cumsum(mask)])[self.offsets].astype(np.int64)
        return Ragged(self.values[mask], offsets)


@dataclass(frozen=True)
class Dataset:
    """Files with their annotations in columns. Row i of every column describes file i.

    Attributes:
        task: "classification", "detection", "segmentation" or "video".
        files: str objects [n], paths that can be opened.
        classes: The class names. Labels are indices into them.
        columns: The annotations, by task. Classification: `label`, int64 [n], or, if a file can have several labels,
            `labels`, `Ragged` of int64. Detection: see `retinue.data.readers.objects`. Segmentation: `mask`, str
            objects [n], paths; `values`, int64 [n, k], the pixel values of the classes (see
            `retinue.data.decoding.mask_file`); and the columns that the check of masks adds.
        splits: str objects [n], each "train", "val", "test" or "" (not assigned yet).
        groups: str objects [n] or None. Files of one group are never separated by a split; "" is no group.
        source: The path or name from which the dataset was read.
        format: The format of the source, such as "class folders" or "labels csv", for messages and reports.
        labels_in: Where the labels are in the source, for messages, such as "annotations/*.xml".
        findings: What the reader noticed, for the report of the check.
        content_ids: str objects [n] or None, hashes of the files' contents (see `retinue.data.storage.content`). The
            check adds them.
        class_ids: The ids of the classes in the source, or ().
    """

    task: str
    files: np.ndarray
    classes: tuple[str, ...]
    columns: Columns = field(default_factory=dict)
    splits: np.ndarray = None  # type: ignore[assignment]  # __post_init__ replaces None
    groups: np.ndarray | None = None
    source: str = ""
    format: str = ""
    labels_in: str = ""
    findings: tuple[Finding, ...] = ()
    content_ids: np.ndarray | None = None
    class_ids: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
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

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Iterate over the records: dicts with `file`, `split` and the value of each column."""
        for row in range(len(self)):
            yield {"file": self.files[row], "split": self.splits[row]} | {
                name: column[row] for name, column in self.columns.items()
            }

    @property
    def multi_label(self) -> bool:
        """Whether the task is classification and a file can have several labels, or none."""
        return self.task == "classification" and "labels" in self.columns

    def take(self, rows: Sequence[int] | Sequence[bool] | np.ndarray) -> "Dataset":
        """Return the dataset of some records.

        Args:
            rows: int [k], indices of records in the wanted order, or bool [n].
        """
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

    def split(self, name: str) -> "Dataset":
        """Return the records whose split is `name`."""
        return self.take(self.splits == name)

    def with_splits(self, splits: Sequence[str] | np.ndarray) -> "Dataset":
        """Return the same records with other splits, str [n]."""
        return dataclasses.replace(self, splits=np.asarray(splits, dtype=object))

    def class_counts(self) -> np.ndarray:
        """Count the files of each class, or in detection the objects of each class.

        A file with several labels counts once for each of them. In segmentation, a file counts for each class of which
        it has a pixel; the masks must have been checked before.

        Returns:
            int64 [classes].
        """
        if not self.classes:
            return np.zeros(0, np.int64)
        labels = self.columns["labels"].values if "labels" in self.columns else self.columns["label"]
        return np.bincount(labels, minlength=len(self.classes))

    @property
    def fingerprint(self) -> str:
        """A hash of the files' contents, their annotations and splits, in the order of the rows.

        It does not depend on names and ids, so that a folder keeps its fingerprint when it is moved or renamed. Without
        `content_ids`, every file is read to compute it.
        """
        digest = hashlib.sha256(repr((self.task, self.classes)).encode())
        identities = content_ids(self.files) if self.content_ids is None else self.content_ids
        for identity, split in zip(identities, self.splits, strict=True):
            digest.update(f"{identity}\0{split}\n".encode())
        for name in sorted(set(self.columns) - LOCATION_COLUMNS):
            column = self.columns[name]
            arrays = (column.values, column.offsets) if isinstance(column, Ragged) else (column,)
            for array in arrays:
                digest.update(repr(array.tolist()).encode() if array.dtype == object else array.tobytes())
        return digest.hexdigest()[:16]
