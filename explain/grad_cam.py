"""Grad-CAM: which positions of a feature map support a class (Selvaraju et al. 2017, arXiv 1610.02391, section 3).

For a box or a region, most of the feature map has no gradient. There the gradient of each position is used instead of
its mean over the map (Draelos and Carin 2020, arXiv 2011.08891, "HiResCAM"; Zhao and Chan 2023, "ODAM", for boxes).
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.gradients import batch_size_for, validate_images
from retinue.explain.layers import feature_map_output
from retinue.explain.targets import Target, resolve_target, target_scores


class GradCam:
    """Grad-CAM of one model and one layer. It is traced once and can be called many times.

    Attributes:
        layer: Name of the layer.
    """

    def __init__(self, model: keras.Model, layer: str | None = None, local: bool = False) -> None:
        """Choose the layer.

        Args:
            model: A `keras.Model`.
            layer: Name of a layer that has a feature map; by default the last one.
            local: Weight each position by its own gradient. Use it for a target that depends on a part of the map.

        Raises:
            UsageError: The layer does not exist or has no feature map.
        """
        self._model, self._local = model, local
        self.layer, output = feature_map_output(model, layer)
        self._features_and_outputs = keras.Model(model.input, [output, model.output])
        self._step = tf.function(self._traced_step, reduce_retracing=True, autograph=False)
        self._function: Callable[[Any], Any] | None = None

    def __call__(self, images: np.ndarray, target: Target) -> np.ndarray:
        """Compute the maps of a batch of images.

        Args:
            images: float32 `[n, h, w, c]` as the model takes them.
            target: See `explain/__init__.py`.

        Returns:
            float32 `[n, h, w]`, at least 0: the map at the layer, enlarged bilinearly.

        Raises:
            UsageError: The model does not take these images, has no such target, or computes several maps per image.
        """
        images = validate_images(self._model, images)
        function, labels = resolve_target(self._model, target, len(images))
        if self._function is not function:
            self._function, self._step = (
                function,
                tf.function(self._traced_step, reduce_retracing=True, autograph=False),
            )
        size = batch_size_for(images)
        maps = [
            self._step(tf.constant(images[start : start + size]), tf.constant(labels[start : start + size])).numpy()
            for start in range(0, len(images), size)
        ]
        if sum(map(len, maps)) != len(images):
            raise UsageError(
                f"grad-cam: the layer {self.layer} has a feature map for each of several frames, so there is no single "
                "map per image; choose another layer or method"
            )
        return np.concatenate(maps)

    def _traced_step(self, images: Any, labels: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)  # otherwise the tape would record nothing when the model is frozen
            features, outputs = self._features_and_outputs(images, training=False)
            scores = target_scores(self._function, outputs, labels)
        weights = tape.gradient(scores, features, unconnected_gradients="zero")
        if not self._local:
            weights = tf.reduce_mean(weights, axis=(1, 2), keepdims=True)
        cam = tf.nn.relu(tf.reduce_sum(tf.cast(weights * features, tf.float32), axis=-1, keepdims=True))
        return tf.image.resize(cam, tf.shape(images)[1:3])[..., 0]


def grad_cam(
    model: keras.Model, images: np.ndarray, target: Target, layer: str | None = None, local: bool = False
) -> np.ndarray:
    """Compute Grad-CAM: the sum of a layer's channels, weighted by the mean gradient of the score, after a ReLU.

    Args:
        model: A `keras.Model`.
        images: float32 `[n, h, w, c]` as the model takes them.
        target: Any target. For one region of a segmentation use `tasks.segmentation.region_target`, best with `local`.
        layer: Name of a layer that has a feature map; by default the last one.
        local: Weight each position by its own gradient instead of the mean over the map.

    Returns:
        float32 `[n, h, w]`, at least 0.

    Raises:
        UsageError: The layer, the images or the target do not fit the model.
    """
    return GradCam(model, layer, local)(images, target)


def draw(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Draw a map over the image.

    Args:
        image: uint8 `[h, w, 3]`.
        heatmap: float `[h, w]`, at least 0.

    Returns:
        uint8 `[h, w, 3]`.
    """
    return visualization.overlay(image, heatmap)
