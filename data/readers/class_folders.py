"""Class folders: `DATA/<class>/**.jpg`, or the same below `DATA/train`, `DATA/val` and `DATA/test`."""

import os
import unicodedata

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.storage.file_names import IMAGE_SUFFIXES, SPLIT_NAMES, looks_like_image


def read_class_folders(folder):
    """Read a folder of class folders into a `Dataset`; classes and files are in sorted order.

    Below a class folder any depth of folders is read. Hidden files and the droppings of file managers are passed over
    in silence; other files that are no images, and folders that retinue wrote, are passed over with a finding.
    Raises RetinueError when there is no image or no class.
    """
    folder = os.fspath(folder)
    root, findings = folder, []
    while _only_wraps_another(root):
        findings += results_in(root)
        root = os.path.join(root, folders_in(root)[0])
        findings.append(Finding(NOTE, "folder in a folder", root, "", "the classes are one level down", "read there"))
    split_folders = split_folders_in(root)
    if split_folders:
        findings += results_in(root)
        labelled, unused = [], sorted(set(folders_in(root)) - set(split_folders.values()))
        for split, name in split_folders.items():
            labelled += _read_classes(os.path.join(root, name), split, findings)
        for name in unused:
            findings.append(_unused(os.path.join(root, name), "a folder beside train, val and test"))
        folders = {name for top in split_folders.values() for name in folders_in(os.path.join(root, top))}
    else:
        labelled, folders = _read_classes(root, "", findings), set(folders_in(root))
    if not labelled:
        raise RetinueError(_why_nothing(folder, root))
    classes = sorted({class_name(name) for name in folders})
    table = _table(root)
    if len(classes) == 1 and table:  # photos in a folder, and beside it what is in them
        raise RetinueError(f"{folder}: one folder of photos, and a table beside it; name the table instead: {table}")
    place = {name: index for index, name in enumerate(classes)}
    labelled.sort()
    return Dataset(
        task="classification",
        files=[file for file, _, _ in labelled],
        classes=classes,
        columns={"label": np.array([place[class_name(name)] for _, name, _ in labelled], np.int64)},
        splits=np.array([split for _, _, split in labelled], dtype=object),
        source=folder,
        format="class folders",
        findings=tuple(findings),
    )


def _read_classes(folder, split, findings):
    """(file, class folder, split) of every image in the class folders of `folder`."""
    rows = []
    findings += results_in(folder)
    for name in folders_in(folder):
        for file in _files_below(os.path.join(folder, name), findings):
            if looks_like_image(file):
                rows.append((file, name, split))
            else:
                findings.append(_unused(file, "not an image"))
    for name in files_in(folder):
        if looks_like_image(name):
            where = f"outside the class folders of {folder}"
            findings.append(_unused(os.path.join(folder, name), f"a photo {where}, so without a class"))
    return rows


def _unused(file, reason):
    return Finding(WARNING, "not used", file, "", reason, "passed over")


def split_folders_in(root):
    """{split: folder name}, empty for plain class folders.

    A folder `train` alone does not decide: it can be a class of vehicles. Either there is nothing but split names, or
    it holds folders itself and has a val or test beside it.
    """
    found = {}
    for name in folders_in(root):
        split = SPLIT_NAMES.get(name.lower())
        if split in found:
            raise RetinueError(f"{root}: both {found[split]} and {name} could be the {split} split; rename one of them")
        if split:
            found[split] = name
    if "train" not in found:
        return {}
    if len(found) == len(folders_in(root)):
        return found
    return found if len(found) > 1 and folders_in(os.path.join(root, found["train"])) else {}


def _only_wraps_another(root):
    """Whether `root` holds nothing but one folder of class folders, as an archive often unpacks."""
    folders = folders_in(root)
    if len(folders) != 1 or folders[0].lower() in SPLIT_NAMES or any(map(looks_like_image, files_in(root))):
        return False
    inner = os.path.join(root, folders[0])
    return len(folders_in(inner)) > 1 and not any(map(looks_like_image, files_in(inner)))


def _table(root):
    """The first table in a folder, or None."""
    names = [name for name in files_in(root) if name.lower().endswith((".csv", ".tsv"))]
    return os.path.join(root, names[0]) if names else None


def _why_nothing(folder, root):
    table = _table(root)
    if table:
        return f"{folder}: no class folders, but a table; name it instead: {table}"
    photos = sum(map(looks_like_image, files_in(root)))
    for name in folders_in(root):
        photos += sum(map(looks_like_image, files_in(os.path.join(root, name))))
    if photos:
        example = os.path.join(folder, "cat", "1.jpg")
        return (
            f"{folder}: {photos} photos but no class folders; give each class a folder of its own (as in {example}), "
            "or list the photos in a CSV with the columns file,label"
        )
    return f"{folder}: no photos in it; looked for {' '.join(IMAGE_SUFFIXES)} in folders named by class"


def class_name(folder_name):
    """One spelling for accented letters: macOS writes them decomposed, and classes are matched by name."""
    if any("\ud800" <= letter <= "\udfff" for letter in folder_name):
        raise RetinueError(f"{ascii(folder_name)}: the name of this class folder is not valid UTF-8; rename it")
    return unicodedata.normalize("NFC", folder_name)


def _ignored(name):
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini", "@eaDir")


def folders_in(folder):
    """Names of the folders in `folder`, sorted, without those that retinue wrote."""
    return sorted(
        entry.name for entry in entries_in(folder) if entry.is_dir() and not _is_written_by_retinue(entry.path)
    )


def files_in(folder):
    """Names of the files in `folder`, sorted."""
    return sorted(entry.name for entry in entries_in(folder) if not entry.is_dir())


def entries_in(folder):
    """What is in `folder`, as `os.DirEntry`s, but for the droppings of systems."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not _ignored(entry.name)]
    except PermissionError:
        raise RetinueError(f"{folder}: this folder can't be read; check its permissions") from None


def _files_below(folder, findings, above=()):
    """Every file below `folder`; links to folders are followed, but not round in a circle."""
    real = os.path.realpath(folder)
    if real in above:
        return
    findings += results_in(folder)
    for name in files_in(folder):
        yield os.path.join(folder, name)
    for name in folders_in(folder):
        yield from _files_below(os.path.join(folder, name), findings, (*above, real))


def results_in(folder):
    """A finding for each folder in `folder` that retinue wrote: its pictures are not photos to learn from."""
    return [
        Finding(NOTE, "results of retinue", path, "", "an earlier command wrote this folder", "passed over")
        for path in sorted(entry.path for entry in entries_in(folder) if entry.is_dir())
        if _is_written_by_retinue(path)
    ]


def _is_written_by_retinue(folder):
    """Whether `folder` is a run, an export, or the results of a check or a prediction, or holds nothing but such.

    A check or a prediction can be told to write among photos; a folder that has photos of its own is never passed over.
    """
    if _holds(folder, "run.json") or _holds(folder, "export.json"):
        return True
    entries = entries_in(folder)
    if any(looks_like_image(entry.name) and entry.name != "samples.jpg" for entry in entries):
        return False
    if _holds(folder, "predict.json") or (_holds(folder, "report.json") and _holds(folder, "problems.csv")):
        return True
    inner = [entry for entry in entries if entry.is_dir()]
    enough = any if os.path.basename(folder) == "runs" else all  # in `runs`, one may have been broken off early
    return bool(inner) and enough(not entry.is_symlink() and _is_written_by_retinue(entry.path) for entry in inner)


def _holds(folder, name):
    return os.path.isfile(os.path.join(folder, name))
