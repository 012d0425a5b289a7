"""Label Studio: its JSON, a list of tasks with their annotations, and its JSON-MIN."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from retinue.data.finding import NOTE, WARNING, Finding
from retinue.data.readers.explanation import Explanation
from retinue.data.readers.file_tree import FileTree
from retinue.data.readers.labeling_tools.annotated_images import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotationFile,
    describe_shape_error,
)
from retinue.data.readers.labeling_tools.annotation_files import Tool, explain_tool, explain_tool_file
from retinue.data.readers.labeling_tools.json_files import describe_json_error, json_files, json_kind, load_json
from retinue.data.readers.labeling_tools.label_studio_regions import SHAPES, WITHOUT_SIZE, parse_region, region_size
from retinue.data.readers.labeling_tools.listed_images import path_parts
from retinue.data.storage.file_names import looks_like_image

TOOL = Tool("label studio", "annotations of Label Studio")
IMAGE_KEYS = ("image", "img", "image_url", "url")  # the usual names of the image in a task's data
# What JSON-MIN has besides a task's data and the results.
MIN_KEYS = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement")

UNANNOTATED = ("tasks are not annotated", "skipped; annotate them")
REGION_KEYS = ("original_width", "original_height", "image_rotation")

Result = Mapping[str, Any]


def explain(tree: FileTree) -> list[Explanation]:
    """Return what Label Studio's files explain of a source."""
    return explain_tool(TOOL, tree, json_files(tree, "label studio"), parse)


def explain_file(path: str) -> Explanation | None:
    """Return what a file of Label Studio explains, or None if it is not one."""
    return explain_tool_file(TOOL, path, parse)


def parse(path: str) -> AnnotationFile | None:
    """Read a JSON or JSON-MIN file of Label Studio, or return None for another file."""
    if not path.lower().endswith(".json") or json_kind(path) != "label studio":
        return None
    try:
        content = load_json(path)
    except (OSError, ValueError) as error:
        return AnnotationFile(path, problem=f"{path}: {describe_json_error(error)}")
    tasks = content if isinstance(content, list) else [content]
    if not tasks or not all(isinstance(task, dict) for task in tasks):
        return None
    is_full = [isinstance(task.get("data"), dict) for task in tasks]
    if not all(is_full) and (any(is_full) or not all({"id", "annotation_id"} & task.keys() for task in tasks)):
        return None
    return _TaskReader(path).read(tasks, is_full[0])


class _TaskReader:
    """Reads the tasks of one file.

    Attributes:
        file: What was read so far.
        counts: How many tasks or results are not used as they are, by the reason and what is done.
        answers: The answers for whole images, by question.
    """

    def __init__(self, path: str) -> None:
        self.file = AnnotationFile(path)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.answers: dict[str, Counter[str]] = {}

    def read(self, tasks: Sequence[Mapping[str, Any]], is_full: bool) -> AnnotationFile:
        """Read tasks.

        Args:
            tasks: The tasks.
            is_full: Whether they are those of JSON; else of JSON-MIN.
        """
        for index, task in enumerate(tasks, 1):
            data = task["data"] if is_full else task
            listed = _image_of(data)
            if listed is None:
                self.counts["tasks have no image, or several", "skipped"] += 1
                continue
            results = self._results_of(task) if is_full else _results_of_min(task, listed)
            if results is not None:
                self._add_image(task, listed, task.get("id", index), results)
        self._add_labels_finding()
        if not self.file.images and UNANNOTATED not in self.counts:
            keys = ", ".join(sorted(tasks[0].get("data", tasks[0])))
            reason = f"these are {TOOL.title}, but no task has one image (the first has {keys})"
            self.file.problem = f"{self.file.path}: {reason}; give tasks of images"
        for (reason, action), count in self.counts.items():
            text = f"{count:,} {reason}"
            self.file.findings.append(Finding(WARNING, "not used", self.file.path, "", text, action))
        return self.file

    def _results_of(self, task: Mapping[str, Any]) -> list[Result] | None:
        """Return the results of a task's annotation, or None if nobody annotated it.

        Of several annotations it is the one that is marked as ground truth, or else the latest.
        """
        annotations = task.get("annotations") or task.get("completions") or []
        annotations = [entry for entry in annotations if isinstance(entry, dict) and not entry.get("was_cancelled")]
        annotations = [entry for entry in annotations if isinstance(entry.get("result"), list)]
        if not annotations:
            self.counts[UNANNOTATED] += 1
            return None
        annotations = [entry for entry in annotations if entry.get("ground_truth")] or annotations
        if len(annotations) > 1:
            self.counts["tasks have several annotations", "the latest of each counts; mark the right one as truth"] += 1
        latest = max(annotations, key=lambda entry: str(entry.get("updated_at") or entry.get("created_at") or ""))
        return [entry for entry in latest["result"] if isinstance(entry, dict)]

    def _add_image(self, task: Mapping[str, Any], listed: str, number: Any, results: Sequence[Result]) -> None:
        """Add the image of a task with its results."""
        location = f"task {number} in {os.path.basename(self.file.path)}"
        objects: list[AnnotatedObject] = []
        labels: list[str] = []
        regions = [entry["id"] for entry in results if _kind_of(entry) in SHAPES and entry.get("id")]
        for index, entry in enumerate(results, 1):
            kind, value = _kind_of(entry), entry.get("value")
            value = value if isinstance(value, dict) else {}
            if kind in SHAPES:
                try:
                    for name in _names_of(entry, results):
                        objects.append(parse_region(kind, value, name, index, self._size_of(entry)))
                except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
                    item = f"region {index} of {location}"
                    self.file.add_invalid_object(self.file.path, item, describe_shape_error(error))
            elif kind == "choices" and entry.get("id") not in regions:
                answers = [str(answer) for answer in value.get("choices") or ()]
                self.answers.setdefault(str(entry.get("from_name")), Counter()).update(answers)
                labels += answers
            elif kind not in ("labels", "choices"):
                what = "have no size" if kind in WITHOUT_SIZE else "are not objects"
                self.counts[f"results of the type {entry.get('type')} {what}", "ignored"] += 1
        other = task.get("file_upload")
        image = AnnotatedImage(
            name=listed,
            objects=tuple(objects),
            labels=tuple(labels),
            image_id=number if isinstance(number, int | str) else "",
            location=location,
            size=next((size for entry in results if 0 not in (size := region_size(entry))), (0, 0)),
            other_names=(other,) if isinstance(other, str) else (),
        )
        self.file.images.append(image)

    def _size_of(self, entry: Result) -> tuple[int, int]:
        """Return the size of the image of a region.

        Raises:
            ValueError: The region was drawn on the rotated image.
        """
        if entry.get("image_rotation"):
            raise ValueError("it was drawn on an image that was rotated in Label Studio")
        return region_size(entry)

    def _add_labels_finding(self) -> None:
        """Keep the answers for whole images as their labels only where they answer one question."""
        path = self.file.path
        if len(self.answers) > 1:
            self.file.images = [replace(image, labels=()) for image in self.file.images]
            reason = f"its images have answers to several questions: {', '.join(sorted(self.answers))}"
            action = "not used as labels, since nothing tells which is the class; export one question"
            self.file.findings.append(Finding(WARNING, "several questions", path, "", reason, action))
        for question, counts in self.answers.items() if len(self.answers) == 1 else ():
            if len(counts) > 1 and len(counts) * 2 > counts.total():  # these seem to be texts
                self.file.images = [replace(image, labels=()) for image in self.file.images]
                reason = f"the answers to {question} are nearly all different"
                self.file.findings.append(Finding(NOTE, "no labels", path, question, reason, "not used as labels"))


def _image_of(data: Mapping[str, Any]) -> str | None:
    """Return the image that the data of a task names, None if there is not exactly one."""
    texts = {key: value for key, value in data.items() if isinstance(value, str) and value}
    named = [key for key, value in texts.items() if (parts := path_parts(value)) and looks_like_image(parts[-1])]
    if len(named) == 1:
        return texts[named[0]]
    return next((texts[key] for key in IMAGE_KEYS if key in (named or texts)), None)


def _results_of_min(task: Mapping[str, Any], listed: str) -> list[Result]:
    """Return the results of a task of JSON-MIN in the form of those of JSON."""
    results: list[Result] = []
    for key, value in task.items():
        if key in MIN_KEYS or value == listed:
            continue
        if isinstance(value, str) or (isinstance(value, dict) and "choices" in value):
            answers = {"choices": [value]} if isinstance(value, str) else value
            results.append({"type": "choices", "from_name": key, "value": answers})
        for region in value if isinstance(value, list) else ():
            kind = (
                next((name for name in region if name.endswith("labels")), None) if isinstance(region, dict) else None
            )
            if kind:
                results.append({"type": kind, "value": region} | {name: region.get(name) for name in REGION_KEYS})
    return results


def _kind_of(entry: Result) -> str:
    """Return the type of a result without the ending of those that have labels: "rectangle" for "rectanglelabels"."""
    kind = str(entry.get("type"))
    return kind if kind == "labels" else kind.removesuffix("labels")


def _names_of(entry: Result, results: Sequence[Result]) -> list[str]:
    """Return the classes of a region, which stand in itself or in a result of the same id.

    Raises:
        ValueError: It has none.
    """
    value = entry["value"]
    names = next((value[key] for key in value if key.endswith("labels") and value[key]), None)
    if names is None and entry.get("id"):
        others = [other for other in results if other.get("id") == entry["id"] and other.get("type") == "labels"]
        names = next((other["value"].get("labels") for other in others), None)
    if not names or not isinstance(names, list):
        raise ValueError("it has no label")
    return [str(name) for name in names]
