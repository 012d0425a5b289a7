"""COCO files whose annotations have a class, but no box: labels of whole images, as of iNaturalist and camera traps."""

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Columns, Dataset, Ragged
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.coco.boxes import read_coco_files
from retinue.data.readers.coco.layout import CocoLayout

MAX_NAMED = 5  # categories


def read_coco_classes(layout: CocoLayout) -> Dataset:
    """Read COCO files into a `Dataset` for classification.

    Classes are the categories that have images, in the order of their ids, which are kept in `class_ids`. Images with
    annotations of several classes make the dataset multi-label. Images without an annotation are left out.

    Args:
        layout: The files.

    Raises:
        RetinueError: A file is not a COCO file, no image has a class, or two files contradict each other.
    """
    data = read_coco_files(layout)
    findings = list(data.findings)
    files: list[str] = []
    splits: list[str] = []
    labels: list[list[int]] = []
    for entry in data.files:
        labels_of: dict[int, dict[int, None]] = {}  # the classes of each image, each once, in the order of the file
        for image, label in zip(entry.image_of.tolist(), entry.labels.tolist(), strict=True):
            if image >= 0 and label >= 0:
                labels_of.setdefault(image, {})[label] = None
        listed = np.flatnonzero(entry.rows >= 0).tolist()
        labeled = [image for image in listed if image in labels_of]
        files += [entry.paths[image] for image in labeled]
        splits += [entry.split] * len(labeled)
        labels += [list(labels_of[image]) for image in labeled]
        if len(labeled) < len(listed):
            first = next(entry.file.file_names[image] for image in listed if image not in labels_of)
            reason = f"{len(listed) - len(labeled):,} of its images have no annotation, the first is {first}"
            findings.append(Finding(NOTE, "no label", entry.file.path, "", reason, "ignored; add their classes"))
    if not files:
        raise RetinueError(f"{layout.parts[0].path}: none of its images has an annotation with a known class; add them")
    num_multiple = sum(len(row) > 1 for row in labels)
    used = sorted({label for row in labels for label in row})
    if len(used) < len(data.classes):
        unused = [name for index, name in enumerate(data.classes) if index not in set(used)]
        reason = f"{len(unused):,} of its categories have no image: {', '.join(unused[:MAX_NAMED])}"
        findings.append(Finding(NOTE, "unused category", layout.source, "", reason, "omitted; add images of them"))
    index_of = {label: index for index, label in enumerate(used)}
    labels = [[index_of[label] for label in row] for row in labels]
    columns: Columns = {"label": np.array([row[0] for row in labels], np.int64)}
    if num_multiple:
        reason = f"{num_multiple:,} of {len(files):,} images have more than one class"
        findings.append(Finding(NOTE, "several labels", layout.source, "", reason, "read as multi-label"))
        columns = {"labels": Ragged.from_rows(labels, np.int64)}
    return Dataset(
        task="classification",
        files=np.array(files, dtype=object),
        classes=tuple(data.classes[label] for label in used),
        class_ids=tuple(data.class_ids[label] for label in used),
        columns=columns,
        splits=np.array(splits, dtype=object),
        source=layout.source,
        format="coco",
        findings=tuple(findings),
    )
