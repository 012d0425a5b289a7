"""`Explainer`: what a task supplies so that `retinue explain` can explain its models.

An explainer answers three questions. How does the model see an image (`prepare`)? Which number is explained, for
example the logit of a class (`request`)? And where on the original image does a map of the prepared image lie
(`to_original`)? The methods themselves (Grad-CAM, occlusion, ...) are in the package `explain`.
"""

import abc
import dataclasses
import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import cv2
import numpy as np

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.suggestions import suggestion
from retinue.data.decoding.pixel_range import PixelRange

if TYPE_CHECKING:
    from concurrent.futures import Future

    import keras

PIXELS_PER_CALL = 1_500_000  # pixels of the images that a fully convolutional model gets in one call
# What the options of `TargetSelection` select, for messages to those who give them for another model.
SELECTIONS = {"box": "a box of a detection model", "point": "a region of a segmentation model"}


class CompiledModel(Protocol):
    """A model that runs in the fastest runtime."""

    def __call__(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a batch: arrays `[n, ...]` by name to arrays `[n, ...]` by name."""

    def submit(self, inputs: dict[str, np.ndarray]) -> "Future[dict[str, np.ndarray]]":
        """Start a batch, and return a future of its outputs."""


CompileModel = Callable[["keras.Model"], CompiledModel]


@dataclasses.dataclass(frozen=True)
class TargetSelection:
    """What a user selects to be explained. None stands for the default of each model.

    Attributes:
        class_name: name of a class. By default the predicted one.
        box: number of a detected box, from 1, the best first; of a class where `class_name` is given.
        point: (x, y) in pixels of the original image: the segmented region around it.
    """

    class_name: str | None = None
    box: int | None = None
    point: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class ExplanationRequest:
    """What is explained of one image.

    Attributes:
        label: name of the class; None for a model without classes.
        score: the model's score of the class, from 0 to 1.
        description: class, score and more in words, for the command line.
        target: what gradients are taken of: a class index, or a function of the model's outputs (see
            explain/targets.py).
        predict: function from images float32 `[m, h, w, 3]` to scores float32 `[m, k]`, in the fastest runtime.
        column: the column of these scores that is explained.
        layer: name of the layer for Grad-CAM and others when the user names none; None for the last feature map.
        occlusion: further arguments of `explain.occlusion.occlusion`, where its defaults do not fit a small region.
        region: bool `[h, w]` in the size of the original image: the explained box or region; None for the whole image.
        facts: further entries of `explanations.json`.
    """

    label: str | None = None
    score: float | None = None
    description: str = ""
    target: Any = None
    predict: Callable[[np.ndarray], np.ndarray] | None = None
    column: int = 0
    layer: str | None = None
    occlusion: dict[str, Any] = dataclasses.field(default_factory=dict)
    region: np.ndarray | None = None
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)


class NothingToExplain(RetinueError):
    """This image can't be read, or has no such box or region. Others may."""


class Explainer:
    """A model to explain.

    Attributes:
        is_video: whether it explains clips; see tasks/video/explainer.py for what replaces `ImageExplainer` then.
        supports_feature_visualization: whether an image can be generated that maximizes the score of a class.
        methods: names of the methods that can explain it (keys of `explain.METHODS`); None for all.
        selections: options of `TargetSelection`, besides `class_name`, that it understands.
        name: what the model is called in messages.
        task_name: the name of its task, for messages.
        classes: the class names; None for a model without a classifier.
        model: the Keras model, from images to logits. None for an export, which holds no Keras model.
    """

    is_video: ClassVar[bool] = False
    supports_feature_visualization: ClassVar[bool] = False
    methods: ClassVar[tuple[str, ...] | None] = None
    selections: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str, task_name: str, classes: Sequence[str] | None, model: "keras.Model | None") -> None:
        """Keep the attributes; see the class."""
        self.name, self.task_name, self.model = name, task_name, model
        self.classes = None if classes is None else tuple(classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class names of a model that has some."""
        if self.classes is None:
            raise ValueError(f"{self.name} has no classes")
        return self.classes

    def check(self, selection: TargetSelection) -> None:
        """Check a selection before anything is computed.

        Args:
            selection: what the user selected.

        Raises:
            UsageError: the selection is for models of another task, or the model has no such class.
        """
        for option, what in SELECTIONS.items():
            if getattr(selection, option) is not None and option not in self.selections:
                raise UsageError(
                    f"--{option}: selects {what}, but {self.name} is a {self.task_name} model; remove the option"
                )
        if selection.class_name is not None:
            self.class_index(selection.class_name)

    def class_index(self, class_name: str) -> int:
        """Find a class by its name, in any case.

        Args:
            class_name: the name.

        Returns:
            The index of the class.

        Raises:
            UsageError: there is no such class. The message suggests similar names.
        """
        if self.classes is None:
            raise UsageError(f"{self.name}: this model has no classifier, so there is no class to explain")
        lower = [known.lower() for known in self.classes]
        if class_name.lower() in lower:
            return lower.index(class_name.lower())
        similar = difflib.get_close_matches(class_name.lower(), lower, n=3, cutoff=0.5)
        similar += [known for known in lower if class_name.lower() in known and known not in similar][:3]
        quote = any("," in known or " " in known for known in self.classes)

        def quoted(name: str) -> str:
            return f'"{name}"' if quote else name

        shown = ", ".join(map(quoted, self.classes[:20]))
        shown += f" and {len(self.classes) - 20:,} more" if len(self.classes) > 20 else ""
        hint = suggestion([quoted(self.classes[lower.index(one)]) for one in similar])
        raise UsageError(f"--class {class_name}: {self.name} has no such class{hint or f'; its classes are {shown}'}")


class ImageExplainer(Explainer, abc.ABC):
    """A model that takes one image.

    Attributes:
        pixel_range: data.pixel_range of the model, for images of more than 8 bits.
    """

    pixel_range: PixelRange | None = None

    @abc.abstractmethod
    def prepare(self, original: np.ndarray) -> np.ndarray:
        """Resize an image as the model sees it.

        Args:
            original: uint8 `[h, w, 3]`, RGB.

        Returns:
            float32 `[h', w', 3]`, 0 to 255.

        Raises:
            NothingToExplain: the model can't take this image as a whole.
        """

    @abc.abstractmethod
    def request(self, original: np.ndarray, image: np.ndarray, selection: TargetSelection) -> ExplanationRequest:
        """Decide what is explained of one image.

        Args:
            original: uint8 `[h, w, 3]`, RGB.
            image: what `prepare` returned for it.
            selection: what the user selected.

        Returns:
            The request that every method can answer.

        Raises:
            NothingToExplain: the image has no such box or region.
        """

    def to_original(self, array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Bring a map of the prepared image to the original image. By default it is resized.

        Args:
            array: float32 `[h', w']` or `[h', w', c]`.
            shape: shape of the original image: height, width, ...

        Returns:
            float32 `[h, w]` or `[h, w, c]`.
        """
        return cv2.resize(array, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)


def occlusion_near(box: Sequence[float], shape: Sequence[int]) -> dict[str, Any]:
    """Choose how occlusion covers a small box.

    The squares have half of the box's shorter side, but no more than a fifth of the image's. They cover the box and
    its surroundings, as far beyond the box as it is wide and high.

    Args:
        box: x1, y1, x2, y2 in pixels of the prepared image.
        shape: shape of the prepared image: height, width, ...

    Returns:
        Arguments of `explain.occlusion.occlusion`: `size`, `stride` and `within`.
    """
    (left, top, right, bottom), (height, width) = box, shape[:2]
    square = max(1, round(min(0.5 * min(right - left, bottom - top), 0.2 * min(height, width))))
    across, down = right - left, bottom - top
    within = (max(left - across, 0), max(top - down, 0), min(right + across, width), min(bottom + down, height))
    return {"size": square, "stride": max(1, square // 2), "within": tuple(round(float(edge)) for edge in within)}
