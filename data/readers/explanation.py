"""What a reader would make of a source, and the choice between readers: the one that explains what lies there wins."""

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retinue.configs.errors import UsageError
from retinue.data.dataset import Dataset

HAVE_MASKS = 0.5  # where this fraction of the images of class folders has masks, these are the labels
ABOUT_AS_GOOD = 0.9  # an explanation of this fraction of the images of the best one is about as good
ARE_LABELED = 0.1  # where files label this fraction of the images of class folders, these are not just class folders


@dataclass(frozen=True)
class ReadOptions:
    """How a source is read.

    Attributes:
        task: "classification", "detection", "segmentation" or "video"; "auto" is the likeliest task of the format.
        fold: Which of the three splits of UCF-101 and HMDB-51 is read, 1 to 3.
    """

    task: str = "auto"
    fold: int = 1


@dataclass(frozen=True)
class Explanation:
    """What one reader would make of a source. It is found out from names and a few small files.

    Attributes:
        format: The name of the format, such as "voc", for messages and reports.
        tasks: The tasks that it can be read for, the likeliest first.
        source: What to give on the command line to read exactly this.
        images: The paths of the images that it explains, as `FileTree.path` returns them.
        labels: Where the labels are, for messages, such as "annotations/*.xml".
        read: Reads the dataset. The task of its options is one of `tasks`.
        num_annotations: The number of files with labels that it explains.
        implicit: Whether the labels are only names of folders. Labels in files win over them.
        repeats: Formats of which this one is usually a copy, as a table is that a converter made of XML files. It loses
            to them where it explains the same images.
        problem: Why the source can't be read although it has this format, with the cure; "" if it can be read.
        mask_images: The paths of images that are not data, but masks of others.
        unexplained: The paths of the source's other images. `understand` fills it in.
    """

    format: str
    tasks: tuple[str, ...]
    source: str
    images: frozenset[str]
    labels: str
    read: Callable[[ReadOptions], Dataset]
    num_annotations: int = 0
    implicit: bool = False
    repeats: tuple[str, ...] = ()
    problem: str = ""
    mask_images: frozenset[str] = frozenset()
    unexplained: frozenset[str] = frozenset()

    @property
    def is_table(self) -> bool:
        """Whether the labels are in a CSV file or a file like it."""
        return self.format.endswith(("csv", "table"))


def choose(source: str, explanations: Sequence[Explanation], task: str) -> Explanation:
    """Return the explanation of a source that explains most of its images.

    Args:
        source: The source, for messages.
        explanations: What the readers would make of it, at least one.
        task: The task that the data is for, or "auto".

    Raises:
        UsageError: No explanation is one for this task, or two are about as good.
    """
    fitting = [explanation for explanation in explanations if task in ("auto", *explanation.tasks)]
    if not fitting:
        best = choose(source, explanations, "auto")
        possible = " or ".join(best.tasks)
        raise UsageError(f"{source}: {best.format} can't be read for {task}; it is data for {possible}")
    fitting = [one for one in fitting if not any(_takes_masks_of(one, other) for other in fitting)]
    fitting = [one for one in fitting if not any(_takes_labeled_of(one, other) for other in fitting)]
    readable = [one for one in fitting if not one.problem and (one.images or one.num_annotations)]
    fitting = readable or [one for one in fitting if one.problem] or fitting
    most = max(len(explanation.images) for explanation in fitting)
    good = [explanation for explanation in fitting if len(explanation.images) >= ABOUT_AS_GOOD * most]
    good = [explanation for explanation in good if not _is_repeated(explanation, good)]
    good = [explanation for explanation in good if not explanation.implicit] or good
    if not most:
        return max(good, key=lambda explanation: explanation.num_annotations)
    if len(good) == 1:
        good += [other for other in fitting if _is_another_set(other, good[0])]
    if len(good) > 1:
        raise UsageError(f"{source}: {_choices(source, good)}")
    return good[0]


def _takes_masks_of(explanation: Explanation, other: Explanation) -> bool:
    """Return whether names of folders are taken for classes although most images in them have masks, or are some."""
    if not explanation.implicit or not other.mask_images:
        return False
    count = len(explanation.images & (other.images | other.mask_images))
    return count >= HAVE_MASKS * len(explanation.images)


def _takes_labeled_of(explanation: Explanation, other: Explanation) -> bool:
    """Return whether names of folders are taken for classes although files hold labels of images in them."""
    if not explanation.implicit or other.implicit or other.mask_images or other.tasks[0] == "classification":
        return False
    return len(explanation.images & other.images) >= ARE_LABELED * len(explanation.images)


def _is_another_set(explanation: Explanation, best: Explanation) -> bool:
    """Return whether an explanation by files is of other images than the best one: two datasets in one folder.

    The reader of tables has chosen between all tables that it found.
    """
    if explanation.implicit or best.implicit or best.problem or (explanation.is_table and best.is_table):
        return False
    others = explanation.images - best.images
    return 2 * len(others) >= len(explanation.images) >= ARE_LABELED * len(best.images)


def _is_repeated(explanation: Explanation, others: Sequence[Explanation]) -> bool:
    """Return whether one of the formats that an explanation usually repeats explains its images, too."""
    return any(
        other.format in explanation.repeats and len(explanation.images - other.images) * 10 <= len(explanation.images)
        for other in others
        if other is not explanation
    )


def _choices(source: str, explanations: Sequence[Explanation]) -> str:
    """Return the explanations of a source with the command for each, if there is one that reads it and no other."""
    sources = [explanation.source for explanation in explanations]
    names, commands = [], []
    for explanation in explanations:
        same_source = sources.count(explanation.source) > 1 or explanation.source == source
        option = f" --task {explanation.tasks[0]}" if same_source else ""
        names.append(f"{explanation.format} in {explanation.labels}")
        commands.append(f"retinue check {shlex.quote(explanation.source)}{option}")
    if len(set(commands)) < len(commands):
        return f"it can be read as {' or as '.join(names)}; move the files of all but one to another folder"
    texts = [f"{name} ({command})" for name, command in zip(names, commands, strict=True)]
    return f"it can be read as {' or as '.join(texts)}; give one of these"


def relative_to(source: str, path: str) -> str:
    """Return a path relative to a source, for messages; the source's own name if it is the same."""
    relative = os.path.relpath(path, source)
    return os.path.basename(os.path.abspath(path)) if relative == os.curdir else relative
