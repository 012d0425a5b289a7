"""The options of `retinue export`."""

import dataclasses
import os
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """What `export` writes.

    Attributes:
        formats: the formats, some of `configs.choices.EXPORT_FORMATS`.
        precision: "f32", or for OpenVINO alone "int8", which is calibrated on the run's training set, scored on its
            test or validation set, and refused where the score drops too much (see quantize.py).
        max_score_drop: by how many percentage points the score may drop with int8.
        verify_images: paths of images or clips that the export is verified with. By default 8 files of the run's
            split.csv that still exist, from the validation set, then the test set, then the training set.
        versioned: whether the export becomes the next version in a folder to serve (see serving.py).
    """

    formats: Sequence[str] = ("savedmodel",)
    precision: str = "f32"
    max_score_drop: float = 0.5
    verify_images: Sequence[str | os.PathLike[str]] | None = None
    versioned: bool = False
