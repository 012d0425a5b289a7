"""The lecture's three weight initializations; each call returns a new, independently seeded Keras initializer.

All are normal distributions, untruncated, with mean 0. Fan-in is input channels x kernel height x kernel width, or the
number of inputs of a dense layer.
"""

import keras


def gaussian(stddev: float = 0.01) -> keras.initializers.Initializer:
    """N(0, stddev), the same for all layers: enough for shallow networks (Krizhevsky et al. 2012, section 5)."""
    return keras.initializers.RandomNormal(stddev=stddev)


def glorot() -> keras.initializers.Initializer:
    """N(0, 1 / sqrt(fan-in)): keeps the signal's scale through linear layers (Glorot and Bengio 2010, eq. 1)."""
    return keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")


def he() -> keras.initializers.Initializer:
    """N(0, sqrt(2 / fan-in)): the same for layers before a ReLU (He et al. 2015, arXiv 1502.01852, eq. 10)."""
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
