"""What YOLO's label files explain of a source: a data.yaml, Darknet's lists, or folders with the same stems."""

import dataclasses
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.explanation import ABOUT_AS_GOOD, Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree, common_folder, is_below
from retinue.data.readers.yolo.above import (
    REPEATS,
    error_explanation,
    explain_images_alone,
    explain_labels_alone,
    settings_above,
)
from retinue.data.readers.yolo.darknet_lists import read_lists, unlisted_finding
from retinue.data.readers.yolo.data_yaml import USUAL_NAMES, DataYaml, YamlSettings, is_data_yaml, read_data_yaml
from retinue.data.readers.yolo.image_by_path import count_images
from retinue.data.readers.yolo.names import find_names_files, governing_names_files, merged_names
from retinue.data.readers.yolo.pairs import FolderPair, images_in, images_of_pair, is_prediction, pair_folders, texts_in
from retinue.data.readers.yolo.polygons import TASKS_WITH_POLYGONS, tasks_of_label_files
from retinue.data.readers.yolo.yolo import YoloFiles, label_file, read_yolo

OTHER_KINDS = {  # how lines differ from labels, and what to do
    "commas": "the numbers of its label files are separated by commas; separate them by spaces",
    "words": "its label files begin with the names of classes; YOLO has their numbers there, write class number, "
    "center x, center y, width, height as fractions of the image",
    "corners of DOTA": "its text files are DOTA's (eight coordinates in pixels, then the class name); convert them "
    "to YOLO's rotated boxes, a line with class number, x1, y1, ..., x4, y4 as fractions of the image "
    "(ultralytics.data.converter.convert_dota_to_yolo_obb does it for DOTA's classes)",
    "corners": "its text files have corners in pixels, then the class name; list the boxes in a CSV with the columns "
    "file,label,x1,y1,x2,y2, or write class number, center x, center y, width, height as fractions of the image",
    "VisDrone": "its text files are VisDrone's (x, y, width, height in pixels, score, class, truncation, occlusion); "
    "convert them to YOLO's (Ultralytics' VisDrone.yaml has a script), or list the boxes in a CSV with the columns "
    "file,label,x1,y1,x2,y2",
}


def explain(tree: FileTree) -> list[Explanation]:
    """Return what YOLO's label files explain of a source."""
    if not tree.images:
        return _explain_yamls(tree, []) or explain_labels_alone(tree)
    pairs = pair_folders(tree)
    explanations = _explain_yamls(tree, pairs)
    explained = frozenset().union(*(explanation.images for explanation in explanations))
    others = [
        pair
        for pair in pairs
        if not any(tree.path(pair.image_folder, name) in explained for name in images_in(tree, pair.image_folder))
    ]
    explanations += [explanation for group in group_by_names(tree, others) if (explanation := _explain_group(group))]
    return _refuse_several(tree, explanations) or explain_images_alone(tree)


def explain_yaml(path: str) -> Explanation:
    """Return what a data.yaml explains that is given itself. Reading it reports what is wrong with it."""
    tree = FileTree(os.path.dirname(path) or os.curdir)

    def read(options: ReadOptions) -> Dataset:
        return _read_yaml(read_data_yaml(path, tree), path, tree, pair_folders(tree), options.task)

    return Explanation("yolo", TASKS_WITH_POLYGONS, path, frozenset(), f"label files of {path}", read, 1)


@dataclass(frozen=True)
class Group:
    """Pairs of folders whose classes have the same names.

    Attributes:
        tree: The files.
        pairs: The pairs, at least one.
        names_files: The files that name the classes, relative to the root.
    """

    tree: FileTree
    pairs: list[FolderPair]
    names_files: list[str]


def _refuse_several(tree: FileTree, explanations: list[Explanation]) -> list[Explanation]:
    """Return the explanations, or one error in place of those of several data sets that only lie in one folder."""
    explained = frozenset().union(*(explanation.images for explanation in explanations))
    most = max((len(explanation.images) for explanation in explanations), default=0)
    if most >= ABOUT_AS_GOOD * len(explained):
        return explanations
    commands = [f"retinue check {shlex.quote(explanation.source)}" for explanation in explanations]
    error = f"{tree.root}: there are several YOLO data sets in it; give one of them: {', '.join(commands)}"
    return [error_explanation(tree.root, "several folders", error, explained)]


def _predictions(tree: FileTree) -> frozenset[str]:
    """Return the images that Ultralytics drew on and wrote into its folder runs, which are no data."""
    return frozenset(
        tree.path(folder, name) for folder in tree.images if is_prediction(folder) for name in images_in(tree, folder)
    )


def _explain_yamls(tree: FileTree, pairs: Sequence[FolderPair]) -> list[Explanation]:
    """Return what the data.yaml files of a tree explain.

    A broken one stands for the images beside it all the same: it is an error, and never passed over.
    """
    paths = [tree.path(folder, name) for folder, name in tree.files((".yaml", ".yml"))]
    paths = [path for path in paths if is_data_yaml(path)]
    paths.sort(key=lambda path: (path.count(os.sep), os.path.basename(path).lower() not in USUAL_NAMES, path))
    explanations: list[Explanation] = []
    broken: list[tuple[str, RetinueError]] = []
    seen: list[tuple[frozenset[str], object]] = []
    for path in paths:
        try:
            content = read_data_yaml(path, tree)
        except RetinueError as error:
            broken.append((path, error))
            continue
        images = _with_unlisted(content, tree, pairs)
        if (images, content.settings.names) in seen:
            continue
        seen.append((images, content.settings.names))
        explanations.append(_explain_yaml_content(content, tree, pairs, images))
    explained = frozenset().union(*(explanation.images for explanation in explanations))
    for path, failure in broken:
        explanation = _explain_broken_yaml(path, failure, tree, pairs, explained)
        explained |= explanation.images
        explanations.append(explanation)
    return explanations


def _with_unlisted(content: DataYaml, tree: FileTree, pairs: Sequence[FolderPair]) -> frozenset[str]:
    """Return the images that a data.yaml lists, and those that it leaves out: beside them, or with labels below it."""
    folders = {os.path.dirname(file) for file in content.split_of}
    yaml_folder = _folder_of(content.path, tree)
    left_out = {folder for folder in tree.images if tree.path(folder) in folders}
    left_out |= {pair.image_folder for pair in pairs if is_below(pair.image_folder, yaml_folder)}
    beside = [tree.path(folder, name) for folder in left_out for name in images_in(tree, folder)]
    return frozenset((*content.split_of, *beside)) | _predictions(tree)


def _folder_of(path: str, tree: FileTree) -> str:
    """Return the folder of a file relative to the root of the tree, "" for the root."""
    folder = os.path.relpath(os.path.dirname(path) or os.curdir, tree.root)
    return "" if folder == os.curdir else folder


def _explain_yaml_content(
    content: DataYaml, tree: FileTree, pairs: Sequence[FolderPair], images: frozenset[str]
) -> Explanation:
    at_root = os.path.normpath(os.path.dirname(content.path) or os.curdir) == os.path.normpath(tree.root)
    source = tree.root if at_root else content.path
    labels = f"label files of {os.path.relpath(content.path, tree.root)}"
    return Explanation(
        "yolo",
        tasks_of_label_files(find_label_files(list(content.split_of), tree, pairs)),
        content.path,
        images,
        labels,
        lambda options: _read_yaml(content, source, tree, pairs, options.task),
        len(images),
        repeats=REPEATS,
    )


def _explain_broken_yaml(
    path: str, error: RetinueError, tree: FileTree, pairs: Sequence[FolderPair], explained: frozenset[str]
) -> Explanation:
    folder = _folder_of(path, tree)
    images = frozenset(
        tree.path(pair.image_folder, name)
        for pair in pairs
        if is_below(pair.image_folder, folder)
        for name in images_in(tree, pair.image_folder)
    )
    if images and images <= explained:
        images = frozenset()
    return error_explanation(path, path, str(error), images)


def _read_yaml(content: DataYaml, source: str, tree: FileTree, pairs: Sequence[FolderPair], task: str) -> Dataset:
    files = list(content.split_of)
    label_files = find_label_files(files, tree, pairs)
    settings, findings = content.settings, list(content.findings)
    if settings.names is None:
        settings = with_names(settings, tree, find_names_files(tree), [_folder_of(content.path, tree)])
    _refuse_other_kinds(content, tree, pairs)
    known = set(files)
    num_unlisted = sum(
        tree.path(pair.image_folder, name) not in known
        for pair in pairs
        for name in images_in(tree, pair.image_folder)
        if os.path.splitext(name)[0] in pair.stems
    )
    if num_unlisted and files:
        reason = f"{count_images(num_unlisted)} labeled, but in none of its folders and lists"
        findings.append(Finding(NOTE, "not listed", content.path, "", reason, "ignored; list them to use them"))
    listed = YoloFiles(
        source=source,
        files=files,
        label_files=label_files,
        splits=list(content.split_of.values()),
        settings=settings,
        findings=findings,
        task=task,
    )
    return read_yolo(_without_unlabeled_splits(listed))


def _refuse_other_kinds(content: DataYaml, tree: FileTree, pairs: Sequence[FolderPair]) -> None:
    """Raise RetinueError if the text files of the images that a data.yaml lists are of other kinds than labels."""
    folders = {os.path.dirname(file) for file in content.split_of}
    kinds = {pair.kind for pair in pairs if tree.path(pair.image_folder) in folders}
    others = sorted(kinds & OTHER_KINDS.keys())
    if others and "labels" not in kinds:
        raise RetinueError(f"{content.path}: {OTHER_KINDS[others[0]]}")


def _without_unlabeled_splits(listed: YoloFiles) -> YoloFiles:
    """Return the images without those of a split for validation or test none of whose images has a label file."""
    labeled = {split for split, path in zip(listed.splits, listed.label_files, strict=True) if os.path.isfile(path)}
    unlabeled = {"val", "test"} & set(listed.splits) - labeled
    if "train" not in labeled or not unlabeled:
        return listed
    findings = list(listed.findings)
    for split in sorted(unlabeled):
        reason = f"none of the {list(listed.splits).count(split):,} images of {split} has a label file"
        action = "this split is left out; add the label files"
        findings.append(Finding(WARNING, "split without labels", listed.settings.path, split, reason, action))
    rows = [row for row, split in enumerate(listed.splits) if split not in unlabeled]
    return dataclasses.replace(
        listed,
        files=[listed.files[row] for row in rows],
        label_files=[listed.label_files[row] for row in rows],
        splits=[listed.splits[row] for row in rows],
        findings=findings,
    )


def with_names(settings: YamlSettings, tree: FileTree, paths: Sequence[str], folders: Sequence[str]) -> YamlSettings:
    """Return settings with the class names that a file gives which governs `folders`."""
    names, _ = merged_names([tree.path("", path) for path in governing_names_files(paths, folders)])
    return dataclasses.replace(settings, names=names)


def find_label_files(files: Sequence[str], tree: FileTree, pairs: Sequence[FolderPair]) -> list[str]:
    """Return the label file of each image: where Ultralytics looks for it, or else in the folder of the same stems."""
    label_files = [label_file(file) for file in files]
    labeled = {os.path.dirname(file) for file, path in zip(files, label_files, strict=True) if os.path.isfile(path)}
    elsewhere = {
        (tree.path(pair.image_folder), stem): tree.path(pair.label_folder, name)
        for pair in pairs
        if tree.path(pair.image_folder) not in labeled
        for stem, name in texts_in(tree, pair.label_folder).items()
        if stem in pair.stems
    }
    return [
        elsewhere.get((os.path.dirname(file), os.path.splitext(os.path.basename(file))[0]), path)
        for file, path in zip(files, label_files, strict=True)
    ]


def group_by_names(tree: FileTree, pairs: Sequence[FolderPair]) -> list[Group]:
    """Group pairs of folders by the files that name their classes, which can be several with the same names."""
    paths = find_names_files(tree)
    groups: list[Group] = []
    for pair in pairs:
        names_files = governing_names_files(paths, [pair.label_folder, pair.image_folder])
        group = next((group for group in groups if _agree(tree, group.names_files, names_files)), None)
        if group is None:
            group = Group(tree, [], list(names_files))
            groups.append(group)
        group.pairs.append(pair)
        group.names_files.extend(path for path in names_files if path not in group.names_files)
    return groups


def _agree(tree: FileTree, first: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether two sets of files name the same classes, as far as they can be read."""
    if list(first) == list(second):
        return True
    try:
        merged_names([tree.path("", path) for path in (*first, *second)])
    except RetinueError:
        return False
    return bool(first) == bool(second)


def _explain_group(group: Group) -> Explanation | None:
    tree, pairs = group.tree, group.pairs
    kinds = {pair.kind for pair in pairs}
    if kinds == {"empty"}:
        return None  # nothing in such files says that they are labels
    images = frozenset(
        tree.path(pair.image_folder, name)
        for pair in pairs
        for name in images_of_pair(tree, pair)
        if 2 * len(pair.stems) >= len(tree.images[pair.image_folder]) or os.path.splitext(name)[0] in pair.stems
    )
    images |= _predictions(tree)
    folders = dict.fromkeys(pair.label_folder for pair in pairs)
    names = [os.path.join(folder, "*.txt") for folder in folders]
    labels = ", ".join(names[:3]) + (f" and {len(names) - 3} more folders" if len(names) > 3 else "")
    inner = [folder for pair in pairs for folder in (pair.label_folder, pair.image_folder)]
    if not any(is_below(folder, os.path.dirname(path)) for path in group.names_files for folder in inner):
        inner += [os.path.dirname(path) for path in group.names_files]
    source = common_folder(inner)
    other = next((kind for kind in sorted(kinds) if kind in OTHER_KINDS), "")
    if "labels" not in kinds:
        return error_explanation(tree.root, labels, f"{tree.root}: {OTHER_KINDS[other]}", images, implicit=True)
    paths = [path for pair in pairs for path in _label_paths(tree, pair)]
    return Explanation(
        "yolo",
        tasks_of_label_files(paths),
        tree.path(source) if source else tree.root,
        images,
        labels,
        lambda options: read_group(group, options.task),
        sum(len(pair.stems) for pair in pairs),
        repeats=REPEATS,
    )


def _label_paths(tree: FileTree, pair: FolderPair) -> list[str]:
    """Return the paths of the label files that two folders share."""
    texts = texts_in(tree, pair.label_folder)
    return tree.paths(pair.label_folder, [texts[stem] for stem in sorted(pair.stems)])


def read_group(group: Group, task: str, data_file: str = "") -> Dataset:
    """Read the label files of pairs of folders.

    Args:
        group: The pairs.
        task: "detection" or "segmentation".
        data_file: The .data file of Darknet whose lists are read, "" for any.

    Raises:
        RetinueError: Nothing tells which label files are meant, a file can't be read, or as in `read_yolo`.
    """
    tree = group.tree
    rows: dict[str, tuple[str, str]] = {}  # the label file and the split of each image
    for pair in group.pairs:
        if pair.rivals:
            folders = [tree.path(folder) for folder in (pair.label_folder, *pair.rivals)]
            raise RetinueError(
                f"{tree.root}: {' and '.join(folders)} have label files for the same images; give one of these folders"
            )
        split = group.tree.split_of(pair.image_folder) or group.tree.split_of(pair.label_folder)
        texts = texts_in(tree, pair.label_folder)
        for name in images_of_pair(tree, pair):
            stem = os.path.splitext(name)[0]
            path = tree.path(pair.image_folder, name)
            if stem in pair.stems or path not in rows:
                rows[path] = (tree.path(pair.label_folder, texts.get(stem, f"{stem}.txt")), split)
    lists = read_lists(tree, frozenset(rows), data_file)
    names_files = [tree.path("", path) for path in group.names_files]
    names, _ = merged_names([lists.names_file] if lists.names_file else names_files)
    settings, findings = (YamlSettings("", names, None, ""), []) if names else settings_above(tree.root)
    findings += [*lists.findings, *_unlabeled_folders(tree, group)]
    splits = {path: split for path, (_, split) in rows.items()}
    if lists.split_of:
        findings += unlisted_finding(tree.root, len(rows) - len(lists.split_of))
        splits = lists.split_of
    return read_yolo(
        YoloFiles(
            source=tree.root,
            files=list(splits),
            label_files=[rows[path][0] for path in splits],
            splits=list(splits.values()),
            settings=settings,
            findings=findings,
            task=task,
        )
    )


def _unlabeled_folders(tree: FileTree, group: Group) -> list[Finding]:
    """Return a finding for the folders of images beside those of the data set that have no label files."""
    used = {pair.image_folder for pair in group.pairs}
    others = [folder for folder in tree.images if folder not in used]
    if not others:
        return []
    count = sum(len(images_in(tree, folder)) for folder in others)
    names = ", ".join(tree.path(folder) for folder in others[:3]) + (" and more" if len(others) > 3 else "")
    reason = f"{count:,} images in {names} have no label files like the others"
    return [Finding(NOTE, "images without label files", tree.root, "", reason, "ignored")]
