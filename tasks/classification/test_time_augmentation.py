"""Test-time views of a picture: whole, 8 flips and turns, or the 10 crops of the lecture's tables.

Ten-crop testing: Krizhevsky et al. 2012, section 4.1; He et al. 2015, section 3.4 (short side 256 for crops of 224).
"""

from keras import ops

VIEWS = {"none": 1, "dihedral": 8, "ten_crop": 10}


def read_size(input_size, views):
    """Side in pixels of the picture that the views of a model of `input_size` are cut from."""
    return round(input_size * 256 / 224) if views == "ten_crop" else input_size


def make_views(images, views, input_size):
    """Stack the views along the batch.

    images: float `[n, s, s, 3]` with s = `read_size(input_size, views)`. Returns float
    `[views * n, input_size, input_size, 3]`, the first n being view 0 of each image.
    """
    if views == "none":
        return images
    if views == "dihedral":
        turned = ops.transpose(images, (0, 2, 1, 3))
        pictures = [image for base in (images, turned) for image in (base, ops.flip(base, axis=1))]
        pictures = pictures + [ops.flip(image, axis=2) for image in pictures]
    else:
        margin = read_size(input_size, views) - input_size
        corners = [(0, 0), (0, margin), (margin, 0), (margin, margin), (margin // 2, margin // 2)]
        pictures = [images[:, top : top + input_size, left : left + input_size] for top, left in corners]
        pictures = pictures + [ops.flip(image, axis=2) for image in pictures]
    return ops.concatenate(pictures, axis=0)


def mean_over_views(scores, views):
    """float `[views * n, classes]` -> `[n, classes]`, the mean of each image's views."""
    if views == "none":
        return scores
    return ops.mean(ops.reshape(scores, (VIEWS[views], -1, scores.shape[-1])), axis=0)
