"""What the readers of folders share: listing a folder without metadata files and results, splits, and class names."""

import os
import unicodedata
from collections.abc import Iterable, Iterator

from retinue.configs.errors import RetinueError
from retinue.data.finding import NOTE, Finding
from retinue.data.storage.file_names import looks_like_image, splits_of_names

# What operating systems and programs leave behind: macOS, Windows, Synology, ext4 and Python. Hidden files, too.
SYSTEM_NAMES = (
    *("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"),
    *("__pycache__", "node_modules"),
)


def entries_in(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in `folder`, without hidden files and what operating systems leave behind.

    Raises:
        RetinueError: The folder can't be read.
    """
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in SYSTEM_NAMES]
    except PermissionError:
        raise RetinueError(f"{folder}: this folder can't be read; check its permissions") from None


def folders_in(folder: str) -> list[str]:
    """Return the sorted names of the folders in `folder`, without those that retinue wrote."""
    return sorted(
        entry.name for entry in entries_in(folder) if entry.is_dir() and not _is_written_by_retinue(entry.path)
    )


def files_in(folder: str) -> list[str]:
    """Return the sorted names of the files in `folder`."""
    return sorted(entry.name for entry in entries_in(folder) if not entry.is_dir())


def files_below(folder: str, findings: list[Finding], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the path of every file below `folder`.

    Links to folders are followed, but never in a circle.

    Args:
        folder: The folder to walk.
        findings: Receives a finding for each folder that retinue wrote.
        above: Real paths of the folders above, for the recursion.
    """
    real_path = os.path.realpath(folder)
    if real_path in above:
        return
    findings += result_findings(folder)
    for name in files_in(folder):
        yield os.path.join(folder, name)
    for name in folders_in(folder):
        yield from files_below(os.path.join(folder, name), findings, (*above, real_path))


def result_findings(folder: str) -> list[Finding]:
    """Return a finding for each folder in `folder` that retinue wrote: its images are no training data."""
    return [
        Finding(NOTE, "results of retinue", path, "", "an earlier command wrote this folder", "ignored")
        for path in sorted(entry.path for entry in entries_in(folder) if entry.is_dir())
        if _is_written_by_retinue(path)
    ]


def split_folders_in(root: str) -> dict[str, str]:
    """Return the name of the folder of each split in `root`, empty for plain class folders.

    A folder `train` alone does not decide, since it can be a class of vehicles. Either there are only names of splits,
    or `train` holds folders itself and has a val or test folder beside it.

    Raises:
        RetinueError: Two folders could be the same split.
    """
    names = folders_in(root)
    folder_of = assign_splits(root, names)
    if "train" not in folder_of:
        return {}
    if len(folder_of) == len(names):
        return folder_of
    return folder_of if len(folder_of) > 1 and folders_in(os.path.join(root, folder_of["train"])) else {}


def assign_splits(root: str, names: Iterable[str]) -> dict[str, str]:
    """Return the folder of each split among the names of the folders in `root`.

    Raises:
        RetinueError: Two folders could be the same split.
    """
    folder_of: dict[str, str] = {}
    for name, split in splits_of_names(names).items():
        if split in folder_of:
            raise RetinueError(
                f"{root}: both {folder_of[split]} and {name} could be the {split} split; rename one of them"
            )
        if split:
            folder_of[split] = name
    return folder_of


def class_name(folder_name: str) -> str:
    """Return the class that a folder is named after, with one spelling for accented letters.

    macOS writes accented letters decomposed, and classes are matched by name.

    Raises:
        RetinueError: The name is not valid UTF-8.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in folder_name):
        raise RetinueError(f"{ascii(folder_name)}: the name of this class folder is not valid UTF-8; rename it")
    return unicodedata.normalize("NFC", folder_name)


def _is_written_by_retinue(folder: str) -> bool:
    """Return whether `folder` is a run, an export, or the results of a check or a prediction, or only holds such.

    A check or a prediction may write into a folder of images. A folder with images of its own is never ignored.
    """
    if _has_file(folder, "run.json") or _has_file(folder, "export.json"):
        return True
    entries = entries_in(folder)
    if any(looks_like_image(entry.name) and entry.name != "samples.jpg" for entry in entries):
        return False
    if _has_file(folder, "predict.json") or (_has_file(folder, "report.json") and _has_file(folder, "problems.csv")):
        return True
    inner = [entry for entry in entries if entry.is_dir()]
    enough = any if os.path.basename(folder) == "runs" else all  # a run in `runs` may have been interrupted early
    return bool(inner) and enough(not entry.is_symlink() and _is_written_by_retinue(entry.path) for entry in inner)


def _has_file(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name))
