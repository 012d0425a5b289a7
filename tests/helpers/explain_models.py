"""Models so small that the expected result can be worked out by hand."""

import keras
import numpy as np
from keras import layers


def linear_model(height=2, width=3, channels=2, classes=2):
    """Return (model, kernel `[h, w, c, classes]`) of a model whose scores are weighted sums of the pixels."""
    image = keras.Input((height, width, channels), name="image")
    model = keras.Model(image, layers.Dense(classes, name="logits")(layers.Flatten()(image)))
    kernel = np.random.default_rng(0).normal(size=(height * width * channels, classes)).astype(np.float32)
    model.set_weights([kernel, np.zeros(classes, np.float32)])
    return model, kernel.reshape(height, width, channels, classes)


def two_layer_model(first, second, activation):
    """Two linear layers over the pixels of a 1 x n image, with an activation after the first.

    Args:
        first: Kernel `[n, k]` of the first layer.
        second: Kernel `[k, classes]` of the second layer.
        activation: Function of the symbolic tensor.
    """
    first, second = np.array(first, np.float32), np.array(second, np.float32)
    image = keras.Input((1, len(first), 1), name="image")
    x = layers.Dense(first.shape[1], use_bias=False, name="first")(layers.Flatten()(image))
    x = layers.Dense(second.shape[1], use_bias=False, name="second")(activation(x))
    model = keras.Model(image, x)
    model.get_layer("first").set_weights([first])
    model.get_layer("second").set_weights([second])
    return model


def tiny_convnet(size=16, channels=3, classes=3, seed=0, activation="relu"):
    """Two convolutions, a max pool, a global average pool and logits, with random weights from `seed`."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((size, size, channels) if size else (None, None, channels), name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    x = layers.Conv2D(8, 3, padding="same", name="conv1")(x)
    x = layers.MaxPooling2D(2, name="pool")(layers.Activation(activation, name="act1")(x))
    x = layers.Conv2D(6, 3, padding="same", activation=activation, name="conv2")(x)
    x = layers.GlobalAveragePooling2D(name="global")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="tiny")


def random_images(count=2, size=16, channels=3, seed=0):
    """Return random images float32 `[count, size, size, channels]` in 0..255."""
    return np.random.default_rng(seed).uniform(0, 255, (count, size, size, channels)).astype(np.float32)
