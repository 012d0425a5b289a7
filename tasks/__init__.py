"""The tasks, by name.

To add a task, add its folder and one line to `TASKS`, and its name to `Config.task` in configs/schema.py.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from retinue.configs.errors import UsageError
from retinue.configs.quiet import import_tensorflow

if TYPE_CHECKING:
    from retinue.configs.schema import Config
    from retinue.data.dataset import Dataset
    from retinue.tasks.task import Task


class TaskEntry(NamedTuple):
    """Where a task is defined, and what is needed of it before TensorFlow is imported.

    Attributes:
        task_class: "module:class" of the task.
        recipe: the recipe that is used when none is given. Without it, the default configuration is used.
        reader: "module:function" that reads a data source into a `Dataset`, for a task whose data none of the formats
            of `data.readers` holds. The module should not import TensorFlow.
    """

    task_class: str
    recipe: str | None = None
    reader: str | None = None


TASKS: dict[str, TaskEntry] = {
    "classification": TaskEntry("retinue.tasks.classification.task:Classification"),
    "detection": TaskEntry("retinue.tasks.detection.task:Detection", "faster-rcnn-small"),
    "segmentation": TaskEntry("retinue.tasks.segmentation.task:Segmentation", "segmentation-small"),
    "video": TaskEntry("retinue.tasks.video.task:Video", "two-stream-small"),
}


def create(config: "Config", classes: Sequence[str], multi_label: bool = False) -> "Task":
    """Create the task that `config.task` names. This imports TensorFlow.

    Args:
        config: the configuration.
        classes: the class names.
        multi_label: whether a file may have several labels.

    Returns:
        The task.
    """
    return task_class(config.task)(config, classes, multi_label)


def task_class(name: str) -> "type[Task]":
    """Return the class of a task. This imports TensorFlow. Raises UsageError for an unknown name."""
    import_tensorflow()
    task: Any = _load(_entry(name).task_class)
    return task


def default_recipe(name: str | None) -> str | None:
    """Return the recipe that a task uses when none is given; None where it has none, and for no task."""
    return None if name is None else _entry(name).recipe


def dataset_reader(name: str) -> "Callable[[str], Dataset] | None":
    """Return the function that reads the data of a task; None where the formats of `data.readers` serve."""
    reader = TASKS[name].reader if name in TASKS else None
    return None if reader is None else _load(reader)


def _entry(name: str) -> TaskEntry:
    if name not in TASKS:
        raise UsageError(f"there is no task '{name}'; use one of {', '.join(TASKS)}")
    return TASKS[name]


def _load(path: str) -> Callable:
    module, _, attribute = path.partition(":")
    loaded: Callable = getattr(importlib.import_module(module), attribute)
    return loaded
