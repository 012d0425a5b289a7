"""Maps of a few pictures in TensorBoard as training goes on: when does the net begin to look at the thing?"""

import keras
import numpy as np
import tensorflow as tf

from retinue.explain.grad_cam import GradCam, draw


class GradCamCallback(keras.callbacks.Callback):
    """After every epoch, Grad-CAM for the class of each picture, as images beside the curves in TensorBoard.

    folder: of TensorBoard's files. images: uint8 `[n, h, w, 3]` as the model takes them; labels: int `[n]`, the class
    that each map is for; names: what each picture is called there.
    """

    def __init__(self, folder, images, labels, names):
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(folder))
        self._images, self._labels, self._names = np.asarray(images), np.asarray(labels), names
        self._grad_cam = None

    def on_epoch_end(self, epoch, logs=None):
        self._grad_cam = self._grad_cam or GradCam(self.model)
        maps = self._grad_cam(self._images, self._labels)
        with self._writer.as_default(step=epoch + 1):
            for image, found, name in zip(self._images, maps, self._names, strict=True):
                pair = np.concatenate([image, draw(image, found)], axis=1)
                tf.summary.image(f"where it looks/{name}", pair[None])
        self._writer.flush()
