"""The picture that a class fits best, made from nothing by gradient ascent (Simonyan et al. 2013, section 2).

Without a regularizer the result is noise that fools the net. Four of them, from simple to complex:
l2       S_c(I) - lambda |I|^2 (Simonyan, Vedaldi, Zisserman 2013, arXiv 1312.6034)
blur     and a blur every few steps, small pixels set to the mean (Yosinski et al. 2015, arXiv 1506.06579, section 3)
jitter   windows shifted at random, total variation and a blur that fades (Mordvintsev et al. 2015; Mahendran and
         Vedaldi 2014, arXiv 1412.0035)
fourier  frequencies in decorrelated colours as the parameters, and random shifts, turns and sizes at each step (Olah,
         Mordvintsev, Schubert 2017, "Feature Visualization", distill.pub, sections on preconditioning and robustness)
"""

import math

import cv2
import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.explain.gradients import checked
from retinue.explain.layers import before_relu, feature_map_output
from retinue.explain.targets import resolve, score_of, scores_of

REGULARIZERS = {"l2": 100, "blur": 200, "jitter": 250, "fourier": 250}  # and the steps that each takes by default
MEAN = 117.0  # the mean grey of photos
DECAY = 0.004  # of "l2" and "blur" a step: 2 * lambda
CANVAS = 1.25  # of "jitter": the net sees another window of a picture so much larger at each step
COPIES = 2  # of the picture, a part of it and turned in another way, a step of "fourier"
# How the colours of photos hang together: a square root of their covariance over ImageNet (Olah et al. 2017).
COLORS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)


def feature_visualization(model, target, size=None, regularizer="fourier", steps=None, seed=0):
    """(picture float32 `[h, w, c]` in 0..255, probability of the target for it, or its score where it is a function).

    target: a class index, or a function from the model's outputs to float `[n]`: a channel, for instance.
    size: pixels a side, or (height, width); by default the model's, 224 where it takes any.
    The same seed gives the same picture. Raises UsageError for another regularizer, class or size.
    """
    if regularizer not in REGULARIZERS:
        raise UsageError(f"regularizer {regularizer}: unknown; use one of {', '.join(REGULARIZERS)}")
    height, width, channels = _shape(model, size)
    checked(model, np.zeros((1, height, width, channels), np.float32))
    function, which = resolve(model, target, 1)

    def score(outputs):
        copies = tf.repeat(tf.constant(which), tf.shape(keras.tree.flatten(outputs)[0])[0])
        return score_of(function, outputs, copies)

    steps = REGULARIZERS[regularizer] if steps is None else steps
    make = _fourier if regularizer == "fourier" else _pixels
    picture = make(model, score, (height, width, channels), regularizer, steps, seed)
    outputs = model(picture[None], training=False)
    if callable(target):
        return picture, float(score(outputs)[0])
    return picture, float(keras.ops.softmax(keras.ops.cast(scores_of(outputs), "float32"))[0, which[0]])


def channel_target(model, layer, channel):
    """(model, target) for the picture that fits one channel of a layer best: up to the layer, the channel's mean.

    The units before a ReLU are taken, or a channel that is silent in the first noise would have no gradient.
    Raises UsageError for a layer without a map and for a channel that it does not have.
    """
    name, _ = feature_map_output(model, layer)
    output = before_relu(model, name)
    if not 0 <= channel < output.shape[-1]:
        raise UsageError(f"--channel {channel}: {name} has {output.shape[-1]} channels, 0 to {output.shape[-1] - 1}")
    part = keras.Model(model.input, output, name=model.name)
    return part, lambda maps: tf.reduce_mean(tf.cast(maps[..., channel], tf.float32), axis=(1, 2))


def _shape(model, size):
    height, width, channels = model.inputs[0].shape[1:]
    size = (size, size) if np.ndim(size) == 0 else tuple(size)
    return height or size[0] or 224, width or size[1] or 224, channels


def _pixels(model, score, shape, regularizer, steps, seed):
    """Ascent on the pixels themselves; a step is so many grey levels, whatever the scale of the net's scores.

    Offsets from the mean grey are what is kept; one step adds the gradient divided by its mean magnitude.
    """
    random = np.random.default_rng(seed)

    @tf.function
    def gradient(pixels):
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            value = score(model(pixels[None], training=False))[0]
        found = tape.gradient(value, pixels)
        return found / (tf.reduce_mean(tf.abs(found)) + 1e-12)

    def ascend(offset, rate):
        return offset + rate * gradient(tf.constant(offset + np.float32(MEAN))).numpy()

    canvas = tuple(round(CANVAS * side) for side in shape[:2]) if regularizer == "jitter" else shape[:2]
    offset = 8 * random.standard_normal((*canvas, shape[2]), np.float32)
    for step in range(steps):
        done = step / steps
        if regularizer == "l2":
            offset = ascend(offset, 5 * (1 - 0.8 * done)) * np.float32(1 - DECAY)
        elif regularizer == "blur":
            offset = _blurred(ascend(offset, 6 * (1 - 0.6 * done)) * np.float32(1 - DECAY), 1.0 * 0.4**done)
            size = np.abs(offset).sum(axis=-1, keepdims=True)
            offset = np.where(size < np.percentile(size, 5), 0, offset).astype(np.float32)
        else:
            top, left = (random.integers(0, whole - side + 1) for whole, side in zip(canvas, shape[:2], strict=True))
            window = np.s_[top : top + shape[0], left : left + shape[1]]
            offset[window] = ascend(offset[window], 8 * (1 - 0.65 * done))
            offset = _blurred(offset - np.float32(0.3 * (1 - 0.5 * done)) * _variation(offset), 0.9 * 0.35**done)
        offset = np.clip(offset, -MEAN, MEAN).astype(np.float32)
    picture = offset + np.float32(MEAN)
    return cv2.resize(picture, shape[1::-1], interpolation=cv2.INTER_AREA).reshape(shape)


def _blurred(image, sigma):
    return cv2.GaussianBlur(image, (0, 0), sigma).reshape(image.shape)


def _variation(image):
    """The gradient of the total variation, the summed absolute differences of neighbours, which wrap around."""
    found = np.zeros_like(image)
    for axis in (0, 1):
        difference = np.sign(image - np.roll(image, 1, axis))
        found += difference - np.roll(difference, -1, axis)
    return found


def _fourier(model, score, shape, regularizer, steps, seed):
    height, width, channels = shape
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    # Like photos, in which low frequencies are the strong ones: their amplitude falls as one over the frequency.
    falls = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width)) * math.sqrt(height * width)
    falls = tf.constant(falls[None], tf.complex64)
    random = np.random.default_rng(seed)
    start = 0.01 * random.standard_normal((2, channels, height, columns.shape[1]), np.float32)
    spectrum = tf.Variable(start)
    mixing = COLORS / np.linalg.norm(COLORS, axis=0).max() if channels == 3 else np.eye(channels, dtype=np.float32)

    def picture():
        planes = tf.signal.irfft2d(tf.complex(spectrum[0], spectrum[1]) * falls, fft_length=[height, width])
        colors = tf.transpose(planes, (1, 2, 0)) / 4.0 @ mixing.T
        return 255.0 * tf.sigmoid(colors)

    optimizer = keras.optimizers.Adam(0.03)
    optimizer.build([spectrum])

    @tf.function
    def ascend(moves):
        with tf.GradientTape() as tape:
            copies = tf.repeat(picture()[None], COPIES, axis=0)
            moved = keras.ops.image.affine_transform(copies, moves, fill_mode="reflect", data_format="channels_last")
            value = tf.reduce_mean(score(model(moved, training=False)))
        optimizer.apply([-tape.gradient(value, spectrum)], [spectrum])

    for _ in range(steps):
        moves = [_move(random, height, width) for _ in range(COPIES)]
        ascend(tf.constant(np.stack(moves), tf.float32))
    return picture().numpy()


def _move(random, height, width):
    """A random part of the picture, turned: the 8 numbers of a projective transform from the part to the picture."""
    angle, size = math.radians(random.uniform(-8, 8)), random.uniform(0.65, 0.95)
    cosine, sine = size * math.cos(angle), size * math.sin(angle)
    down, right = random.uniform(-0.5, 0.5, 2) * (1 - size) * (height, width)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    across = middle_x + right - cosine * middle_x + sine * middle_y
    along = middle_y + down - sine * middle_x - cosine * middle_y
    return np.array([cosine, -sine, across, sine, cosine, along, 0, 0])


def draw(picture):
    """The picture as uint8."""
    image = np.uint8(np.clip(picture, 0, 255) + 0.5)
    return image if image.shape[-1] == 3 else image.mean(axis=-1, keepdims=True).repeat(3, axis=-1).astype(np.uint8)
