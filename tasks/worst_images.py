"""The images with the worst predictions, as a report shows them: the truth beside the prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.tasks import drawing
from retinue.tasks.report_section import ImageCard, Section, jpeg_uri, percent

if TYPE_CHECKING:
    from retinue.tasks.scores import Scores

THUMBNAIL = 360  # pixels of the longer side


@dataclass(frozen=True)
class WorstImage:
    """An image with a wrong prediction.

    Attributes:
        file: the path of the file.
        truth: the true labels, as `Task.summarize_errors` returns them.
        predicted: a dict for each predicted label with `label`, `score` (or None) and `right`, as
            `Task.summarize_errors` returns them.
        image: uint8 `[h, w, 3]`, the image, or the drawing of the prediction on it.
        class_map: uint8 `[h, w, 3]`, the image with the parts that spoke for the first predicted label as heat
            (Grad-CAM), or None.
    """

    file: str
    truth: Sequence[str]
    predicted: Sequence[Mapping[str, Any]]
    image: np.ndarray
    class_map: np.ndarray | None = None


def worst_images_section(
    images: Sequence[WorstImage],
    scores: "Scores",
    side: int = THUMBNAIL,
    explanation: str | None = None,
    num_parts_of_path: int = 1,
) -> Section:
    """Make the section with the images that have the worst predictions.

    Args:
        images: the images, the worst first.
        scores: what the images were chosen by.
        side: pixels of the longer side of each image.
        explanation: the paragraph that describes the images. By default one about labels and their confidence.
        num_parts_of_path: how many last parts of a file's path its caption names.

    Returns:
        The section.
    """
    if not images:
        return Section("Worst predictions", ["There is no wrong prediction to show."])
    total = len(scores.worst)
    if explanation is None:
        which = f"The {len(images)} worst of {total:,} mistakes" if total > len(images) else f"All mistakes ({total:,})"
        explanation = (
            f"{which}, as truth → prediction with its confidence. The most confident mistakes come first. Some may be "
            "mistakes of the labels: look for these first."
        )
    if any(item.class_map is not None for item in images):
        explanation += (
            " The second image shows where the model looked for its prediction (Grad-CAM): bright parts spoke for it. "
            "Where they lie beside the object, the model may have learned a background, a frame or a stamp."
        )
    cards = [
        ImageCard(
            uri=jpeg_uri(drawing.shrink(item.image, side)),
            class_map_uri=None if item.class_map is None else jpeg_uri(drawing.shrink(item.class_map, THUMBNAIL)),
            truth=", ".join(item.truth) or "no label",
            predicted=[
                {"name": label["label"], "score": percent(label["score"]), "right": label["right"]}
                for label in item.predicted
            ],
            file="/".join(Path(item.file).parts[-num_parts_of_path:]),
        )
        for item in images
    ]
    return Section("Worst predictions", [explanation], images=cards)
