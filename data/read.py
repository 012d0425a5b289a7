"""Reading a data source of any known format into a `Dataset`."""

import difflib
import os

from retinue.configs.errors import UsageError
from retinue.data.class_folders import read_class_folders
from retinue.data.csv_table import read_csv_table

TASKS_OF_FORMAT = {"class folders": ("classification",), "csv": ("classification",), "tfds": ("classification",)}


def read(source, task="auto", say=print):
    """Read `source`, a folder, a .csv file or `tfds:NAME`, into a `Dataset`.

    task: what the data is for; "auto" takes what the format can give. say: called with a line of text when something
    takes long or is downloaded. Raises UsageError when the source is not there or of no known format or not for this
    task, and RetinueError, with file and line, when its contents can't be understood.
    """
    source = os.fspath(source)
    form = detect(source)
    if task not in ("auto", *TASKS_OF_FORMAT[form]):
        possible = " or ".join(TASKS_OF_FORMAT[form])
        raise UsageError(f"{source}: {form} can't be read for {task}; it is data for {possible}")
    if form == "tfds":
        from retinue.data.tfds_source import read_tfds  # imports TensorFlow

        return read_tfds(source, say)
    if form == "csv":
        return read_csv_table(source)
    return read_class_folders(source)


def detect(source):
    """The format of `source`: "class folders", "csv" or "tfds"."""
    if source.startswith("tfds:"):
        return "tfds"
    if not os.path.exists(source):
        raise UsageError(f"{source}: no such file or folder{_nearest(source)}")
    if os.path.isdir(source):
        return "class folders"
    if source.lower().endswith((".csv", ".tsv")):
        return "csv"
    raise UsageError(f"{source}: not a data source; give a folder of class folders, a .csv file or tfds:NAME")


def _nearest(source):
    folder, name = os.path.split(os.path.normpath(source))
    while not os.path.isdir(folder or "."):
        folder, name = os.path.split(folder)
    near = difflib.get_close_matches(name, os.listdir(folder or "."), 1)
    return f"; did you mean {os.path.join(folder, near[0])}?" if near else ""
