"""Synthetic images that maximize a class score or a channel, by gradient ascent (Simonyan et al. 2013, section 2).

Without regularization the result is noise that fools the model. There are four regularizers, from simple to complex:

- l2: S_c(I) - lambda |I|^2 (Simonyan, Vedaldi, Zisserman 2013, arXiv 1312.6034).
- blur: also a blur at every step, and small pixels are set to the mean (Yosinski et al. 2015, arXiv 1506.06579,
  section 3).
- jitter: windows shifted at random, total variation, and a blur that fades (Mordvintsev et al. 2015; Mahendran and
  Vedaldi 2014, arXiv 1412.0035).
- fourier: frequencies in decorrelated colors are the parameters, and each step shifts, rotates and scales the image at
  random (Olah, Mordvintsev, Schubert 2017, "Feature Visualization", distill.pub, sections on preconditioning and
  robustness).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.gradients import validate_images
from retinue.explain.layers import before_relu, feature_map_output
from retinue.explain.targets import Target, classifier_scores, resolve_target, target_scores

REGULARIZERS = {"l2": 100, "blur": 200, "jitter": 250, "fourier": 250}  # and the default number of steps of each
MEAN_GRAY = 117.0  # the mean gray level of images, 0..255
WEIGHT_DECAY = 0.004  # per step of "l2" and "blur": 2 * lambda
CANVAS_SCALE = 1.25  # of "jitter": each step shows the model another window of an image that is larger by this factor
COPIES = 2  # of "fourier": copies of the image per step, each with its own part of the image and its own rotation
# Correlation of the colors of images: a square root of their covariance over ImageNet (Olah et al. 2017).
COLOR_CORRELATION = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)

Score = Callable[[Any], Any]  # from the outputs of the model to a float tensor [m]


def feature_visualization(
    model: keras.Model,
    target: Target,
    size: int | Sequence[int | None] | None = None,
    regularizer: str = "fourier",
    steps: int | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, float]:
    """Synthesize an image that maximizes the target. The same seed gives the same image.

    Args:
        model: A `keras.Model`.
        target: A class index, or a function from the outputs of the model to float `[n]`, for example the one of
            `channel_target`.
        size: Side of the image in pixels, or (height, width); by default the input size of the model, or 224 if it
            takes any size.
        regularizer: "l2", "blur", "jitter" or "fourier".
        steps: Number of steps; by default that of `REGULARIZERS`.
        seed: Seed of the first image and of the random transformations.

    Returns:
        (image float32 `[h, w, c]` in 0..255, and the probability of the target for it, or the target's value if it is
        a function).

    Raises:
        UsageError: The regularizer is unknown, or the model has no such class or takes no images of this size.
    """
    if regularizer not in REGULARIZERS:
        raise UsageError(f"the regularizer {regularizer} is unknown; use one of {', '.join(REGULARIZERS)}")
    height, width, channels = _image_shape(model, size)
    validate_images(model, np.zeros((1, height, width, channels), np.float32))
    function, labels = resolve_target(model, target, 1)

    def score(outputs: Any) -> Any:
        copies = tf.repeat(tf.constant(labels), tf.shape(keras.tree.flatten(outputs)[0])[0])
        return target_scores(function, outputs, copies)

    steps = REGULARIZERS[regularizer] if steps is None else steps
    shape = (height, width, channels)
    if regularizer == "fourier":
        image = _ascend_frequencies(model, score, shape, steps, seed)
    else:
        image = _ascend_pixels(model, score, shape, regularizer, steps, seed)
    outputs = model(image[None], training=False)
    if callable(target):
        return image, float(score(outputs)[0])
    return image, float(keras.ops.softmax(keras.ops.cast(classifier_scores(outputs), "float32"))[0, labels[0]])


def channel_target(model: keras.Model, layer: str | None, channel: int) -> tuple[keras.Model, Score]:
    """Make the model and the target whose maximization visualizes one channel of a layer.

    The units before a ReLU are taken, since a channel that is silent on the first noise would have no gradient.

    Args:
        model: A functional `keras.Model`.
        layer: Name of a layer that has a feature map; by default the last one.
        channel: Index of the channel.

    Returns:
        (the part of the model up to the layer, a function from its output to the mean of the channel, float `[n]`).

    Raises:
        UsageError: The layer does not exist or has no feature map, or it has no such channel.
    """
    name, _ = feature_map_output(model, layer)
    output = before_relu(model, name)
    count = output.shape[-1]
    if not 0 <= channel < count:
        raise UsageError(f"--channel {channel}: {name} has {count} channels, 0 to {count - 1}; choose one of them")
    part = keras.Model(model.input, output, name=model.name)
    return part, lambda maps: tf.reduce_mean(tf.cast(maps[..., channel], tf.float32), axis=(1, 2))


def _image_shape(model: keras.Model, size: int | Sequence[int | None] | None) -> tuple[int, int, int]:
    height, width, channels = model.inputs[0].shape[1:]
    sides = (size, size) if size is None or isinstance(size, (int, np.integer)) else tuple(size)
    return height or sides[0] or 224, width or sides[1] or 224, channels


def _ascend_pixels(
    model: keras.Model, score: Score, shape: tuple[int, int, int], regularizer: str, steps: int, seed: int
) -> np.ndarray:
    """Ascend on the pixels themselves.

    The optimized values are offsets from the mean gray. One step adds the gradient divided by its mean magnitude, so
    that the learning rate is in gray levels whatever the scale of the model's scores.
    """
    random = np.random.default_rng(seed)

    @tf.function(autograph=False)
    def normalized_gradient(pixels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            value = score(model(pixels[None], training=False))[0]
        gradient = tape.gradient(value, pixels)
        return gradient / (tf.reduce_mean(tf.abs(gradient)) + 1e-12)

    def ascend(offset: np.ndarray, learning_rate: float) -> np.ndarray:
        return offset + learning_rate * normalized_gradient(tf.constant(offset + np.float32(MEAN_GRAY))).numpy()

    height, width, channels = shape
    canvas = (height, width)
    if regularizer == "jitter":
        canvas = round(CANVAS_SCALE * height), round(CANVAS_SCALE * width)
    offset = 8 * random.standard_normal((*canvas, channels), np.float32)
    for step in range(steps):
        progress = step / steps
        if regularizer == "l2":
            offset = ascend(offset, 5 * (1 - 0.8 * progress)) * np.float32(1 - WEIGHT_DECAY)
        elif regularizer == "blur":
            offset = ascend(offset, 6 * (1 - 0.6 * progress)) * np.float32(1 - WEIGHT_DECAY)
            offset = _blur(offset, 1.0 * 0.4**progress)
            magnitude = np.abs(offset).sum(axis=-1, keepdims=True)
            offset = np.where(magnitude < np.percentile(magnitude, 5), 0, offset).astype(np.float32)
        else:
            top = random.integers(0, canvas[0] - height + 1)
            left = random.integers(0, canvas[1] - width + 1)
            window = np.s_[top : top + height, left : left + width]
            offset[window] = ascend(offset[window], 8 * (1 - 0.65 * progress))
            variation = np.float32(0.3 * (1 - 0.5 * progress)) * _total_variation_gradient(offset)
            offset = _blur(offset - variation, 0.9 * 0.35**progress)
        offset = np.clip(offset, -MEAN_GRAY, MEAN_GRAY).astype(np.float32)
    image = offset + np.float32(MEAN_GRAY)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).reshape(shape)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma).reshape(image.shape)


def _total_variation_gradient(image: np.ndarray) -> np.ndarray:
    """Compute the gradient of the sum of absolute differences between neighbors; the image wraps around."""
    gradient = np.zeros_like(image)
    for axis in (0, 1):
        difference = np.sign(image - np.roll(image, 1, axis))
        gradient += difference - np.roll(difference, -1, axis)
    return gradient


def _ascend_frequencies(
    model: keras.Model, score: Score, shape: tuple[int, int, int], steps: int, seed: int
) -> np.ndarray:
    """Ascend on the Fourier coefficients of the image in decorrelated colors."""
    height, width, channels = shape
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    # In images the low frequencies are the strong ones: the amplitude is inversely proportional to the frequency.
    amplitude = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width)) * math.sqrt(height * width)
    amplitude = tf.constant(amplitude[None], tf.complex64)
    random = np.random.default_rng(seed)
    spectrum = tf.Variable(0.01 * random.standard_normal((2, channels, height, columns.shape[1]), np.float32))
    mixing = np.eye(channels, dtype=np.float32)
    if channels == 3:
        mixing = COLOR_CORRELATION / np.linalg.norm(COLOR_CORRELATION, axis=0).max()

    def render() -> Any:
        planes = tf.signal.irfft2d(tf.complex(spectrum[0], spectrum[1]) * amplitude, fft_length=[height, width])
        colors = tf.transpose(planes, (1, 2, 0)) / 4.0 @ mixing.T
        return 255.0 * tf.sigmoid(colors)

    optimizer = keras.optimizers.Adam(0.03)
    optimizer.build([spectrum])

    @tf.function(autograph=False)
    def ascend(transforms: Any) -> None:
        with tf.GradientTape() as tape:
            copies = tf.repeat(render()[None], COPIES, axis=0)
            transformed = keras.ops.image.affine_transform(
                copies, transforms, fill_mode="reflect", data_format="channels_last"
            )
            value = tf.reduce_mean(score(model(transformed, training=False)))
        optimizer.apply([-tape.gradient(value, spectrum)], [spectrum])

    for _ in range(steps):
        transforms = [_random_transform(random, height, width) for _ in range(COPIES)]
        ascend(tf.constant(np.stack(transforms), tf.float32))
    return render().numpy()


def _random_transform(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draw a random rotated part of the image: the 8 numbers of a projective transform from the part to the image."""
    angle, scale = math.radians(random.uniform(-8, 8)), random.uniform(0.65, 0.95)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    shift_y, shift_x = random.uniform(-0.5, 0.5, 2) * (1 - scale) * (height, width)
    center_y, center_x = (height - 1) / 2, (width - 1) / 2
    offset_x = center_x + shift_x - cosine * center_x + sine * center_y
    offset_y = center_y + shift_y - sine * center_x - cosine * center_y
    return np.array([cosine, -sine, offset_x, sine, cosine, offset_y, 0, 0])


def draw(image: np.ndarray) -> np.ndarray:
    """Convert the image, float `[h, w, c]` in 0..255, to uint8 `[h, w, 3]`."""
    return visualization.to_rgb_uint8(image)
