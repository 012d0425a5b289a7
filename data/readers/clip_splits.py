"""The split files of UCF-101 and HMDB-51: which clips are trained on and which tested, three times over.

UCF-101 (Soomro et al. 2012): `classInd.txt`, `trainlist01.txt` (`Class/v_Class_g01_c01.avi 1`) and `testlist01.txt`.
HMDB-51 (Kuehne et al. 2011): `<class>_test_split1.txt` a class, lines `clip.avi 1`; 1 is train, 2 test, 0 neither.
"""

import os
import re

from retinue.configs.errors import RetinueError
from retinue.data.finding import WARNING, Finding
from retinue.data.readers.class_folders import class_name, files_in, folders_in
from retinue.data.readers.clip_folders import clip_dataset
from retinue.data.storage.file_names import looks_like_video

UCF_LIST = re.compile(r"(train|test)list0?([123])\.txt")
HMDB_LIST = re.compile(r"(.+)_test_split([123])\.txt")
UCF_GROUP = re.compile(r"_g(\d+)_c\d+")
HMDB_GROUP = re.compile(r"_\d+\.\w+$")  # clips of one video differ by the number at the end
DEPTH = 2  # folders below the source in which the lists may be


def split_lists(folder, depth=DEPTH):
    """("ucf101" or "hmdb51", the folder with the split files), or None where there are none."""
    names = files_in(folder)
    if any(UCF_LIST.fullmatch(name) for name in names):
        return "ucf101", folder
    if any(HMDB_LIST.fullmatch(name) for name in names):
        return "hmdb51", folder
    for name in folders_in(folder) if depth else ():
        found = split_lists(os.path.join(folder, name), depth - 1)
        if found:
            return found
    return None


def read_clip_splits(source, fold=1):
    """Read a folder with the clips and the split files of UCF-101 or HMDB-51, somewhere below it, into a `Dataset`.

    fold: 1, 2 or 3, which of the splits. Clips of one original video are one group, so that a validation split never
    has what the training has. Raises RetinueError when a list or all its clips are missing.
    """
    source = os.fspath(source)
    form, lists = split_lists(source)
    listed = _ucf_rows(lists, fold) if form == "ucf101" else _hmdb_rows(lists, fold)
    where = _clips_by_name(source)
    rows, missing = [], []
    for name, label, split, group in listed:
        (rows if name in where else missing).append((where.get(name), name, label, split, group))
    if not rows:
        raise RetinueError(
            f"{source}: none of the {len(listed):,} clips that {lists} lists is below it; unpack them there"
        )
    findings = [
        Finding(WARNING, "listed, not there", os.path.join(lists, name), "", f"no {name} below {source}", "left out")
        for _, name, _, _, _ in missing
    ]
    rows.sort()
    classes = sorted({row[2] for row in rows})
    labels = [classes.index(row[2]) for row in rows]
    splits, groups = [row[3] for row in rows], [row[4] for row in rows]
    return clip_dataset(source, form, [row[0] for row in rows], labels, classes, splits, findings, groups)


def _ucf_rows(folder, fold):
    """(file name, class, split, group) of each clip."""
    rows = []
    for split in ("train", "test"):
        names = [f"{split}list{fold:02d}.txt", f"{split}list{fold}.txt"]
        path = next((os.path.join(folder, name) for name in names if os.path.exists(os.path.join(folder, name))), None)
        if path is None:
            raise RetinueError(f"{folder}: {names[0]} is missing, the list of fold {fold}; put it beside the others")
        for number, line in _lines(path):
            name = line.split(" ")[0]
            label, _, file = name.rpartition("/")
            group = UCF_GROUP.search(file)
            if not label or not looks_like_video(file):
                raise RetinueError(f"{path} line {number}: {line!r} is not Class/clip.avi; correct it")
            label = class_name(label.rpartition("/")[2])
            rows.append((file, label, split, f"{label}/{group.group(1)}" if group else file))
    return rows


def _hmdb_rows(folder, fold):
    rows = []
    for name in files_in(folder):
        found = HMDB_LIST.fullmatch(name)
        if not found or int(found.group(2)) != fold:
            continue
        label, path = class_name(found.group(1)), os.path.join(folder, name)
        for number, line in _lines(path):
            file, _, kind = line.rpartition(" ")
            if kind not in ("0", "1", "2") or not looks_like_video(file.strip()):
                raise RetinueError(f"{path} line {number}: {line!r} is not `clip.avi 1` (0, 1 or 2); correct it")
            file = file.strip()
            if kind != "0":
                rows.append((file, label, "train" if kind == "1" else "test", f"{label}/{HMDB_GROUP.sub('', file)}"))
    if not rows:
        raise RetinueError(f"{folder}: has no *_test_split{fold}.txt, the lists of fold {fold}; put them there")
    return rows


def _lines(path):
    try:
        with open(path, encoding="utf-8") as opened:
            yield from ((number, line.strip()) for number, line in enumerate(opened, 1) if line.strip())
    except (OSError, UnicodeError) as error:
        raise RetinueError(f"{path}: can't be read ({error})") from None


def _clips_by_name(folder):
    """{file name: path} of all videos below `folder`; both data sets name each clip once."""
    found = {name: os.path.join(folder, name) for name in files_in(folder) if looks_like_video(name)}
    for name in folders_in(folder):
        found |= _clips_by_name(os.path.join(folder, name))
    return found
