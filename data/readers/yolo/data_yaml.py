"""YOLO's data.yaml: where the images of each split are, and the names of the classes."""

import os
import re
from dataclasses import dataclass
from typing import Any

import yaml

from retinue.configs.errors import RetinueError
from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.file_tree import FileTree, is_below, split_in_path
from retinue.data.readers.text_file import first_lines, read_text
from retinue.data.readers.yolo.image_by_path import ImageByPath, count_images, path_parts, to_local
from retinue.data.readers.yolo.names import ClassNames, checked_names, read_names_file
from retinue.data.storage.file_names import looks_like_image

USUAL_NAMES = ("data.yaml", "data.yml")
SPLIT_KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
NO_VALUE = ("null", "Null", "NULL", "~")  # how YAML writes that a key has no value
_KEY = re.compile(r"^(train|val|valid|validation|test|names|nc)\s*:", re.IGNORECASE)


@dataclass(frozen=True)
class YamlSettings:
    """What a data.yaml gives besides images.

    Attributes:
        path: The file.
        names: The class names by number, or None where it has none.
        keypoints: Number of keypoints and of numbers of each, None without `kpt_shape`.
        task: "detect", "segment", "obb", "pose", or "" where the file does not name it.
    """

    path: str
    names: ClassNames | None
    keypoints: tuple[int, int] | None
    task: str


@dataclass(frozen=True)
class DataYaml:
    """The content of a data.yaml.

    Attributes:
        path: The file.
        settings: The class names and what the lines hold.
        split_of: The split of each image, in the order of the splits; paths that can be opened.
        findings: What the file lists and is not there.
    """

    path: str
    settings: YamlSettings
    split_of: dict[str, str]
    findings: list[Finding]


def is_data_yaml(path: str) -> bool:
    """Return whether a YAML file is meant to be a data.yaml, even if it is broken: by its name or by its keys."""
    if not path.lower().endswith((".yaml", ".yml")):
        return False
    if os.path.basename(path).lower() in USUAL_NAMES:
        return True
    keys = {match[1].lower() for line in first_lines(path, 65536) if (match := _KEY.match(line))}
    if not keys & {"names", "nc"} or not keys & SPLIT_KEYS.keys():
        return False
    try:
        content = _load(path)
    except RetinueError:
        return True
    return isinstance(content, dict) and not any(isinstance(content.get(key), dict) for key in SPLIT_KEYS)


def read_data_yaml(path: str, tree: FileTree) -> DataYaml:
    """Read a data.yaml and find the images that it lists.

    `train`, `val` and `test` are folders of images, text files of paths, or lists of such, relative to `path` or to the
    file. What is not there, since the file was written on another machine, is the folder in `tree` with the same names
    at the end of its path. All values are text as it is written, so that a class can be called yes, 1 or null.

    Args:
        path: The file.
        tree: The files around it: of its folder, or of one above.

    Raises:
        RetinueError: The file can't be understood, or the images for training or validation are not there.
    """
    content = _load(path)
    if not isinstance(content, dict) or not {*SPLIT_KEYS, "names"} & content.keys():
        raise RetinueError(f"{path}: this is not a YOLO data.yaml, which has names, train and val")
    finder = _EntryFinder(path, tree, str(content.get("path") or ""))
    split_of: dict[str, str] = {}
    for key, split in SPLIT_KEYS.items():
        entries = content.get(key) or []
        for entry in [entries] if isinstance(entries, str) else entries:
            if not isinstance(entry, str) or isinstance(entries, dict):
                raise RetinueError(f"{path}: {key} must be a folder, a text file of paths, or a list of such")
            finder.add(key, split, entry, split_of)
    return DataYaml(path, _settings(content, path), split_of, finder.findings)


def settings_of_folder(path: str, folder_name: str) -> YamlSettings | None:
    """Read only the settings of a data.yaml, if it lists images in a folder of this name; None if it does not.

    Raises:
        RetinueError: The file can't be understood.
    """
    content = _load(path)
    entries = [content.get(key) for key in (*SPLIT_KEYS, "path")] if isinstance(content, dict) else []
    flat = [inner for entry in entries for inner in (entry if isinstance(entry, list) else [entry])]
    if not any(folder_name in path_parts(entry) for entry in flat if isinstance(entry, str)):
        return None
    return _settings(content, path)


def _settings(content: dict[str, Any], path: str) -> YamlSettings:
    return YamlSettings(path, _class_names(content, path), _keypoints(content, path), _task(content, path))


class _EntryFinder:
    """Finds the images of the entries of a data.yaml."""

    def __init__(self, path: str, tree: FileTree, base: str) -> None:
        self.findings: list[Finding] = []
        self._path, self._tree, self._base = path, tree, base
        self._folder = os.path.dirname(path)
        self._images = ImageByPath(tree)

    def add(self, key: str, split: str, entry: str, split_of: dict[str, str]) -> None:
        """Add the images of an entry with their split to `split_of`; an image keeps the first split that lists it."""
        source = self._resolve(entry)
        if source is None:
            expected = os.path.normpath(os.path.join(self._folder, to_local(self._base), to_local(entry)))
            reason = f"{key} is {entry}, but there is no {expected}"
            if split == "train" or (split == "val" and self._has_other_images(split_of)):
                raise RetinueError(f"{self._path}: {reason}; correct the path")
            self.findings.append(
                Finding(WARNING, "no such folder", self._path, key, reason, "ignored; correct the path")
            )
            return
        files = self._images_of(source) if os.path.isdir(source) else self._listed_images(key, source)
        repeated = sum(split_of.setdefault(file, split) != split for file in files)
        if repeated:
            reason = f"{count_images(repeated)} listed for {key} and for an earlier split"
            self.findings.append(
                Finding(NOTE, "in two splits", self._path, key, reason, "they stay in the first of train, val and test")
            )

    def _has_other_images(self, split_of: dict[str, str]) -> bool:
        """Return whether there are images below the folder of the file that no earlier entry lists."""
        relative = os.path.relpath(self._folder or os.curdir, self._tree.root)
        below = "" if relative == os.curdir else relative
        return any(
            self._tree.path(folder, name) not in split_of
            for folder, stems in self._tree.images.items()
            if is_below(folder, below)
            for name in stems.values()
        )

    def _resolve(self, entry: str) -> str | None:
        """Return the folder or the file that an entry means."""
        for name in dict.fromkeys((entry, to_local(entry))):
            for base in dict.fromkeys((self._base, to_local(self._base), "")):
                candidate = os.path.join(self._folder, base, name)
                if name and os.path.exists(candidate):
                    return os.path.normpath(candidate)
        parts = path_parts(entry)
        whole = [*path_parts(self._base), *parts]
        # The end of the path must hold the folder that names the split: train/images does not mean val/images.
        shortest = next((length for length, part in enumerate(reversed(parts), 1) if split_in_path(part)), 1)
        for length in range(len(whole), min(shortest, len(whole)) - 1, -1):
            if not length:
                break
            tail = os.path.join(*whole[-length:])
            above = [os.path.join(self._folder, os.pardir)] if length > 1 else []
            for base in (self._folder, *above):
                if os.path.exists(os.path.join(base, tail)):
                    return os.path.normpath(os.path.join(base, tail))
            inner = [
                folder
                for folder in self._tree.names
                if folder.endswith(os.sep + tail) and self._tree.images_below(folder)
            ]
            if len(inner) == 1:
                return self._tree.path(inner[0])
        return None

    def _images_of(self, folder: str) -> list[str]:
        relative = os.path.relpath(folder, self._tree.root)
        relative = "" if relative == os.curdir else relative
        tree, below = (self._tree, relative) if relative in self._tree.names else (FileTree(folder), "")
        return [
            tree.path(inner, name)
            for inner, names in tree.names.items()
            if is_below(inner, below)
            for name in names
            if looks_like_image(name)
        ]

    def _listed_images(self, key: str, path: str) -> list[str]:
        listed = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        folders = dict.fromkeys((os.path.dirname(path), os.path.join(self._folder, to_local(self._base)), self._folder))
        files, missing = [], []
        for name in listed:
            found = next((file for folder in folders if (file := self._images.find(name, folder))), None)
            files.append(found) if found else missing.append(name)
        if missing and not files:
            raise RetinueError(
                f"{path}: none of its {len(listed):,} images is there, the first is {missing[0]}; correct the paths, "
                f"or give {key} in {self._path} as a folder"
            )
        if missing:
            reason = f"{len(missing):,} of its {len(listed):,} images are not there, the first is {missing[0]}"
            self.findings.append(
                Finding(WARNING, "missing images in a list", path, "", reason, "ignored; correct the paths")
            )
        return files


class _TextLoader(yaml.BaseLoader):
    """Loads every value as the text that is written, and refuses keys that are there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping from a node."""
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is not None and key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key} is there twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _load(path: str) -> Any:
    """Return the content of a YAML file with all values as text.

    Raises:
        RetinueError: It can't be read, or it is no YAML. The message names the line and the column.
    """
    text = read_text(path)
    try:
        content = yaml.load(text, Loader=_TextLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        where = f" line {line + 1}, column {mark.column + 1}" if mark else ""
        problem = " ".join((error.problem or error.context or "").split())
        lines = text.splitlines()
        cure = _yaml_cure(lines[line] if line < len(lines) else "", problem)
        raise RetinueError(f"{path}{where}: this is not YAML ({problem}); {cure}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RetinueError(f"{path}: this is not YAML ({' '.join(str(error).split())}); correct it") from None
    if isinstance(content, dict):
        content = {key.lower() if key.lower() in SPLIT_KEYS else key: value for key, value in content.items()}
        return {key: "" if value in NO_VALUE else value for key, value in content.items()}
    return content


def _yaml_cure(line: str, problem: str) -> str:
    if "\t" in line:
        return "replace the tabs by spaces"
    if '"' in line and "\\" in line:
        return "write the path with slashes, or in single quotes"
    if "expected ',' or ']'" in problem or "expected ',' or '}'" in problem:
        return "write a comma between the names"
    return "correct this line"


def _class_names(content: dict[str, Any], path: str) -> ClassNames | None:
    names = content.get("names")
    if isinstance(names, str) and names:
        beside = os.path.join(os.path.dirname(path), to_local(names))
        if not os.path.isfile(beside):
            raise RetinueError(
                f"{path}: names is the text {names}, but must be a list of class names; write names: [{names}]"
            )
        names = read_names_file(beside)
    if not names:
        return None
    if isinstance(names, list):
        names = dict(enumerate(names))
    try:
        numbered = {int(number): name for number, name in names.items()}
    except (AttributeError, TypeError, ValueError):
        numbered = {}
    if len(numbered) != len(names) or not all(isinstance(name, str) for name in numbered.values()):
        raise RetinueError(f"{path}: names must be a list of class names, or a dict from number to name")
    empty = next((number for number, name in numbered.items() if not name.strip()), None)
    if empty is not None:
        raise RetinueError(f"{path}: class {empty} has an empty name; write it")
    count = str(content.get("nc") or len(numbered))
    if count != str(len(numbered)):
        raise RetinueError(f"{path}: nc is {count}, but there are {len(numbered)} names; make them agree")
    return checked_names(numbered, path)


def _keypoints(content: dict[str, Any], path: str) -> tuple[int, int] | None:
    shape = content.get("kpt_shape")
    if not shape:
        return None
    if not isinstance(shape, list) or len(shape) != 2 or not all(str(size).isdigit() for size in shape):
        raise RetinueError(f"{path}: kpt_shape must be the number of keypoints and 2 or 3, such as [17, 3]")
    return int(shape[0]), int(shape[1])


def _task(content: dict[str, Any], path: str) -> str:
    task = content.get("task") or ""
    if task and task not in ("detect", "segment", "obb", "pose"):
        raise RetinueError(f"{path}: task is {task}, but labels are of detect, segment, obb or pose; correct it")
    return task
