"""Grad-CAM: which places of a feature map speak for the class (Selvaraju et al. 2017, arXiv 1610.02391, section 3).

For a box or a region the gradient of each place is taken instead of the mean over the map, most of which has none
(Draelos and Carin 2020, arXiv 2011.08891, "HiResCAM"; Zhao and Chan 2023, "ODAM", for boxes).
"""

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.gradients import batch_of, checked
from retinue.explain.layers import feature_map_output
from retinue.explain.targets import resolve, score_of


class GradCam:
    """Grad-CAM of one model and layer (by default the last feature map), built once and called again and again.

    local: weigh each place by its own gradient, for a target that looks at a part of the map.
    """

    def __init__(self, model, layer=None, local=False):
        self._model, self._local = model, local
        self.layer, output = feature_map_output(model, layer)
        self._both = keras.Model(model.input, [output, model.output])
        self._step = tf.function(self._traced, reduce_retracing=True)
        self._score = None

    def __call__(self, images, target):
        """images `[n, h, w, c]` -> float32 `[n, h, w]`, at least 0: the map at the layer, enlarged bilinearly."""
        images = checked(self._model, images)
        score, which = resolve(self._model, target, len(images))
        if self._score is not score:
            self._score, self._step = score, tf.function(self._traced, reduce_retracing=True)
        step = batch_of(images)
        maps = [
            self._step(tf.constant(images[first : first + step]), tf.constant(which[first : first + step])).numpy()
            for first in range(0, len(images), step)
        ]
        if sum(map(len, maps)) != len(images):
            raise UsageError(
                f"grad-cam: {self.layer} gives a map for each of several frames, so it can't be explained by one"
            )
        return np.concatenate(maps)

    def _traced(self, images, which):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)  # or nothing would be recorded when the model is frozen
            maps, outputs = self._both(images, training=False)
            scores = score_of(self._score, outputs, which)
        weights = tape.gradient(scores, maps, unconnected_gradients="zero")
        if not self._local:
            weights = tf.reduce_mean(weights, axis=(1, 2), keepdims=True)
        cam = tf.nn.relu(tf.reduce_sum(tf.cast(weights * maps, tf.float32), axis=-1, keepdims=True))
        return tf.image.resize(cam, tf.shape(images)[1:3])[..., 0]


def grad_cam(model, images, target, layer=None, local=False):
    """float32 `[n, h, w]`, at least 0: the layer's channels, weighted by the mean gradient of the score, summed, ReLU.

    layer: name of a layer that gives a map, by default the last one. Any target will do: for one region of a
    segmentation, `targets.region`, best with local, which weighs each place by its own gradient.
    """
    return GradCam(model, layer, local)(images, target)


def draw(image, found):
    """The map as heat over the photo. image: uint8 `[h, w, 3]`. Gives uint8 `[h, w, 3]`."""
    return visualization.overlay(image, found)
