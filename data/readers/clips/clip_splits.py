"""The split files of UCF-101 and HMDB-51: which clips are for training and which for testing, in three folds.

UCF-101 (Soomro et al. 2012): `classInd.txt`, `trainlist01.txt` (lines `Class/v_Class_g01_c01.avi 1`) and
`testlist01.txt`. HMDB-51 (Kuehne et al. 2011): a file `<class>_test_split1.txt` for each class, with lines
`clip.avi 1`; 1 is train, 2 is test, 0 is neither.
"""

import os
import re
from collections.abc import Iterator

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import WARNING, Finding
from retinue.data.readers.clips.clip_folders import clip_dataset
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.folders import class_name, files_in, folders_in
from retinue.data.storage.file_names import looks_like_image, looks_like_video

UCF_LIST = re.compile(r"(train|test)list0?([123])\.txt")
HMDB_LIST = re.compile(r"(.+)_test_split([123])\.txt")
UCF_GROUP = re.compile(r"_g(\d+)_c\d+")
HMDB_GROUP = re.compile(r"_\d+\.\w+$")  # clips of one video differ by the number at the end
SUFFIX = ".avi"  # of all clips that the lists name
MAX_DEPTH = 2  # of the folders below the source in which the lists may be

ListedClip = tuple[str, str, str, str]  # file name, class, split, group


def split_lists(folder: str, depth: int = MAX_DEPTH) -> tuple[str, str] | None:
    """Find the split files in `folder` or up to `depth` folders down.

    Returns:
        "ucf101" or "hmdb51", and the folder with the split files; None when there are none.
    """
    names = files_in(folder)
    if any(UCF_LIST.fullmatch(name) for name in names):
        return "ucf101", folder
    if any(HMDB_LIST.fullmatch(name) for name in names):
        return "hmdb51", folder
    for name in folders_in(folder) if depth else ():
        lists = split_lists(os.path.join(folder, name), depth - 1)
        if lists:
            return lists
    return None


def explain(tree: FileTree) -> list[Explanation]:
    """Return what the split files of UCF-101 or HMDB-51 explain of a source with videos or folders of frames."""
    if not any(UCF_LIST.fullmatch(name) or HMDB_LIST.fullmatch(name) for _, name in tree.files(".txt")):
        return []
    lists = split_lists(tree.root) if tree.has_videos or tree.images else None
    if lists is None:
        return []
    return [
        Explanation(
            format=lists[0],
            tasks=("video",),
            source=tree.root,
            images=tree.image_paths,
            labels=f"the lists in {lists[1]}",
            read=lambda options: read_clip_splits(tree.root, options.fold),
        )
    ]


def read_clip_splits(source: str | os.PathLike[str], fold: int = 1) -> Dataset:
    """Read the clips and the split files of UCF-101 or HMDB-51 into a `Dataset` for video.

    Clips of one original video are one group, so that a validation set shares no video with the training set.

    Args:
        source: A folder that has the clips and the split files somewhere below it.
        fold: 1, 2 or 3, which of the splits.

    Raises:
        RetinueError: There are no split files, a list is missing or damaged, or no listed clip is there.
    """
    source = os.fspath(source)
    lists = split_lists(source)
    if lists is None:
        raise RetinueError(f"{source}: there are no split files of UCF-101 or HMDB-51 below it; add them")
    source_format, list_folder = lists
    listed = _ucf_clips(list_folder, fold) if source_format == "ucf101" else _hmdb_clips(list_folder, fold)
    path_of = _clips_by_name(source)
    rows = sorted((path_of[name], name, label, split, group) for name, label, split, group in listed if name in path_of)
    if not rows:
        raise RetinueError(
            f"{source}: none of the {len(listed):,} clips that {list_folder} lists is below it; unpack them there"
        )
    findings = [
        Finding(
            WARNING, "listed, not there", os.path.join(list_folder, name), "", f"no {name} below {source}", "skipped"
        )
        for name, _, _, _ in listed
        if name not in path_of
    ]
    classes = sorted({row[2] for row in rows})
    labels = [classes.index(row[2]) for row in rows]
    splits, groups = [row[3] for row in rows], [row[4] for row in rows]
    return clip_dataset(source, source_format, [row[0] for row in rows], labels, classes, splits, findings, groups)


def _ucf_clips(folder: str, fold: int) -> list[ListedClip]:
    """Return the clips that the lists of UCF-101 name."""
    clips = []
    for split in ("train", "test"):
        names = [f"{split}list{fold:02d}.txt", f"{split}list{fold}.txt"]
        path = next((os.path.join(folder, name) for name in names if os.path.exists(os.path.join(folder, name))), None)
        if path is None:
            raise RetinueError(f"{folder}: {names[0]}, the list of fold {fold}, is missing; put it beside the others")
        for number, line in _numbered_lines(path):
            name = line.split(" ")[0]
            label, _, file = name.rpartition("/")
            group = UCF_GROUP.search(file)
            if not label or not looks_like_video(file):
                raise RetinueError(f"{path} line {number}: {line!r} is not Class/clip.avi; correct it")
            label = class_name(label.rpartition("/")[2])
            clips.append((file, label, split, f"{label}/{group.group(1)}" if group else file))
    return clips


def _hmdb_clips(folder: str, fold: int) -> list[ListedClip]:
    """Return the clips that the lists of HMDB-51 name."""
    clips = []
    for name in files_in(folder):
        match = HMDB_LIST.fullmatch(name)
        if not match or int(match.group(2)) != fold:
            continue
        label, path = class_name(match.group(1)), os.path.join(folder, name)
        for number, line in _numbered_lines(path):
            file, _, kind = line.rpartition(" ")
            if kind not in ("0", "1", "2") or not looks_like_video(file.strip()):
                raise RetinueError(f"{path} line {number}: {line!r} is not `clip.avi 1` (0, 1 or 2); correct it")
            file = file.strip()
            if kind != "0":
                clips.append((file, label, "train" if kind == "1" else "test", f"{label}/{HMDB_GROUP.sub('', file)}"))
    if not clips:
        raise RetinueError(
            f"{folder}: there is no *_test_split{fold}.txt, the lists of fold {fold}; put them beside the others"
        )
    return clips


def _numbered_lines(path: str) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that is not empty."""
    try:
        with open(path, encoding="utf-8") as file:
            yield from ((number, line.strip()) for number, line in enumerate(file, 1) if line.strip())
    except (OSError, UnicodeError) as error:
        raise RetinueError(f"{path}: this list can't be read ({error})") from None


def _clips_by_name(folder: str) -> dict[str, str]:
    """Return {file name: path} of all clips below `folder`; both data sets name each clip once.

    The frames of a clip may be in a folder that is named like the video.
    """
    names = files_in(folder)
    path_of = {name: os.path.join(folder, name) for name in names if looks_like_video(name)}
    if any(map(looks_like_image, names)):
        path_of[os.path.basename(folder) + SUFFIX] = folder
    for name in folders_in(folder):
        path_of |= _clips_by_name(os.path.join(folder, name))
    return path_of
