"""The picture that a class fits best, made from nothing by gradient ascent (Simonyan et al. 2013, section 2).

Without a regulariser the result is noise that fools the net. Four of them, from simple to complex:
l2       S_c(I) - lambda |I|^2 (Simonyan, Vedaldi, Zisserman 2013, arXiv 1312.6034)
blur     and a blur every few steps, small pixels set to the mean (Yosinski et al. 2015, arXiv 1506.06579, section 3)
jitter   random shifts and total variation (Mordvintsev et al. 2015; Mahendran and Vedaldi 2014, arXiv 1412.0035)
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
from retinue.explain.targets import resolve, score_of, scores_of

REGULARISERS = {"l2": 200, "blur": 300, "jitter": 400, "fourier": 512}  # and the steps that each takes by default
MEAN = 127.5  # the grey that is no colour at all
COPIES = 4  # of the picture, each moved in another way, a step of "fourier"
# How the colours of photos hang together: a square root of their covariance over ImageNet (Olah et al. 2017).
COLORS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)


def class_image(model, target, size=None, regulariser="fourier", steps=None, seed=0):
    """(picture float32 `[h, w, c]` in 0..255, probability of the target for it, or its score where it is a function).

    target: a class index, or a function from the model's outputs to float `[n]`: a channel, for instance.
    size: pixels a side, or (height, width); by default the model's, 224 where it takes any.
    The same seed gives the same picture. Raises UsageError for another regulariser, class or size.
    """
    if regulariser not in REGULARISERS:
        raise UsageError(f"regulariser {regulariser}: unknown; use one of {', '.join(REGULARISERS)}")
    height, width, channels = _shape(model, size)
    checked(model, np.zeros((1, height, width, channels), np.float32))
    function, which = resolve(model, target, 1)

    def score(outputs):
        copies = tf.repeat(tf.constant(which), tf.shape(keras.tree.flatten(outputs)[0])[0])
        return score_of(function, outputs, copies)

    steps = REGULARISERS[regulariser] if steps is None else steps
    make = _fourier if regulariser == "fourier" else _pixels
    picture = make(model, score, (height, width, channels), regulariser, steps, seed)
    outputs = model(picture[None], training=False)
    if callable(target):
        return picture, float(score(outputs)[0])
    return picture, float(keras.ops.softmax(keras.ops.cast(scores_of(outputs), "float32"))[0, which[0]])


def _shape(model, size):
    height, width, channels = model.inputs[0].shape[1:]
    size = (size, size) if np.ndim(size) == 0 else tuple(size)
    return height or size[0] or 224, width or size[1] or 224, channels


def _pixels(model, score, shape, regulariser, steps, seed):
    """Ascent on the pixels themselves; a step is as long as the gradient is told to be, whatever the net's scale."""
    random = np.random.default_rng(seed)
    smooth = 0.0 if regulariser != "jitter" else 0.02
    decay = {"l2": 0.002, "blur": 0.004, "jitter": 0.002}[regulariser]

    @tf.function
    def ascend(offset):
        with tf.GradientTape() as tape:
            tape.watch(offset)
            value = score(model(offset[None] * 128.0 + MEAN, training=False))[0]
        gradient = tape.gradient(value, offset)
        return gradient / (tf.sqrt(tf.reduce_mean(gradient**2)) + 1e-12)

    offset = 0.01 * random.standard_normal(shape, np.float32)
    for step in range(steps):
        rate = 0.05 * (1 - 0.8 * step / steps)
        shift = random.integers(-16, 17, 2) if regulariser == "jitter" else (0, 0)
        moved = np.roll(offset, shift, (0, 1))
        moved = moved + rate * ascend(tf.constant(moved)).numpy()
        if smooth:
            moved = moved - rate / 0.05 * smooth * _total_variation_gradient(moved)
        offset = np.roll(moved, (-shift[0], -shift[1]), (0, 1)) * np.float32(1 - decay)
        if regulariser == "blur" and step % 4 == 3:
            sigma = 0.8 - 0.4 * step / steps
            offset = cv2.GaussianBlur(offset, (0, 0), sigma).reshape(shape)
            size = np.abs(offset).sum(axis=-1, keepdims=True)
            offset = np.where(size < np.percentile(size, 5), 0, offset).astype(np.float32)
        limit = MEAN / 128
        offset = np.clip(offset, -limit, limit)
    return offset * 128 + np.float32(MEAN)


def _total_variation_gradient(image):
    """The gradient of the summed absolute differences of neighbours, which wrap around."""
    gradient = np.zeros_like(image)
    for axis in (0, 1):
        difference = np.sign(image - np.roll(image, 1, axis))
        gradient += difference - np.roll(difference, -1, axis)
    return gradient


def _fourier(model, score, shape, regulariser, steps, seed):
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

    optimizer = keras.optimizers.Adam(0.05)
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
    """A random shift, turn and size about the middle, as the 8 numbers of a projective transform."""
    angle, size = math.radians(random.uniform(-10, 10)), random.uniform(0.85, 1.15)
    cosine, sine = size * math.cos(angle), size * math.sin(angle)
    down, right = random.uniform(-0.08, 0.08, 2) * (height, width)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    across = middle_x + right - cosine * middle_x + sine * middle_y
    along = middle_y + down - sine * middle_x - cosine * middle_y
    return np.array([cosine, -sine, across, sine, cosine, along, 0, 0])


def draw(picture):
    """The picture as uint8."""
    image = np.uint8(np.clip(picture, 0, 255) + 0.5)
    return image if image.shape[-1] == 3 else image.mean(axis=-1, keepdims=True).repeat(3, axis=-1).astype(np.uint8)
