"""From a data source to a checked and split `Dataset`, for `check` and `train`. Imports no TensorFlow."""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from retinue import tasks
from retinue.configs.errors import RetinueError
from retinue.configs.load import load_config
from retinue.configs.schema import Config
from retinue.data.checking.anchor_iou import AnchorLayout
from retinue.data.checking.check import check
from retinue.data.checking.check_report import CheckReport
from retinue.data.dataset import Dataset
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.read import read, tasks_of, understand
from retinue.data.readers.tables.layout import parse_columns
from retinue.data.split import split
from retinue.pipeline.runs.progress import count_files

logger = logging.getLogger(__name__)

MIN_LOGGED_FILES = 5000  # the check of fewer files takes so little time that it is not announced


def explain_source(
    source: str, task: str, settings: Sequence[str], options: Mapping[str, Any] | None
) -> Explanation | None:
    """Return what a data source is, so that it is only found out once; None where no format of `data.readers` serves.

    Args:
        source: the data source.
        task: the name of the task, or "auto".
        settings: "key=value" texts; see `load_config`.
        options: values by dotted key; see `load_config`.

    Raises:
        UsageError, RetinueError: as in `read`.
    """
    if source.startswith("tfds:") or tasks.dataset_reader(task):
        return None
    return understand(source, task, parse_columns(load_config(None, settings, options).data.columns))


def config_for(
    source: str | os.PathLike[str],
    task: str | None = None,
    recipe: str | None = None,
    settings: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> Config:
    """Return the configuration of a job on a data source.

    Args:
        source: the data source.
        task: the name of the task. None takes that of the recipe or, without a recipe, that of the data.
        recipe: a name or a path. None takes the default recipe of the task.
        settings: "key=value" texts; see `load_config`.
        options: values by dotted key; see `load_config`.
    """
    if task is None and recipe is None:
        columns = load_config(None, settings, options).data.columns
        task = tasks_of(os.fspath(source), parse_columns(columns))[0]
    if recipe is None and task is not None:
        recipe = tasks.default_recipe(task)
    return load_config(recipe, settings, {**(options or {}), **({"task": task} if task else {})})


def read_and_check(
    source: str | os.PathLike[str],
    config: Config,
    *,
    task: str = "auto",
    training: bool = True,
    explanation: Explanation | None = None,
) -> CheckReport:
    """Read and check a data source.

    Args:
        source: the data source.
        config: the configuration.
        task: the name of the task, or "auto".
        training: whether the data is checked for training, and not only for evaluation.
        explanation: what `understand` returned for this source, if that is known already.

    Returns:
        The report, which holds the `Dataset`.
    """
    dataset = read_dataset(source, config, task=task, training=training, explanation=explanation)
    return check_dataset(dataset, config, training=training)


def read_dataset(
    source: str | os.PathLike[str],
    config: Config,
    *,
    task: str = "auto",
    training: bool = True,
    explanation: Explanation | None = None,
) -> Dataset:
    """Read a data source without checking it. The arguments are those of `read_and_check`."""
    reader = tasks.dataset_reader(task)
    source = os.fspath(source)
    dataset = reader(source) if reader else _read(source, task, config, training, explanation)
    if len(dataset) >= MIN_LOGGED_FILES:
        logger.info(f"checking {len(dataset):,} files")
    return dataset


def _read(source: str, task: str, config: Config, training: bool, explanation: Explanation | None) -> Dataset:
    """Read a data source of a known format.

    What is evaluated may have another form than what the model was trained on. If the names of columns that the run has
    don't fit, it is read without them.
    """
    columns = parse_columns(config.data.columns)
    try:
        return read(source, task, config.data.fold, columns, explanation)
    except RetinueError as error:
        if training or not columns:
            raise
        try:
            return read(source, task, config.data.fold)
        except RetinueError:
            raise error from None


def check_dataset(dataset: Dataset, config: Config, *, training: bool = True) -> CheckReport:
    """Check a dataset by the settings of the configuration. The arguments are those of `read_and_check`."""
    return check(
        dataset,
        on_invalid=config.data.on_invalid,
        max_invalid_fraction=config.data.max_invalid_fraction,
        max_pixels=config.data.max_pixels,
        pixel_range=config.data.pixel_range,
        progress=count_files,
        training=training,
        anchors=_anchor_layout(config) if "boxes" in dataset.columns else None,
        max_detections=config.detection.max_detections,
        resize_masks=config.segmentation.resize_masks,
    )


def prepare(source: str | os.PathLike[str], config: Config) -> tuple[Dataset, CheckReport]:
    """Read, check and split a data source for training.

    Args:
        source: the data source.
        config: the configuration.

    Returns:
        The usable files, all of which have a split, and the report of the check.

    Raises:
        RetinueError: training would fail. The message has all reasons.
    """
    report = read_and_check(source, config, task=config.task)
    require_usable(source, report)
    usable, duplicate_groups = report.usable()
    dataset = split(
        usable,
        val_fraction=config.data.val_fraction,
        test_fraction=config.data.test_fraction,
        seed=config.seed,
        duplicate_groups=duplicate_groups,
    )
    return dataset, report


def with_pixel_range(config: Config, report: CheckReport) -> Config:
    """Return the configuration with the scale that the check found for images of more than 8 bits."""
    return config.model_copy(update={"data": config.data.model_copy(update={"pixel_range": report.pixel_range})})


def require_usable(source: str | os.PathLike[str], report: CheckReport) -> None:
    """Raise RetinueError with all reasons why the data can't be used, if there are any."""
    if report.would_fail:
        raise RetinueError(f"{source}: {'; '.join(report.would_fail)}. `retinue check {source}` lists every file")


def _anchor_layout(config: Config) -> AnchorLayout:
    """Return the anchors that a detector of this configuration has."""
    settings = config.detection
    sizes: tuple[tuple[float, ...], ...]
    strides: tuple[int, ...]
    if settings.architecture == "c4":
        sizes, strides = (tuple(settings.anchor_sizes),), (16,)
    else:
        sizes = tuple((size,) for size in settings.anchor_sizes)
        strides = tuple(4 * 2**level for level in range(len(sizes)))
    return AnchorLayout(sizes, strides, settings.anchor_ratios, config.model.input_size, settings.max_size)
