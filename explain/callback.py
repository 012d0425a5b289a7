"""A Keras callback that writes Grad-CAM maps to TensorBoard during training.

The maps show in which epoch the model begins to use the object itself.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from retinue.explain.grad_cam import GradCam, draw


class GradCamCallback(keras.callbacks.Callback):
    """Write a Grad-CAM map of each image for its class after every epoch, beside the curves in TensorBoard."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        images: np.ndarray,
        labels: np.ndarray | Sequence[int],
        names: Sequence[str],
    ) -> None:
        """Choose what is written.

        Args:
            folder: Folder of TensorBoard's files.
            images: uint8 `[n, h, w, 3]` as the model takes them.
            labels: int `[n]`, the class index that each map is for.
            names: The name of each image in TensorBoard.
        """
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(folder))
        self._images, self._labels, self._names = np.asarray(images), np.asarray(labels), names
        self._grad_cam: GradCam | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Compute and write the maps of the epoch; Keras calls this."""
        self._grad_cam = self._grad_cam or GradCam(self.model)
        maps = self._grad_cam(self._images, self._labels)
        with self._writer.as_default(step=epoch + 1):
            for image, heatmap, name in zip(self._images, maps, self._names, strict=True):
                pair = np.concatenate([image, draw(image, heatmap)], axis=1)
                tf.summary.image(f"grad_cam/{name}", pair[None])
        self._writer.flush()
