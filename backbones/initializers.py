"""The lecture's three ways to draw the first weights; each call gives a new, independently seeded Keras initialiser.

All are normal and untruncated with mean 0. Fan-in is input channels x kernel height x kernel width, or the number of
inputs of a dense layer.
"""

import keras


def gaussian(deviation=0.01):
    """N(0, deviation), the same for all layers: enough for shallow nets (Krizhevsky et al. 2012, section 5)."""
    return keras.initializers.RandomNormal(stddev=deviation)


def glorot():
    """Deviation 1 / sqrt(fan-in): keeps the size of a signal through linear layers (Glorot and Bengio 2010, eq. 1)."""
    return keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")


def he():
    """Deviation sqrt(2 / fan-in): the same for layers before a ReLU (He et al. 2015, arXiv 1502.01852, eq. 10)."""
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
