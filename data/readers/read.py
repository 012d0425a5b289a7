"""Reading a data source of any known format into a `Dataset`."""

import difflib
import os

from retinue.configs.errors import UsageError
from retinue.configs.suggestions import suggestion
from retinue.data.readers.boxes_csv import is_boxes_csv, read_boxes_csv, refuse_sides
from retinue.data.readers.class_folders import read_class_folders
from retinue.data.readers.clip_folders import has_videos, read_clip_folders
from retinue.data.readers.clip_splits import read_clip_splits, split_lists
from retinue.data.readers.clips_csv import is_clips_csv, read_clips_csv
from retinue.data.readers.coco import coco_files, read_coco
from retinue.data.readers.coco_masks import read_coco_masks
from retinue.data.readers.labels_csv import read_csv_table
from retinue.data.readers.mask_folders import mask_folders, read_mask_folders
from retinue.data.readers.masks_csv import is_masks_csv, read_masks_csv
from retinue.data.readers.voc import read_voc, voc_folders
from retinue.data.readers.yolo import is_yolo_folder, read_yolo

TASKS_OF_FORMAT = {
    "class folders": ("classification", "video"),
    "clip folders": ("video",),
    "clips csv": ("video",),
    "ucf101": ("video",),
    "hmdb51": ("video",),
    "csv": ("classification",),
    "boxes csv": ("detection",),
    "coco": ("detection", "segmentation"),
    "voc": ("detection", "segmentation"),
    "yolo": ("detection",),
    "mask folders": ("segmentation",),
    "mask csv": ("segmentation",),
    "tfds": ("classification", "detection", "segmentation", "video"),
}
OLD_PACK = "pack.index"  # the file in a folder of TFRecord shards that an earlier version wrote
READERS = {
    "class folders": read_class_folders,
    "clip folders": read_clip_folders,
    "clips csv": read_clips_csv,
    "csv": read_csv_table,
    "boxes csv": read_boxes_csv,
    "coco": read_coco,
    "voc": read_voc,
    "yolo": read_yolo,
    "mask folders": read_mask_folders,
    "mask csv": read_masks_csv,
}


def read(source, task="auto", fold=1):
    """Read `source`, a folder, a .csv, .json or .yaml file or `tfds:NAME`, into a `Dataset`.

    task: what the data is for; "auto" takes what the format can give. fold: of UCF-101 and HMDB-51, which of the three
    splits. A line is logged when something takes long or is downloaded. Raises UsageError when the source is not there
    or of no known format or not for this task, and RetinueError, with file and line, when its contents can't be
    understood.
    """
    source = os.fspath(source)
    form = detect(source)
    if task not in ("auto", *TASKS_OF_FORMAT[form]):
        possible = " or ".join(TASKS_OF_FORMAT[form])
        raise UsageError(f"{source}: {form} can't be read for {task}; it is data for {possible}")
    if form == "tfds":
        from retinue.data.readers.tfds_clips import has_video, read_tfds_clips  # these import TensorFlow
        from retinue.data.readers.tfds_source import read_tfds

        if task == "video" or task == "auto" and has_video(source):
            return read_tfds_clips(source)
        if task == "segmentation":
            from retinue.data.readers.tfds_masks import read_tfds_masks

            return read_tfds_masks(source)
        return read_tfds(source, task)
    if form in ("ucf101", "hmdb51"):
        return read_clip_splits(source, fold)
    if task == "video" and form == "class folders":
        return read_clip_folders(source)  # of folders of frames
    if task == "segmentation" and form == "coco":
        return read_coco_masks(source)
    if task == "segmentation" and form == "voc":
        return read_mask_folders(source)
    return READERS[form](source)


def tasks_of(source):
    """The tasks that `source` may be for, the likeliest first."""
    return TASKS_OF_FORMAT[detect(source)]


def detect(source):
    """The format of `source`, a key of `TASKS_OF_FORMAT`."""
    if source.startswith("tfds:"):
        return "tfds"
    if not os.path.exists(source):
        if "://" in source:
            raise UsageError(
                f"{source}: is an address, and data is read from local files; copy it to a local disk or mount it, and "
                "give that folder"
            )
        raise UsageError(f"{source}: no such file or folder{_nearest(source)}")
    if os.path.isdir(source):
        if os.path.isfile(os.path.join(source, OLD_PACK)):
            raise UsageError(
                f"{source}: is a pack, which retinue no longer reads; give the folder of images that it was made from"
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
    suffix = os.path.splitext(source)[1].lower()
    if suffix in (".csv", ".tsv"):
        if is_masks_csv(source):
            return "mask csv"
        if is_clips_csv(source):
            return "clips csv"
        if is_boxes_csv(source):
            return "boxes csv"
        refuse_sides(source)
        return "csv"
    if suffix in (".json", ".yaml", ".yml"):
        return "coco" if suffix == ".json" else "yolo"
    raise UsageError(
        f"{source}: not a data source; give a folder (class folders, COCO, VOC, YOLO, images and masks), a .csv file, "
        "a COCO .json, a YOLO data.yaml or tfds:NAME"
    )


def _nearest(source):
    folder, name = os.path.split(os.path.normpath(source))
    while not os.path.isdir(folder or "."):
        folder, name = os.path.split(folder)
    near = difflib.get_close_matches(name, os.listdir(folder or "."), 1)
    return suggestion([os.path.join(folder, known) for known in near])
