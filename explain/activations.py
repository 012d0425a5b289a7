"""Activation maps: where in an image the strongest channels of a layer respond."""

import cv2
import keras
import numpy as np
from keras import ops

from retinue.explain import visualization
from retinue.explain.gradients import validate_images
from retinue.explain.layers import feature_map_output


def activations(
    model: keras.Model, images: np.ndarray, layer: str | None = None, top_k: int = 9
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the activation maps of the strongest channels of a layer.

    Args:
        model: A `keras.Model`.
        images: float32 `[n, h, w, c]` as the model takes them.
        layer: Name of a layer that has a feature map; by default the last one.
        top_k: Number of channels. They are sorted by their largest value, the strongest first.

    Returns:
        (maps float32 `[n, h, w, top_k]` in the size of the images, channel indices int `[n, top_k]`).

    Raises:
        UsageError: The layer does not exist or has no feature map, or the model does not take these images.
    """
    images = validate_images(model, images)
    _, output = feature_map_output(model, layer)
    features = ops.convert_to_numpy(keras.Model(model.input, output)(images, training=False)).astype(np.float32)
    channels = np.argsort(-features.max(axis=(1, 2)), axis=-1, kind="stable")[:, :top_k]
    size = images.shape[2], images.shape[1]
    maps = [
        np.stack([cv2.resize(feature[..., channel], size, interpolation=cv2.INTER_LINEAR) for channel in row], axis=-1)
        for feature, row in zip(features, channels, strict=True)
    ]
    return np.stack(maps), channels


def draw(image: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Draw a grid of the maps over the image, all on one scale.

    Args:
        image: uint8 `[h, w, 3]`.
        maps: float32 `[h, w, k]`, activation maps of one image.

    Returns:
        uint8 `[h', w', 3]`.
    """
    maximum = maps.max()
    overlays = [visualization.overlay(image, maps[..., index], maximum=maximum) for index in range(maps.shape[-1])]
    return visualization.image_grid(np.stack(overlays), max(image.shape[:2]), smooth=True)
