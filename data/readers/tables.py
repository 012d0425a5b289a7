"""Which kind of annotations a table holds: labels, boxes, masks or clips."""

from retinue.data.readers.boxes_csv import is_boxes_csv, read_boxes_csv, refuse_sides
from retinue.data.readers.clips_csv import is_clips_csv, read_clips_csv
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.labels_csv import read_labels_csv
from retinue.data.readers.masks_csv import is_masks_csv, read_masks_csv


def explain_file(path: str) -> Explanation | None:
    """Return what a table explains, if the file is one.

    Raises:
        UsageError: It gives boxes in a form that can't be read.
        RetinueError: It is a table whose header can't be read.
    """
    if not path.lower().endswith((".csv", ".tsv")):
        return None
    if is_masks_csv(path):
        return Explanation("masks csv", ("segmentation",), path, frozenset(), path, lambda _: read_masks_csv(path))
    if is_clips_csv(path):
        return Explanation("clips csv", ("video",), path, frozenset(), path, lambda _: read_clips_csv(path))
    if is_boxes_csv(path):
        return Explanation("boxes csv", ("detection",), path, frozenset(), path, lambda _: read_boxes_csv(path))
    refuse_sides(path)
    return Explanation("labels csv", ("classification",), path, frozenset(), path, lambda _: read_labels_csv(path))
