"""From a data source to a checked and split `Dataset`: the part that `check` and `train` share. No TensorFlow."""

import logging

from retinue import tasks
from retinue.configs.errors import RetinueError
from retinue.configs.load import load_config
from retinue.data.checking.anchor_iou import AnchorLayout
from retinue.data.checking.check import check
from retinue.data.readers.read import read, tasks_of
from retinue.data.split import split
from retinue.pipeline.runs.progress import count_files

logger = logging.getLogger(__name__)

WORTH_A_LINE = 5000  # checking fewer files takes no time to speak of


def config_for(source, task=None, recipe=None, settings=(), options=None):
    """The `Config` of a job on `source`. Without a recipe, that of the task, or of what the data is made for.

    task: name, or None to go by the recipe or the data; the others as for `load_config`.
    """
    if task is None and recipe is None:
        task = tasks_of(source)[0]
    recipe = recipe or tasks.default_recipe(task)
    return load_config(recipe, settings, (options or {}) | ({"task": task} if task else {}))


def inspect(source, config, *, task="auto", training=True):
    """Read and check `source`. Returns the `CheckReport`, which holds the `Dataset`."""
    return look_at(read_data(source, config, task=task), config, training=training)


def read_data(source, config, *, task="auto"):
    """The `Dataset` at `source`, not checked yet."""
    reader = tasks.dataset_reader(task)
    dataset = reader(source) if reader else read(source, task, config.data.fold)
    if len(dataset) >= WORTH_A_LINE:
        logger.info(f"checking {len(dataset):,} files")
    return dataset


def look_at(dataset, config, *, training=True):
    """Check `dataset` as the configuration says. Returns the `CheckReport`."""
    return check(
        dataset,
        on_invalid=config.data.on_invalid,
        max_invalid_fraction=config.data.max_invalid_fraction,
        max_pixels=config.data.max_pixels,
        progress=count_files,
        training=training,
        anchors=_anchor_grid(config) if "boxes" in dataset.columns else None,
    )


def prepare(source, config):
    """Read, check and split `source` for training.

    Returns (`Dataset` of usable files, all with a split, `CheckReport`).
    Raises RetinueError, with all reasons, when training would fail.
    """
    report = inspect(source, config, task=config.task)
    refuse_unfit(source, report)
    usable, duplicate_groups = report.usable()
    shares = {"val_fraction": config.data.val_fraction, "test_fraction": config.data.test_fraction}
    return split(usable, **shares, seed=config.seed, duplicate_groups=duplicate_groups), report


def _anchor_grid(config):
    """The anchors that a detector of this configuration has."""
    settings = config.detection
    if settings.architecture == "c4":
        sizes, strides = (tuple(settings.anchor_sizes),), (16,)
    else:
        sizes = tuple((size,) for size in settings.anchor_sizes)
        strides = tuple(4 * 2**level for level in range(len(sizes)))
    return AnchorLayout(sizes, strides, settings.anchor_ratios, config.model.input_size, settings.max_size)


def refuse_unfit(source, report):
    """Raise RetinueError with all reasons why the data can't be used as it is."""
    if report.would_fail:
        raise RetinueError(f"{source}: {'; '.join(report.would_fail)}. `retinue check {source}` lists every file")
