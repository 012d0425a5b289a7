"""Where the strongest channels of a layer fire."""

import cv2
import keras
import numpy as np
from keras import ops

from retinue.explain import visualization
from retinue.explain.gradients import checked
from retinue.explain.layers import feature_map_output


def activations(model, images, layer=None, top_k=9):
    """(maps float32 `[n, h, w, top_k]` in the images' size, channels int `[n, top_k]`) of a layer's strongest channels.

    layer: by default the last feature map. Channels are sorted by their largest value, the strongest first.
    """
    images = checked(model, images)
    _, output = feature_map_output(model, layer)
    found = ops.convert_to_numpy(keras.Model(model.input, output)(images, training=False)).astype(np.float32)
    channels = np.argsort(-found.max(axis=(1, 2)), axis=-1, kind="stable")[:, :top_k]
    size = images.shape[2], images.shape[1]
    maps = [
        np.stack([cv2.resize(one[..., channel], size, interpolation=cv2.INTER_LINEAR) for channel in row], axis=-1)
        for one, row in zip(found, channels, strict=True)
    ]
    return np.stack(maps), channels


def draw(image, found):
    """A grid of the maps `[h, w, k]` over the photo, all on one scale. Gives uint8 `[h', w', 3]`."""
    top = found.max()
    shown = [visualization.overlay(image, found[..., index], top=top) for index in range(found.shape[-1])]
    return visualization.image_grid(np.stack(shown), max(image.shape[:2]), smooth=True)
