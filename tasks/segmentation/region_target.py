"""A region of a segmentation as what is explained: the mean logit of a class over its pixels."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from retinue.configs.errors import UsageError


def region_target(label: int, mask: np.ndarray) -> Callable[[Any], Any]:
    """Make a target for semantic segmentation: the mean logit of one class over a region.

    Args:
        label: Class index.
        mask: bool or float `[h', w']` in the size of the model's output `[n, h', w', classes]`, 1 inside the region.

    Returns:
        A function from the outputs of the model to float `[n]`.

    Raises:
        UsageError: The region is empty. The returned function raises it where the sizes differ or the model has no
            such class.
    """
    mask = np.asarray(mask, np.float32)
    if not mask.sum():
        raise UsageError("the region is empty; give a mask with at least one pixel inside")

    def score(outputs: Any) -> Any:
        (logits,) = keras.tree.flatten(outputs)
        if len(logits.shape) != 4 or tuple(logits.shape[1:3]) != mask.shape:
            size = tuple(logits.shape[1:3])
            raise UsageError(
                f"the mask has the size {mask.shape} and the output of the model {size}; they must have the same size"
            )
        num_classes = logits.shape[-1]
        if not 0 <= label < num_classes:
            raise UsageError(
                f"target {label} does not exist: the model has {num_classes} classes, 0 to {num_classes - 1}"
            )
        return ops.sum(ops.cast(logits[..., label], "float32") * mask, axis=(1, 2)) / mask.sum()

    return score
