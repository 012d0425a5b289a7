"""What lies beside or above a folder of YOLO data that is given itself: the class names, and the images of labels."""

import os

from retinue.configs.errors import RetinueError
from retinue.data.dataset import Dataset
from retinue.data.finding import NOTE, Finding
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree, split_in_path
from retinue.data.readers.folders import folders_in
from retinue.data.readers.yolo.data_yaml import USUAL_NAMES, YamlSettings, is_data_yaml, settings_of_folder
from retinue.data.readers.yolo.labels import sample_label_file
from retinue.data.readers.yolo.names import NAMES_FILES, find_names_files, merged_names
from retinue.data.readers.yolo.pairs import NUM_SAMPLES, sample_kinds, text_stem
from retinue.data.readers.yolo.polygons import tasks_of_label_files
from retinue.data.readers.yolo.yolo import YoloFiles, label_file, read_yolo, replace_folder
from retinue.data.storage.file_names import looks_like_image, split_of_name

REPEATS = ("voc", "coco")  # from which label files are often converted
NUM_LEVELS = 2  # folders above the source in which its class names are looked for
MIN_FOUND = 0.5  # the part of the label files that must have an image in the folder images beside them
MIN_FOUND_ELSEWHERE = 0.9  # the same for a folder of another name, which can be of another data set
FOLDER_NAMES = ("images", "labels")


def settings_above(root: str) -> tuple[YamlSettings, list[Finding]]:
    """Return the class names that a file above a folder gives, as for `DATA/train` of `DATA/data.yaml`.

    A data.yaml, of whatever name, must list a folder of this name. A list of names counts where the folder is a split
    or `labels`.

    Returns:
        The settings, empty where there is no such file, and a finding that names the file.

    Raises:
        RetinueError: The file can't be understood.
    """
    folder = os.path.abspath(root)
    for _ in range(NUM_LEVELS):
        folder, name = os.path.split(folder)
        files = os.listdir(folder) if os.access(folder, os.R_OK) else []
        paths = {file.lower(): os.path.join(folder, file) for file in files}
        others = [path for file, path in sorted(paths.items()) if file not in USUAL_NAMES and is_data_yaml(path)]
        for path in (*(paths[usual] for usual in USUAL_NAMES if usual in paths), *others):
            settings = settings_of_folder(path, "images" if name.lower() == "labels" else name)
            if settings:
                return settings, [_found(path, root)]
        lists = [paths[usual] for usual in NAMES_FILES if usual in paths]
        if lists and (split_of_name(name) or name.lower() in FOLDER_NAMES):
            names, path = merged_names(lists)
            return YamlSettings("", names, None, ""), [_found(path, root)]
    return YamlSettings("", None, None, ""), []


def explain_labels_alone(tree: FileTree) -> list[Explanation]:
    """Return what a folder of label files without images explains: the images beside it, or what is missing."""
    label_of, num_labels, base = _images_of_labels(tree)
    if not num_labels:
        lists = [
            tree.path("", path) for path in find_names_files(tree) if os.path.basename(path).lower() in NAMES_FILES
        ]
        error = (
            f"{tree.root}: {', '.join(lists)} names classes, but there are no images; add them and their label files"
        )
        return [error_explanation(tree.root, ", ".join(lists), error)] if lists else []
    if not label_of:
        error = (
            f"{tree.root}: there are {num_labels:,} label files of YOLO, but not their images; put the images into a "
            "folder images beside this one, or give the folder that holds both"
        )
        return [error_explanation(tree.root, "*.txt", error)]

    def read(options: ReadOptions) -> Dataset:
        names_files = [tree.path("", path) for path in find_names_files(tree)]
        names, _ = merged_names(names_files)
        settings, findings = (YamlSettings("", names, None, ""), []) if names else settings_above(tree.root)
        reason, action = f"the images are those in {base}", "give the folder that holds both to read all of it"
        findings.append(Finding(NOTE, "images beside the source", tree.root, "", reason, action))
        files = sorted(label_of)
        splits = [split_in_path(os.path.relpath(label_of[file], tree.root)) for file in files]
        return read_yolo(
            YoloFiles(tree.root, files, [label_of[file] for file in files], splits, settings, findings, options.task)
        )

    tasks = tasks_of_label_files(sorted(label_of.values()))
    return [Explanation("yolo", tasks, tree.root, frozenset(label_of), "*.txt", read, num_labels)]


def explain_images_alone(tree: FileTree) -> list[Explanation]:
    """Return what a folder `images` without label files explains: those in the folder `labels` beside it."""
    root = os.path.abspath(tree.root)
    if not os.path.isdir(replace_folder(root, "images", "labels")):
        return []
    files = sorted(os.path.normpath(os.path.join(root, os.path.relpath(path, tree.root))) for path in tree.image_paths)
    label_files = [label_file(file) for file in files]
    labeled = [path for path in label_files if os.path.isfile(path)]
    kinds = [sample_label_file(path) for path in labeled[:NUM_SAMPLES]]
    if "labels" not in kinds or len(labeled) < MIN_FOUND * len(files):
        return []
    folder = os.path.commonpath([os.path.dirname(path) for path in label_files])

    def read(options: ReadOptions) -> Dataset:
        settings, findings = settings_above(tree.root)
        splits = [split_in_path(os.path.relpath(os.path.dirname(file), root)) for file in files]
        reason, action = (
            f"the label files are those in {folder}",
            "give the folder that holds both to read all of it",
        )
        findings.append(Finding(NOTE, "label files beside the source", tree.root, "", reason, action))
        return read_yolo(YoloFiles(tree.root, files, label_files, splits, settings, findings, options.task))

    labels = os.path.join(folder, "*.txt")
    tasks = tasks_of_label_files(labeled)
    return [Explanation("yolo", tasks, tree.root, tree.image_paths, labels, read, len(labeled), repeats=REPEATS)]


def error_explanation(
    source: str, labels: str, error: str, images: frozenset[str] = frozenset(), implicit: bool = False
) -> Explanation:
    """Return the explanation of what is YOLO data for certain, but can't be read.

    Reading it raises `error`. That is no `problem` of the explanation, with which it would lose to any format that
    explains the images by the way.
    """

    def read(options: ReadOptions) -> Dataset:
        raise RetinueError(error)

    return Explanation("yolo", ("detection",), source, images, labels, read, max(1, len(images)), implicit, REPEATS)


def _images_of_labels(tree: FileTree) -> tuple[dict[str, str], int, str]:
    """Find the images of a folder that holds only label files: beside it, or in the folder above.

    Returns:
        The label file of each image; the number of label files; and the folder of the images, "" if there is none.
    """
    texts: list[tuple[str, str]] = []
    for folder, names in tree.names.items():
        labels = [name for name in names if text_stem(name) is not None and name.lower() not in NAMES_FILES]
        if labels and sample_kinds(tree, folder, labels) == "labels":
            texts += [(folder, name) for name in labels]
    if not texts:
        return {}, 0, ""
    root = os.path.abspath(tree.root)
    parent = os.path.dirname(root)
    try:
        siblings = [os.path.join(parent, name) for name in folders_in(parent)]
    except RetinueError:
        siblings = []
    counted = [(_match(tree, texts, base), base) for base in (*_by_rule(root), *siblings, parent) if base != root]
    label_of, base = max(counted, key=lambda entry: len(entry[0]), default=({}, ""))
    same = [other for other, path in counted if len(other) == len(label_of) and path != base]
    by_rule = base in _by_rule(root)
    if len(label_of) < (MIN_FOUND if by_rule else MIN_FOUND_ELSEWHERE) * len(texts) or (same and not by_rule):
        return {}, len(texts), ""
    return label_of, len(texts), base


def _match(tree: FileTree, texts: list[tuple[str, str]], base: str) -> dict[str, str]:
    """Return the label file of each image in a folder, or in its inner folders that are called as those of labels."""
    images: dict[str, dict[str, list[str]]] = {}  # by folder and stem
    label_of: dict[str, str] = {}
    for folder, name in texts:
        inner = os.path.join(base, folder)
        if split_of_name(folder) and not os.path.isdir(inner):
            inner = base  # labels/train and labels/val of one folder of images
        if inner not in images:
            images[inner] = {}
            for file in sorted(os.listdir(inner)) if os.access(inner, os.R_OK) and os.path.isdir(inner) else []:
                if looks_like_image(file):
                    images[inner].setdefault(os.path.splitext(file)[0], []).append(file)
        for file in images[inner].get(os.path.splitext(name)[0], ()):
            label_of[os.path.normpath(os.path.join(inner, file))] = tree.path(folder, name)
    return label_of


def _by_rule(root: str) -> list[str]:
    """Return the folders of images that Ultralytics' rule gives: `images` in place of the last `labels`."""
    base = replace_folder(root, "labels", "images")
    return [base] if os.path.isdir(base) else []


def _found(path: str, root: str) -> Finding:
    reason = f"the class names are those of {os.path.relpath(path, root)}"
    return Finding(NOTE, "class names from above", path, "", reason, "remove that file if they are other classes")
