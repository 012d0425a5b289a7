"""What a file of YOLO data explains that is given itself: a data.yaml, a list of images, or a part of the data."""

import os

from retinue.data.dataset import Dataset
from retinue.data.readers.explanation import Explanation, ReadOptions
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.yolo.above import error_explanation, settings_above
from retinue.data.readers.yolo.darknet_lists import is_data_file, is_image_list, listed_images
from retinue.data.readers.yolo.data_yaml import YamlSettings
from retinue.data.readers.yolo.image_by_path import ImageByPath
from retinue.data.readers.yolo.labels import sample_label_file
from retinue.data.readers.yolo.layout import Group, explain_yaml, find_label_files, read_group, with_names
from retinue.data.readers.yolo.names import find_names_files, is_names_file
from retinue.data.readers.yolo.pairs import pair_folders
from retinue.data.readers.yolo.polygons import TASKS_WITH_POLYGONS
from retinue.data.readers.yolo.yolo import YoloFiles, read_yolo


def explain_file(path: str) -> Explanation | None:
    """Return what a file of YOLO data explains, None if it is none."""
    if path.lower().endswith((".yaml", ".yml")):
        return explain_yaml(path)
    if is_data_file(path):
        return _explain_data_file(path)
    if is_image_list(path):
        return _explain_image_list(path)
    if path.lower().endswith(".txt") and sample_label_file(path) == "labels":
        cure = "give the folder that holds the images and the label files"
        return error_explanation(path, path, f"{path}: this is the YOLO label file of one image; {cure}")
    if is_names_file(path):
        cure = "give the folder that holds the images and the label files"
        return error_explanation(path, path, f"{path}: this file only names classes; {cure}")
    return None


def _explain_data_file(path: str) -> Explanation:
    tree = FileTree(os.path.dirname(path) or os.curdir)
    pairs = pair_folders(tree)
    if not pairs:
        problem = f"{path}: there are no images with label files beside it; put them there"
        return error_explanation(path, path, problem)
    group = Group(tree, pairs, find_names_files(tree))
    return Explanation(
        "yolo",
        TASKS_WITH_POLYGONS,
        path,
        frozenset(),
        f"lists of {path}",
        lambda options: read_group(group, options.task, path),
        1,
    )


def _explain_image_list(path: str) -> Explanation:
    tree = FileTree(os.path.dirname(path) or os.curdir)

    def read(options: ReadOptions) -> Dataset:
        files, findings = listed_images(path, ImageByPath(tree))
        files = list(dict.fromkeys(files))
        settings = with_names(YamlSettings("", None, None, ""), tree, find_names_files(tree), [""])
        if settings.names is None:
            settings, found = settings_above(tree.root)
            findings += found
        label_files = find_label_files(files, tree, pair_folders(tree))
        return read_yolo(YoloFiles(path, files, label_files, [""] * len(files), settings, findings, options.task))

    return Explanation("yolo", TASKS_WITH_POLYGONS, path, frozenset(), f"label files of {path}", read, 1)
