"""Test-time augmentation (TTA): one image, its 8 flips and rotations, or ten crops.

Ten-crop testing: Krizhevsky et al. 2012, section 4.1; He et al. 2015, section 3.4 (a shorter side of 256 pixels for
crops of 224).
"""

import tensorflow as tf
from keras import ops

NUM_COPIES = {"none": 1, "dihedral": 8, "ten_crop": 10}  # augmented copies of an image by `evaluate.tta`


def source_size(input_size: int, tta: str) -> int:
    """Return the side of the image that the augmented copies are cut from.

    Args:
        input_size: side of the model's input in pixels.
        tta: value of `evaluate.tta`.

    Returns:
        The side in pixels.
    """
    return round(input_size * 256 / 224) if tta == "ten_crop" else input_size


def augmented_copies(images: tf.Tensor, tta: str, input_size: int) -> tf.Tensor:
    """Make the augmented copies of a batch and stack them along the batch axis.

    Args:
        images: float [n, s, s, 3] with s = `source_size(input_size, tta)`.
        tta: value of `evaluate.tta`.
        input_size: side of the copies in pixels.

    Returns:
        float [copies * n, input_size, input_size, 3]; the first n are copy 0 of each image.
    """
    if tta == "none":
        return images
    if tta == "dihedral":
        transposed = ops.transpose(images, (0, 2, 1, 3))
        copies = [copy for base in (images, transposed) for copy in (base, ops.flip(base, axis=1))]
    else:
        margin = source_size(input_size, tta) - input_size
        corners = [(0, 0), (0, margin), (margin, 0), (margin, margin), (margin // 2, margin // 2)]
        copies = [images[:, top : top + input_size, left : left + input_size] for top, left in corners]
    copies = copies + [ops.flip(copy, axis=2) for copy in copies]
    return ops.concatenate(copies, axis=0)


def mean_over_copies(scores: tf.Tensor, tta: str) -> tf.Tensor:
    """Average the scores over the augmented copies of each image.

    Args:
        scores: float [copies * n, classes], in the order of `augmented_copies`.
        tta: value of `evaluate.tta`.

    Returns:
        float [n, classes].
    """
    if tta == "none":
        return scores
    return ops.mean(ops.reshape(scores, (NUM_COPIES[tta], -1, scores.shape[-1])), axis=0)
