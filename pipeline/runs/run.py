"""The run folder, and opening a model from it or from an export.

`config.yaml`, `classes.json` and `best.weights.h5` rebuild the model. Nothing is unpickled and no code is loaded.
"""

import csv
import functools
import io
import json
import os
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinue import tasks
from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_saved_config, to_yaml
from retinue.configs.machine import usable_cores
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.runs.model_files import EXPORTED, fingerprint

if TYPE_CHECKING:
    from retinue.tasks.model import TaskModel
    from retinue.tasks.task import Task

PACKAGES = ("tensorflow", "keras", "numpy", "openvino", "onnxruntime", "ai-edge-litert", "opencv-python-headless")


class Model:
    """A model on disk: what it is, and how to load it.

    Args:
        folder: a run folder or an export folder.
        kind: "run" or "export".

    Attributes:
        folder: the folder.
        kind: "run" or "export".
        config: the configuration of the run.
        classes: the class names.
        multi_label: whether an image may have several labels.
        class_ids: the ids of the classes in the training data, or ().

    Raises:
        RetinueError: a file of the folder is damaged.
        UsageError: the folder was made by another version of retinue.
    """

    def __init__(self, folder: str | os.PathLike[str], kind: str) -> None:
        self.folder, self.kind = Path(folder), kind
        self.config = load_saved_config(self.folder / "config.yaml")
        content = _read_json(self.folder / "classes.json")
        try:
            self.classes: tuple[str, ...] = tuple(content["classes"])
            self.multi_label = bool(content["multi_label"])
            self.class_ids: tuple[Any, ...] = tuple(content.get("class_ids", ()))
        except (KeyError, TypeError):
            raise RetinueError(f"{self.folder / 'classes.json'}: the file is damaged; copy the folder again") from None

    @functools.cached_property
    def task(self) -> "Task":
        """The task. It is created at the first access, which imports TensorFlow."""
        return tasks.create(self.config, self.classes, self.multi_label)

    @functools.cached_property
    def fingerprint(self) -> str:
        """The fingerprint of its files at the first access, which reads all of them."""
        return fingerprint(self.folder)

    @property
    def warning(self) -> str:
        """A warning to log before the model is used, or "".

        There is one if the training has not finished, or if the files of an export are not those that were proven.
        """
        if self.kind == "export":
            proven = _read_json(self.folder / "export.json").get("fingerprint")
            if proven in (None, self.fingerprint):
                return ""
            return (
                f"warning: {self.folder}: its files have changed since the export was verified, so its outputs may "
                "differ; copy the folder again, or export the run again"
            )
        path = self.folder / "run.json"
        status = _read_json(path).get("status", "done") if path.is_file() else "done"
        if status == "done":
            return ""
        event = {"interrupted": "was interrupted", "failed": "failed"}.get(status, "is still running, or was killed")
        return (
            f"warning: {self.folder}: its training {event}; its best weights so far are used "
            "(`retinue train DATA --out RUN --resume` continues it)"
        )

    @property
    def precision(self) -> str:
        """The precision of an export, "f32" or "int8"; "f32" for a run."""
        return "f32" if self.kind == "run" else _read_json(self.folder / "export.json").get("precision", "f32")

    @property
    def exported_from(self) -> str:
        """The path of the run that an export was made from. It may be a path on another machine."""
        return str(_read_json(self.folder / "export.json").get("run", ""))

    @property
    def proven(self) -> dict[str, Any] | None:
        """The result of `bf16_proof.prove` at the end of the run, or None."""
        path = self.folder / ("run.json" if self.kind == "run" else "export.json")
        return _read_json(path).get("proven") if path.is_file() else None

    def build(self) -> "TaskModel":
        """Return the Keras model with the best weights of the run.

        Raises:
            UsageError: this is an export.
            RetinueError: there are no weights yet, or they are damaged.
        """
        weights = self.folder / "best.weights.h5"
        if self.kind == "export":
            raise UsageError(
                f"{self.folder}: an export holds no Keras model; give the run folder that it was made from"
            )
        if not weights.is_file():
            raise RetinueError(f"{self.folder}: there is no best.weights.h5 yet; train to the end of an epoch first")
        model = self.task.build(weights="none")
        try:
            model.load_weights(weights)
        except (OSError, ValueError, KeyError) as error:
            raise RetinueError(
                f"{weights}: the file is damaged or belongs to another model ({error}); copy the run folder again"
            ) from error
        return model


def open_model(path: str | os.PathLike[str]) -> Model:
    """Return the model in a run folder or an export folder.

    Raises:
        UsageError: there is no model, or another version of retinue made it.
        RetinueError: the folder is damaged.
    """
    folder = Path(path)
    if not folder.exists():
        raise UsageError(f"{path}: there is no such folder; give a run folder or an export folder")
    kind = "export" if (folder / "export.json").is_file() else "run"
    for name in ("config.yaml", "classes.json"):
        if not (folder / name).is_file():
            versions = [one.parent for one in folder.glob("*/export.json") if one.parent.name.isdecimal()]
            newest = max(versions, key=lambda version: int(version.name), default=None)
            cure = f"its newest version is {newest}" if newest else "give a run folder or an export folder"
            raise UsageError(f"{path}: not a model of retinue ({name} is missing); {cure}")
    if kind == "run" and not (folder / "run.json").exists() and any((folder / name).exists() for name in EXPORTED):
        raise RetinueError(f"{path}: an export whose export.json is missing; copy the folder again")
    return Model(folder, kind)


def refuse_existing(folder: str | os.PathLike[str]) -> None:
    """Raise UsageError if `folder` exists and is not an empty folder."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = "resume it with --resume, or " if (folder / "run.json").is_file() else ""
        raise UsageError(f"{folder}: the folder exists already; {hint}give another --out")


class Run:
    """A run folder that is being written."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        task: "Task",
        command: str,
        files: Mapping[str, str] | None = None,
        class_ids: Sequence[Any] = (),
        **info: Any,
    ) -> "Run":
        """Create the folder with its first files, completely or not at all.

        Args:
            folder: the run folder.
            task: the task, with its configuration and class names.
            command: what the user typed.
            files: the content of more text files, by name.
            class_ids: the ids of the classes in the training data.
            **info: more entries of `run.json`.

        Raises:
            UsageError: the folder exists and is not empty, or can't be created.
        """
        folder = Path(folder)
        refuse_existing(folder)
        classes = {"classes": list(task.classes), "multi_label": task.multi_label}
        if class_ids:
            classes["class_ids"] = list(class_ids)
        started = {"command": command, "seed": task.config.seed, "versions": versions(), "started": now()}
        content = {
            "config.yaml": to_yaml(task.config),
            "classes.json": json.dumps(classes, indent=1, ensure_ascii=False),
            "run.json": json.dumps(started | info | {"status": "running"}, indent=1, ensure_ascii=False),
            **(files or {}),
        }
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
                complete = Path(scratch) / "run"
                for name, text in content.items():
                    atomic_write(complete / name, text)
                os.replace(complete, folder)
        except OSError as error:
            raise UsageError(f"{folder}: the folder can't be created ({error.strerror}); give another --out") from None
        return cls(folder)

    @property
    def info(self) -> dict[str, Any]:
        """The content of `run.json`."""
        return _read_json(self.folder / "run.json")

    def update(self, **values: Any) -> None:
        """Change entries of `run.json`."""
        atomic_write(
            self.folder / "run.json", json.dumps(self.info | values, indent=1, ensure_ascii=False, default=str)
        )

    def add_time(self, seconds: float, **values: Any) -> None:
        """Add the seconds of a session to those of earlier ones, and change other entries of `run.json`.

        This is called at the end of a job, when the disk may be full. Then the entries stay as they were.
        """
        try:
            self.update(seconds=round(self.info.get("seconds", 0.0) + seconds, 1), **values)
        except (OSError, RetinueError):
            pass


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV text. None becomes an empty cell."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a result."""
    found: dict[str, str] = {"python": platform.python_version()}
    for name in ("retinue", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def now() -> str:
    """Return the current time in seconds, with its time zone, in ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def next_folder(parent: str | os.PathLike[str], stem: str) -> Path:
    """Return the first of `parent/stem-001`, `parent/stem-002`, ... that does not exist."""
    parent = Path(parent)
    taken = {path.name for path in parent.glob(f"{stem}-*")} if parent.is_dir() else set()
    number = next(n for n in range(1, len(taken) + 2) if f"{stem}-{n:03d}" not in taken)
    return parent / f"{stem}-{number:03d}"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise RetinueError(f"{path}: can't be read ({error})") from None


def device() -> str:
    """Return a phrase for the device that TensorFlow computes on."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"CPU, {usable_cores()} cores"
    names = {tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus}
    return f"{len(gpus)} x {', '.join(sorted(names))}"
