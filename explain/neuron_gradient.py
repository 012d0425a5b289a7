"""A hidden unit back to the image: take a strong activation, go back to the pixels (Zeiler and Fergus 2013, section 2).

By plain gradients, by the deconvnet's rule, or by guided backpropagation; see rectifiers.py.
"""

import keras
import numpy as np
from keras import ops

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.gradients import Gradient
from retinue.explain.layers import before_relu
from retinue.explain.relu_rules import replace_relus


class NeuronGradient:
    """Units of one layer back to the image by one rule; built once and called again and again.

    layer: a layer's name, or None for the class scores. rule: "plain", "deconvnet" or "guided". model: the part of the
    net that leads there, with that rule; its own copy of the weights unless the rule is "plain".
    """

    def __init__(self, model, layer=None, rule="guided"):
        self.layer = layer
        if layer is not None:
            model = keras.Model(model.input, before_relu(model, layer), name=model.name)
        self.model = model if rule == "plain" else replace_relus(model, rule)[0]
        self._gradient, self._targets = Gradient(self.model), {}

    def __call__(self, images, target=None):
        """float32 `[n, h, w, c]`: the gradient of the unit with respect to each image."""
        if self.layer is not None:
            target = self._targets.setdefault(target, self._strongest(target))
        return self._gradient(images, target)[1]

    def _strongest(self, channel):
        channels = self.model.outputs[0].shape[-1]
        if channel is not None and not 0 <= channel < channels:
            raise UsageError(f"channel {channel}: {self.layer} has {channels} channels, 0 to {channels - 1}")

        def target(outputs):
            chosen = outputs if channel is None else outputs[..., channel : channel + 1]
            return ops.max(ops.reshape(chosen, (ops.shape(chosen)[0], -1)), axis=-1)

        return target


def neuron_gradient(model, images, target=None, layer=None, rule="guided"):
    """float32 `[n, h, w, c]`: the gradient by `rule` of one unit of `layer` with respect to each image.

    layer: a layer's name; the unit is the strongest of channel `target`, or of all channels where that is None. Of a
        layer that is a ReLU, the units before it are taken: the same ones, but one at ReLU6's limit has a gradient.
        None: the class score of `target` itself.
    rule: "plain", "deconvnet" or "guided". Raises UsageError for a layer or channel that is not there, and for a
    nonlinearity that the rule can't treat.
    """
    return NeuronGradient(model, layer, rule)(images, target)


def strongest_units(model, images, layer):
    """The strongest unit of a layer in each image: a list of (place as a tuple, channel, value)."""
    output = before_relu(model, layer)
    found = ops.convert_to_numpy(keras.Model(model.input, output)(np.asarray(images, np.float32), training=False))
    best = [np.unravel_index(one.argmax(), one.shape) for one in found]
    return [
        (tuple(map(int, index[:-1])), int(index[-1]), float(one[index])) for index, one in zip(best, found, strict=True)
    ]


def draw(image, found):
    """The gradient as a picture: grey is none, the strongest is full colour. Gives uint8 `[h, w, 3]`."""
    return visualization.gradient_image(found)
