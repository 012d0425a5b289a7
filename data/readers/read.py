"""Reading a data source of any known format into a `Dataset`."""

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.suggestions import suggestion
from retinue.data.dataset import Dataset
from retinue.data.readers.class_folders import class_folders
from retinue.data.readers.clips import clip_folders, clip_splits
from retinue.data.readers.coco import coco
from retinue.data.readers.copied_folders import describe_copy
from retinue.data.readers.explanation import Explanation, ReadOptions, choose
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.image_lists import image_lists
from retinue.data.readers.labeling_tools import createml, cvat, label_studio, labelme, unread_tools, via
from retinue.data.readers.masks import folders as mask_folders
from retinue.data.readers.tables import tables, tables_in_folders
from retinue.data.readers.tfrecords import tfrecords
from retinue.data.readers.unused_images import unused_images
from retinue.data.readers.voc import voc
from retinue.data.readers.yolo import files as yolo_files
from retinue.data.readers.yolo import keras_yolo_lists
from retinue.data.readers.yolo import layout as yolo_layout

OLD_PACK = "pack.index"  # the file in a folder of TFRecord shards that an earlier version wrote
TASKS_OF_TFDS = ("classification", "detection", "segmentation", "video")

# Each returns what its format explains of a folder.
EXPLAINERS: tuple[Callable[[FileTree], list[Explanation]], ...] = (
    class_folders.explain,
    clip_folders.explain,
    clip_splits.explain,
    coco.explain,
    voc.explain,
    yolo_layout.explain,
    keras_yolo_lists.explain,
    mask_folders.explain,
    labelme.explain,
    via.explain,
    cvat.explain,
    createml.explain,
    label_studio.explain,
    tfrecords.explain,
    unread_tools.explain,
    tables_in_folders.explain,
    image_lists.explain,
)
# Each returns what its format would make of a file, or None if it is not such a file.
FILE_EXPLAINERS: tuple[Callable[[str], Explanation | None], ...] = (
    tables.explain_file,
    coco.explain_file,
    keras_yolo_lists.explain_file,
    yolo_files.explain_file,
    labelme.explain_file,
    via.explain_file,
    cvat.explain_file,
    createml.explain_file,
    label_studio.explain_file,
    tfrecords.explain_file,
    unread_tools.explain_file,
    image_lists.explain_file,
)


def read(
    source: str | os.PathLike[str],
    task: str = "auto",
    fold: int = 1,
    columns: Mapping[str, str] | None = None,
    explanation: Explanation | None = None,
) -> Dataset:
    """Read a data source of any known format into a `Dataset`.

    A line is logged before something takes long or is downloaded.

    Args:
        source: A folder, a file of annotations, or `tfds:NAME`.
        task: What the data is for; "auto" is the likeliest task of the format.
        fold: Which of the three splits of UCF-101 and HMDB-51 is read, 1 to 3.
        columns: For tables, the header's name of each column that retinue needs, such as {"file": "shot"}.
        explanation: What `understand` returned for this source, if that is known already.

    Raises:
        UsageError: The source is not there, has no known format, can't be read for this task, or two readings of it are
            about as good.
        RetinueError: Its contents can't be understood. The message names the file and the line.
    """
    source = os.fspath(source)
    if source.startswith("tfds:"):
        return _read_tfds(source, task)
    explanation = explanation or understand(source, task, columns)
    if explanation.problem:
        raise RetinueError(explanation.problem)
    chosen = explanation.tasks[0] if task == "auto" else task
    dataset = explanation.read(ReadOptions(chosen, fold))
    findings = (*dataset.findings, *unused_images(explanation, dataset))
    return dataclasses.replace(dataset, labels_in=explanation.labels, findings=findings)


def tasks_of(source: str, columns: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the tasks that `source` can be read for, the likeliest first. `columns` is that of `read`.

    Raises:
        UsageError: As in `understand`.
    """
    return TASKS_OF_TFDS if source.startswith("tfds:") else understand(source, columns=columns).tasks


def understand(source: str, task: str = "auto", columns: Mapping[str, str] | None = None) -> Explanation:
    """Return the best explanation of a folder or a file: its format, its tasks, and how it is read.

    Args:
        source: A folder or a file of annotations.
        task: What the data is for; "auto" for any.
        columns: For tables, as in `read`. Where it is given, only tables are an explanation.

    Raises:
        UsageError: The source is not there, has no known format, can't be read for this task, or two readings of it are
            about as good.
    """
    if not os.path.exists(source):
        if "://" in source:
            raise UsageError(
                f"{source}: this is an address, but data is read from local files; copy it to a local disk or mount "
                "it, and give that folder"
            )
        raise UsageError(f"{source}: no such file or folder{_did_you_mean(source)}")
    if not os.path.isdir(source):
        return _understand_file(source, task, columns)
    if os.path.isfile(os.path.join(source, OLD_PACK)):
        raise UsageError(
            f"{source}: this is a pack, which retinue no longer reads; give the folder of images that it was made from"
        )
    tree = FileTree(source)
    if columns:
        explanations = tables_in_folders.explain(tree, columns)
        if not explanations:
            raise UsageError(f"{source}: --columns names columns of a table, but no table here lists its images")
        return choose(source, explanations, task)
    copy = describe_copy(tree)
    if copy:
        raise UsageError(copy)
    chosen = choose(source, [explanation for explain in EXPLAINERS for explanation in explain(tree)], task)
    return dataclasses.replace(chosen, unexplained=tree.image_paths - chosen.images - chosen.mask_images)


def _understand_file(source: str, task: str, columns: Mapping[str, str] | None) -> Explanation:
    if columns:
        table = tables.explain_file(source, columns)
        if not table:
            raise UsageError(f"{source}: --columns names columns of a table, but this is none")
        return choose(source, [table], task)
    explanations = [explanation for explain in FILE_EXPLAINERS if (explanation := explain(source))]
    if not explanations:
        raise UsageError(
            f"{source}: this is not a data source; give a folder (class folders, COCO, VOC, YOLO, images and masks), a "
            ".csv file, a COCO .json, a YOLO data.yaml or tfds:NAME"
        )
    return choose(source, explanations, task)


def _read_tfds(source: str, task: str) -> Dataset:
    from retinue.data.readers.tfds.clips import has_video, read_tfds_clips  # these import TensorFlow
    from retinue.data.readers.tfds.images import read_tfds
    from retinue.data.readers.tfds.masks import read_tfds_masks

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
