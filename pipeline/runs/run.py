"""The folder that a job leaves, and opening a model from it (or from an export).

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
from importlib import metadata
from pathlib import Path

from retinue import tasks
from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.load import load_saved_config, to_yaml
from retinue.configs.machine import usable_cores
from retinue.data.storage.atomic_files import atomic_write
from retinue.pipeline.runs.model_files import EXPORTED, fingerprint

PACKAGES = ("tensorflow", "keras", "numpy", "openvino", "onnxruntime", "ai-edge-litert", "opencv-python-headless")


class Model:
    """A model on disk: what it is, and how to bring it to life.

    folder: Path; kind: "run" or "export"; config: `Config`; classes: tuple of names; multi_label: bool;
    class_ids: the ids that the training data gave the classes, or ().
    """

    def __init__(self, folder, kind):
        self.folder, self.kind = Path(folder), kind
        self.config = load_saved_config(self.folder / "config.yaml")
        described = _read_json(self.folder / "classes.json")
        try:
            self.classes, self.multi_label = tuple(described["classes"]), bool(described["multi_label"])
            self.class_ids = tuple(described.get("class_ids", ()))
        except (KeyError, TypeError):
            raise RetinueError(f"{self.folder / 'classes.json'}: damaged; copy the folder again") from None

    @functools.cached_property
    def task(self):
        """The `Task`, made when it is asked for first: that imports TensorFlow."""
        return tasks.create(self.config, self.classes, self.multi_label)

    @functools.cached_property
    def fingerprint(self):
        """Of its files, as they were when it was asked first: all of them are read."""
        return fingerprint(self.folder)

    @property
    def warning(self):
        """A line to say before the model is used: its training did not come to its end, or its files are not those that
        the export proved. "" when all is well."""
        if self.kind == "export":
            proven = _read_json(self.folder / "export.json").get("fingerprint")  # older exports have none
            if proven in (None, self.fingerprint):
                return ""
            return (
                f"warning: {self.folder}: its files have changed since the export was proven, so it may say something "
                "else; copy it or export the run again"
            )
        told = self.folder / "run.json"
        status = _read_json(told).get("status", "done") if told.is_file() else "done"
        if status == "done":
            return ""
        happened = {"interrupted": "was interrupted", "failed": "failed"}.get(status, "is under way, or was killed")
        return (
            f"warning: {self.folder}: its training {happened}; its best weights so far are used "
            "(`retinue train DATA --out RUN --resume` goes on)"
        )

    @property
    def precision(self):
        """Of an export, "f32" or "int8"; of a run "f32"."""
        return "f32" if self.kind == "run" else _read_json(self.folder / "export.json").get("precision", "f32")

    @property
    def came_from(self):
        """Of an export, the path (str) that its run had then; it may be another machine's."""
        return str(_read_json(self.folder / "export.json").get("run", ""))

    @property
    def proven(self):
        """What `rounding.prove` found when the run ended, or None."""
        told = self.folder / ("run.json" if self.kind == "run" else "export.json")
        return _read_json(told).get("proven") if told.is_file() else None

    def build(self):
        """The Keras `TaskModel` with the run's best weights."""
        weights = self.folder / "best.weights.h5"
        if self.kind == "export":
            raise UsageError(f"{self.folder}: an export holds no Keras model; give the run folder that it came from")
        if not weights.is_file():
            raise RetinueError(f"{self.folder}: has no best.weights.h5 yet; train it to the end of an epoch first")
        model = self.task.build(weights="none")
        try:
            model.load_weights(weights)
        except (OSError, ValueError, KeyError) as error:
            raise RetinueError(
                f"{weights}: damaged or of another model ({error}); copy the run folder again"
            ) from error
        return model


def open_model(path):
    """The `Model` in a run folder or an export folder. Raises UsageError where there is none."""
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


def refuse_existing(folder):
    """Raise UsageError when `folder` exists and is not an empty folder."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = "go on with --resume, or " if (folder / "run.json").is_file() else ""
        raise UsageError(f"{folder}: exists already; {hint}give another --out")


class Run:
    """A run folder while it is written."""

    def __init__(self, folder):
        self.folder = Path(folder)

    @classmethod
    def create(cls, folder, task, command, files=None, class_ids=(), **info):
        """Make the folder, whole or not at all. Raises UsageError when it exists and is not empty, or can't be made.

        task: `Task`; command: what the user typed; files: dict of more text files by name; class_ids: see `Dataset`;
        info: more for `run.json`.
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
                whole = Path(scratch) / "run"
                for name, text in content.items():
                    atomic_write(whole / name, text)
                os.replace(whole, folder)
        except OSError as error:
            raise UsageError(f"{folder}: can't be made ({error.strerror}); give another --out") from None
        return cls(folder)

    @property
    def info(self):
        """The content of `run.json`."""
        return _read_json(self.folder / "run.json")

    def update(self, **values):
        """Change entries of `run.json`."""
        atomic_write(
            self.folder / "run.json", json.dumps(self.info | values, indent=1, ensure_ascii=False, default=str)
        )

    def add_time(self, seconds, **values):
        """Add a session's seconds to those of earlier ones, and change other entries of `run.json`.

        Called at a job's end, when the disk may be full: then the entries are left as they were.
        """
        try:
            self.update(seconds=round(self.info.get("seconds", 0.0) + seconds, 1), **values)
        except (OSError, RetinueError):
            pass


def to_csv(rows):
    """Dicts as CSV text; None is an empty cell."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def versions():
    """Versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in ("retinue", *PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def now():
    """The time, to the second, with its zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def next_folder(parent, stem):
    """The first free `parent/stem-001`, `-002`, ..."""
    parent = Path(parent)
    taken = {path.name for path in parent.glob(f"{stem}-*")} if parent.is_dir() else set()
    number = next(n for n in range(1, len(taken) + 2) if f"{stem}-{n:03d}" not in taken)
    return parent / f"{stem}-{number:03d}"


def _read_json(path):
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise RetinueError(f"{path}: can't be read ({error})") from None


def device():
    """One phrase for what TensorFlow computes on."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"CPU, {usable_cores()} cores"
    names = {tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus}
    return f"{len(gpus)} x {', '.join(sorted(names))}"
