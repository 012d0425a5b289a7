"""What a user wants explained, and what that comes to in one photo."""

import dataclasses
import difflib

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.suggestions import suggestion


@dataclasses.dataclass(frozen=True)
class ExplanationOptions:
    """What the command asks for. class_name: a class; box: the N-th of a detector's boxes, from 1, the best first;
    point: (x, y) in pixels of the photo, in the region that a segmentation is asked about. None: the default of each.
    """

    class_name: str | None = None
    box: int | None = None
    point: tuple | None = None


@dataclasses.dataclass(frozen=True)
class ExplanationRequest:
    """What is explained of one photo; label is None for a model without classes.

    label, score: the class and how sure the model is of it; words: the same and more, for the screen.
    target: of the explainer's model, a class index or a function of its outputs (see explain/targets.py).
    predict: function float32 `[m, h, w, 3]` -> float32 `[m, k]` by the fastest runtime, of which `column` is the score.
    layer: the one for grad-cam and others where the user names none, or None for the last map.
    cover: further arguments of `occlusion.occlusion`, where its defaults do not fit a small box or region.
    region: bool `[h, w]` in the photo's size, the box or region that is explained, or None for the whole photo.
    facts: what else goes into explained.json.
    """

    label: str | None = None
    score: float | None = None
    words: str = ""
    target: object = None
    predict: object = None
    column: int = 0
    layer: str | None = None
    cover: dict = dataclasses.field(default_factory=dict)
    region: object = None
    facts: dict = dataclasses.field(default_factory=dict)


class NothingToExplain(RetinueError):
    """This photo has no such box or region; others may."""


def class_index(name, classes, model):
    """The class called `name`, whatever the case. Raises UsageError with the nearest names. model: its name."""
    if classes is None:
        raise UsageError(f"{model}: has no classifier, so there is no class to explain")
    lower = [known.lower() for known in classes]
    if name.lower() in lower:
        return lower.index(name.lower())
    near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    near += [known for known in lower if name.lower() in known and known not in near][:3]
    quoted = '"{}"'.format if any("," in known or " " in known for known in classes) else str
    known = ", ".join(map(quoted, classes[:20])) + (f" and {len(classes) - 20:,} more" if len(classes) > 20 else "")
    near = [quoted(classes[lower.index(one)]) for one in near]
    raise UsageError(f"--class {name}: {model} has no such class{suggestion(near) or f'; its classes are {known}'}")


def refuse(model, task, **options):
    """Raise UsageError for an option of `ExplanationOptions` that is for models of another task."""
    homes = {"box": "detection", "point": "segmentation"}
    for option, value in options.items():
        if value is not None:
            raise UsageError(f"--{option}: is for {homes[option]} models; {model} is a {task} model")


def cover_of(box, shape):
    """How occlusion covers what lies in `box`, x1, y1, x2, y2 in pixels of a picture of `shape`: its arguments.

    Squares of half the box's shorter side, but no more than a fifth of the picture's; over the box and as far beyond
    it as it is wide and high.
    """
    (left, top, right, bottom), (height, width) = box, shape[:2]
    square = max(1, round(min(0.5 * min(right - left, bottom - top), 0.2 * min(height, width))))
    across, down = right - left, bottom - top
    within = (max(left - across, 0), max(top - down, 0), min(right + across, width), min(bottom + down, height))
    return {"size": square, "stride": max(1, square // 2), "within": tuple(round(float(edge)) for edge in within)}
