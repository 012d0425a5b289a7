"""DeepDream: more of what a layer sees in a picture (Mordvintsev, Olah, Tyka 2015, "Inceptionism")."""

import cv2
import keras
import numpy as np
import tensorflow as tf

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.explain.gradients import checked
from retinue.explain.layers import feature_map_output

OCTAVE = 1.4
SMOOTH = 0.9  # pixels, of the blur of each step's gradient, whose single pixels of every colour no one wants to see


def deep_dream(model, images, target=None, layer=None, octaves=6, steps=24, rate=1.2, tile=448, seed=0):
    """float32 `[n, h, w, c]` in 0..255: the images with what excites `layer` made stronger.

    Ascends the mean square activation of the layer (of its channel `target`, where given), by default of the last map
    of stride 16. From small to large: sizes are `OCTAVE` apart, and the detail that came up at one size is carried to
    the next. Each step rolls the picture by a random amount, so that the edges of tiles never show, and divides the
    gradient by its mean magnitude. rate: grey levels a step. tile: pixels a side of what the net sees at a time.
    images: of any size, `[n, h, w, c]` in 0..255, though not smaller than a model of one size takes.
    Raises UsageError for a layer, a channel or a size that will not do.
    """
    images = np.asarray(images, np.float32)
    fixed = model.inputs[0].shape[1]
    if fixed and min(images.shape[1:3]) < fixed:
        height, width = images.shape[1:3]
        raise UsageError(f"the model takes {fixed} px, the picture is {height} x {width}: enlarge it")
    checked(model, images[:, :fixed, :fixed] if fixed else images)
    output = default_feature_map(model)[1] if layer is None else feature_map_output(model, layer)[1]
    if target is not None and not 0 <= target < output.shape[-1]:
        raise UsageError(f"channel {target}: the layer has {output.shape[-1]} channels, 0 to {output.shape[-1] - 1}")
    part = keras.Model(model.input, output)

    @tf.function(reduce_retracing=True)
    def gradient(pixels):
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            found = part(pixels, training=False)
            found = found if target is None else found[..., target]
            value = tf.reduce_mean(tf.cast(found, tf.float32) ** 2)
        return tape.gradient(value, pixels)

    random = np.random.default_rng(seed)
    return np.stack([_one(gradient, image, octaves, steps, rate, fixed or tile, fixed, random) for image in images])


def _one(gradient, image, octaves, steps, rate, tile, fixed, random):
    smallest = fixed or 96
    sizes = [tuple(round(side / OCTAVE**octave) for side in image.shape[:2]) for octave in range(octaves)]
    sizes = [size for size in reversed(sizes) if min(size) >= smallest] or [image.shape[:2]]
    detail = np.zeros((*sizes[0], image.shape[-1]), np.float32)
    for size in sizes:
        base, detail = _resized(image, size), _resized(detail, size)
        for _ in range(steps):
            shift = random.integers(0, min(size), 2)
            rolled = np.roll(np.clip(base + detail, 0, 255), shift, (0, 1))
            found = np.roll(_tiled(gradient, rolled, tile), -shift, (0, 1))
            found = cv2.GaussianBlur(found, (0, 0), SMOOTH).reshape(found.shape)
            detail = detail + rate * found / (np.abs(found).mean() + 1e-12)
    return np.clip(image + detail, 0, 255)


def _tiled(gradient, image, tile):
    """The gradient of all tiles, each on its own scale, so that a quiet tile is not left out by a busy one."""
    found = np.zeros_like(image)
    for top in _starts(image.shape[0], tile):
        for left in _starts(image.shape[1], tile):
            part = np.s_[top : top + tile, left : left + tile]
            of_tile = gradient(tf.constant(image[part][None])).numpy()[0]
            found[part] = of_tile / (np.abs(of_tile).mean() + 1e-12)
    return found


def _starts(length, tile):
    """First pixels of tiles that cover `length`: whole ones, the last moved back to end with the picture."""
    return [0] if length <= tile else [*range(0, length - tile, tile), length - tile]


def _resized(image, size):
    smaller = size[0] < image.shape[0]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cv2.resize(image, (size[1], size[0]), interpolation=kind).reshape(*size, image.shape[-1])


def default_feature_map(model):
    """(name, symbolic output) of the last map of stride 16, where parts of things are seen; else of the last map."""
    output = backbones.endpoints(keras.Model(model.input, feature_map_output(model)[1])).get(16)
    for layer in model.layers if output is not None else ():
        if keras.tree.flatten(layer.output)[0] is output:
            return layer.name, output
    return feature_map_output(model)


def draw(image):
    """The dream as uint8 `[h, w, 3]`."""
    image = np.uint8(image + 0.5)
    return image if image.shape[-1] == 3 else image.mean(axis=-1, keepdims=True).repeat(3, axis=-1).astype(np.uint8)
