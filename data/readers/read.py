"""Reading a data source of any known format into a `Dataset`."""

import difflib
import os
from collections.abc import Callable

from retinue.configs.errors import UsageError
from retinue.configs.suggestions import suggestion
from retinue.data.dataset import Dataset
from retinue.data.readers.boxes_csv import is_boxes_csv, read_boxes_csv, refuse_sides
from retinue.data.readers.class_folders import read_class_folders
from retinue.data.readers.clip_folders import has_videos, read_clip_folders
from retinue.data.readers.clip_splits import read_clip_splits, split_lists
from retinue.data.readers.clips_csv import is_clips_csv, read_clips_csv
from retinue.data.readers.coco import coco_files, read_coco
from retinue.data.readers.coco_masks import read_coco_masks
from retinue.data.readers.labels_csv import read_labels_csv
from retinue.data.readers.mask_folders import mask_folders, read_mask_folders
from retinue.data.readers.masks_csv import is_masks_csv, read_masks_csv
from retinue.data.readers.voc import read_voc, voc_folders
from retinue.data.readers.yolo import is_yolo_folder, read_yolo

TASKS_OF_FORMAT = {  # the tasks that a format can be read for, the likeliest first
    "class folders": ("classification", "video"),
    "clip folders": ("video",),
    "clips csv": ("video",),
    "ucf101": ("video",),
    "hmdb51": ("video",),
    "labels csv": ("classification",),
    "boxes csv": ("detection",),
    "coco": ("detection", "segmentation"),
    "voc": ("detection", "segmentation"),
    "yolo": ("detection",),
    "mask folders": ("segmentation",),
    "masks csv": ("segmentation",),
    "tfds": ("classification", "detection", "segmentation", "video"),
}
OLD_PACK = "pack.index"  # the file in a folder of TFRecord shards that an earlier version wrote
READERS: dict[str, Callable[[str], Dataset]] = {
    "class folders": read_class_folders,
    "clip folders": read_clip_folders,
    "clips csv": read_clips_csv,
    "labels csv": read_labels_csv,
    "boxes csv": read_boxes_csv,
    "coco": read_coco,
    "voc": read_voc,
    "yolo": read_yolo,
    "mask folders": read_mask_folders,
    "masks csv": read_masks_csv,
}


def read(source: str | os.PathLike[str], task: str = "auto", fold: int = 1) -> Dataset:
    """Read a data source of any known format into a `Dataset`.

    A line is logged before something takes long or is downloaded.

    Args:
        source: A folder, a .csv, .json or .yaml file, or `tfds:NAME`.
        task: What the data is for; "auto" is the likeliest task of the format.
        fold: Which of the three splits of UCF-101 and HMDB-51 is read, 1 to 3.

    Raises:
        UsageError: The source is not there, has no known format, or can't be read for this task.
        RetinueError: Its contents can't be understood. The message names the file and the line.
    """
    source = os.fspath(source)
    source_format = detect(source)
    if task not in ("auto", *TASKS_OF_FORMAT[source_format]):
        possible = " or ".join(TASKS_OF_FORMAT[source_format])
        raise UsageError(f"{source}: {source_format} can't be read for {task}; it is data for {possible}")
    if source_format == "tfds":
        return _read_tfds(source, task)
    if source_format in ("ucf101", "hmdb51"):
        return read_clip_splits(source, fold)
    if task == "video" and source_format == "class folders":
        return read_clip_folders(source)  # of folders of frames
    if task == "segmentation" and source_format == "coco":
        return read_coco_masks(source)
    if task == "segmentation" and source_format == "voc":
        return read_mask_folders(source)
    return READERS[source_format](source)


def tasks_of(source: str) -> tuple[str, ...]:
    """Return the tasks that `source` can be read for, the likeliest first.

    Raises:
        UsageError: As in `detect`.
    """
    return TASKS_OF_FORMAT[detect(source)]


def detect(source: str) -> str:
    """Return the format of `source`, a key of `TASKS_OF_FORMAT`.

    Raises:
        UsageError: The source is not there, or has no known format.
        RetinueError: It is a table whose header can't be read.
    """
    if source.startswith("tfds:"):
        return "tfds"
    if not os.path.exists(source):
        if "://" in source:
            raise UsageError(
                f"{source}: this is an address, but data is read from local files; copy it to a local disk or mount "
                "it, and give that folder"
            )
        raise UsageError(f"{source}: no such file or folder{_did_you_mean(source)}")
    if os.path.isdir(source):
        return _detect_folder(source)
    suffix = os.path.splitext(source)[1].lower()
    if suffix in (".csv", ".tsv"):
        return _detect_table(source)
    if suffix in (".json", ".yaml", ".yml"):
        return "coco" if suffix == ".json" else "yolo"
    raise UsageError(
        f"{source}: this is not a data source; give a folder (class folders, COCO, VOC, YOLO, images and masks), a "
        ".csv file, a COCO .json, a YOLO data.yaml or tfds:NAME"
    )


def _detect_folder(source: str) -> str:
    if os.path.isfile(os.path.join(source, OLD_PACK)):
        raise UsageError(
            f"{source}: this is a pack, which retinue no longer reads; give the folder of images that it was made from"
        )
    if coco_files(source):
        return "coco"
    if voc_folders(source):
        return "voc"
    if mask_folders(source):
        return "mask folders"
    if is_yolo_folder(source):
        return "yolo"
    if not has_videos(source):
        return "class folders"
    lists = split_lists(source)
    return lists[0] if lists else "clip folders"


def _detect_table(source: str) -> str:
    if is_masks_csv(source):
        return "masks csv"
    if is_clips_csv(source):
        return "clips csv"
    if is_boxes_csv(source):
        return "boxes csv"
    refuse_sides(source)
    return "labels csv"


def _read_tfds(source: str, task: str) -> Dataset:
    from retinue.data.readers.tfds_clips import has_video, read_tfds_clips  # these import TensorFlow
    from retinue.data.readers.tfds_images import read_tfds
    from retinue.data.readers.tfds_masks import read_tfds_masks

    if task == "video" or (task == "auto" and has_video(source)):
        return read_tfds_clips(source)
    if task == "segmentation":
        return read_tfds_masks(source)
    return read_tfds(source, task)


def _did_you_mean(source: str) -> str:
    folder, name = os.path.split(os.path.normpath(source))
    while not os.path.isdir(folder or "."):
        folder, name = os.path.split(folder)
    similar = difflib.get_close_matches(name, os.listdir(folder or "."), 1)
    return suggestion([os.path.join(folder, known) for known in similar])
