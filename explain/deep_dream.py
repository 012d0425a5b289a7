"""DeepDream: amplify in an image what a layer responds to (Mordvintsev, Olah, Tyka 2015, "Inceptionism")."""

from collections.abc import Callable
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from retinue import backbones
from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.gradients import validate_images
from retinue.explain.layers import feature_map_output

OCTAVE_SCALE = 1.4
MIN_SIDE = 96  # pixels of the smallest octave of a model that takes any size
GRADIENT_BLUR = 0.9  # sigma in pixels of the blur of each step's gradient; without it, single pixels get random colors


def deep_dream(
    model: keras.Model,
    images: np.ndarray,
    target: int | None = None,
    layer: str | None = None,
    octaves: int = 6,
    steps: int = 24,
    learning_rate: float = 1.2,
    tile: int = 448,
    seed: int = 0,
) -> np.ndarray:
    """Change images so that a layer responds more strongly.

    The ascended value is the mean square activation of the layer. It runs from small to large sizes, which are
    `OCTAVE_SCALE` apart, and the detail that appeared at one size is carried to the next. Each step rolls the image by
    a random offset, so that the edges of tiles never show, and divides the gradient by its mean magnitude.

    Args:
        model: A functional `keras.Model`.
        images: `[n, h, w, c]` in 0..255, of any size, though not smaller than the input of a model of fixed size.
        target: Index of a channel of the layer; by default all channels.
        layer: Name of a layer that has a feature map; by default the last one of stride 16.
        octaves: Number of sizes.
        steps: Number of steps per size.
        learning_rate: Gray levels per step.
        tile: Side in pixels of the part of the image that the model gets at once.
        seed: Seed of the random offsets.

    Returns:
        float32 `[n, h, w, c]` in 0..255.

    Raises:
        UsageError: The layer or channel does not exist, or the images are too small.
    """
    images = np.asarray(images, np.float32)
    input_size = model.inputs[0].shape[1]
    if input_size and min(images.shape[1:3]) < input_size:
        height, width = images.shape[1:3]
        raise UsageError(f"the model takes {input_size} px, but the image has {height} x {width}; enlarge the image")
    validate_images(model, images[:, :input_size, :input_size] if input_size else images)
    output = default_feature_map(model)[1] if layer is None else feature_map_output(model, layer)[1]
    if target is not None and not 0 <= target < output.shape[-1]:
        count = output.shape[-1]
        raise UsageError(f"channel {target} does not exist: the layer has {count} channels, 0 to {count - 1}")
    part = keras.Model(model.input, output)

    @tf.function(reduce_retracing=True, autograph=False)
    def gradient(pixels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            features = part(pixels, training=False)
            features = features if target is None else features[..., target]
            value = tf.reduce_mean(tf.cast(features, tf.float32) ** 2)
        return tape.gradient(value, pixels)

    random = np.random.default_rng(seed)
    min_side, tile = input_size or MIN_SIDE, input_size or tile
    dreams = [_dream(gradient, image, octaves, steps, learning_rate, tile, min_side, random) for image in images]
    return np.stack(dreams)


def _dream(
    gradient: Callable[[Any], Any],
    image: np.ndarray,
    octaves: int,
    steps: int,
    learning_rate: float,
    tile: int,
    min_side: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Run DeepDream on one image; see `deep_dream`."""
    height, width = image.shape[:2]
    sizes = [(round(height / OCTAVE_SCALE**octave), round(width / OCTAVE_SCALE**octave)) for octave in range(octaves)]
    sizes = [size for size in reversed(sizes) if min(size) >= min_side] or [(height, width)]
    detail = np.zeros((*sizes[0], image.shape[-1]), np.float32)
    for size in sizes:
        base, detail = _resize(image, size), _resize(detail, size)
        for _ in range(steps):
            shift = random.integers(0, min(size), 2)
            rolled = np.roll(np.clip(base + detail, 0, 255), shift, (0, 1))
            change = np.roll(_tiled_gradient(gradient, rolled, tile), -shift, (0, 1))
            change = cv2.GaussianBlur(change, (0, 0), GRADIENT_BLUR).reshape(change.shape)
            detail = detail + learning_rate * change / (np.abs(change).mean() + 1e-12)
    return np.clip(image + detail, 0, 255)


def _tiled_gradient(gradient: Callable[[Any], Any], image: np.ndarray, tile: int) -> np.ndarray:
    """Compute the gradient tile by tile, each on its own scale, so that a busy tile does not outweigh a quiet one."""
    gradients = np.zeros_like(image)
    for top in _tile_starts(image.shape[0], tile):
        for left in _tile_starts(image.shape[1], tile):
            window = np.s_[top : top + tile, left : left + tile]
            of_tile = gradient(tf.constant(image[window][None])).numpy()[0]
            gradients[window] = of_tile / (np.abs(of_tile).mean() + 1e-12)
    return gradients


def _tile_starts(length: int, tile: int) -> list[int]:
    """Return the first pixels of tiles that cover `length`. All are complete; the last one ends with the image."""
    return [0] if length <= tile else [*range(0, length - tile, tile), length - tile]


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    interpolation = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, (size[1], size[0]), interpolation=interpolation).reshape(*size, image.shape[-1])


def default_feature_map(model: keras.Model) -> tuple[str, Any]:
    """Find the last feature map of stride 16, which shows parts of objects, or else the last feature map.

    Returns:
        (name of the layer, its symbolic output).

    Raises:
        UsageError: No layer of the model has a feature map.
    """
    output = backbones.endpoints(keras.Model(model.input, feature_map_output(model)[1])).get(16)
    for layer in model.layers if output is not None else ():
        if keras.tree.flatten(layer.output)[0] is output:
            return layer.name, output
    return feature_map_output(model)


def draw(image: np.ndarray) -> np.ndarray:
    """Convert the image, float `[h, w, c]` in 0..255, to uint8 `[h, w, 3]`."""
    return visualization.to_rgb_uint8(image)
