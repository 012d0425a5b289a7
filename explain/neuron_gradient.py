"""The gradient of a single unit (Zeiler and Fergus 2013, section 2): from a strong activation back to the pixels.

The gradient is the plain one, or it passes ReLUs by the rule of the deconvnet or of guided backpropagation; see
`relu_rules.py`.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from retinue.configs.errors import UsageError
from retinue.explain import visualization
from retinue.explain.gradients import Gradient
from retinue.explain.layers import before_relu
from retinue.explain.relu_rules import replace_relus
from retinue.explain.targets import Target


class NeuronGradient:
    """The gradient of units of one layer by one rule. It is built once and can be called many times.

    Attributes:
        layer: Name of the layer, or None for the class scores.
        model: The part of the model up to the layer, with the rule. It has its own copy of the weights unless the rule
            is "plain".
    """

    def __init__(self, model: keras.Model, layer: str | None = None, rule: str = "guided") -> None:
        """Choose the layer and the rule.

        Args:
            model: A functional `keras.Model`.
            layer: Name of the layer, or None for the class scores.
            rule: "plain", "deconvnet" or "guided".

        Raises:
            UsageError: The layer does not exist, or the rule does not apply to an operation of the model.
        """
        self.layer = layer
        if layer is not None:
            model = keras.Model(model.input, before_relu(model, layer), name=model.name)
        self.model = model if rule == "plain" else replace_relus(model, rule)[0]
        self._gradient = Gradient(self.model)
        self._targets: dict[int | None, Callable[[Any], Any]] = {}

    def __call__(self, images: np.ndarray, target: Target | None = None) -> np.ndarray:
        """Compute the gradient of the unit with respect to each image.

        Args:
            images: float32 `[n, h, w, c]` as the model takes them.
            target: With a layer, the index of a channel, whose strongest unit is taken, or None for the strongest unit
                of all channels. Without a layer, the target as in `explain/__init__.py`.

        Returns:
            float32 `[n, h, w, c]`.

        Raises:
            UsageError: The layer has no such channel, or the images or the target do not fit the model.
        """
        unit: Any = target
        if self.layer is not None:
            unit = self._targets.setdefault(unit, self._strongest_unit(unit))
        return self._gradient(images, unit)[1]

    def _strongest_unit(self, channel: int | None) -> Callable[[Any], Any]:
        count = self.model.outputs[0].shape[-1]
        if channel is not None and not 0 <= channel < count:
            raise UsageError(f"channel {channel} does not exist: {self.layer} has {count} channels, 0 to {count - 1}")

        def target(outputs: Any) -> Any:
            units = outputs if channel is None else outputs[..., channel : channel + 1]
            return ops.max(ops.reshape(units, (ops.shape(units)[0], -1)), axis=-1)

        return target


def neuron_gradient(
    model: keras.Model,
    images: np.ndarray,
    target: Target | None = None,
    layer: str | None = None,
    rule: str = "guided",
) -> np.ndarray:
    """Compute the gradient of one unit of a layer with respect to each image.

    Args:
        model: A functional `keras.Model`.
        images: float32 `[n, h, w, c]` as the model takes them.
        target: Index of a channel of the layer, whose strongest unit is taken; None for the strongest unit of all
            channels. If `layer` is None, the class whose score is differentiated.
        layer: Name of a layer. If it is a ReLU, the units before it are taken: they are the same ones, but a unit at
            the limit of a ReLU6 has a gradient there. None stands for the class scores.
        rule: "plain", "deconvnet" or "guided".

    Returns:
        float32 `[n, h, w, c]`.

    Raises:
        UsageError: The layer or channel does not exist, or the rule does not apply to a nonlinearity of the model.
    """
    return NeuronGradient(model, layer, rule)(images, target)


def strongest_units(model: keras.Model, images: np.ndarray, layer: str) -> list[tuple[tuple[int, ...], int, float]]:
    """Find the strongest unit of a layer in each image.

    Args:
        model: A functional `keras.Model`.
        images: float32 `[n, h, w, c]` as the model takes them.
        layer: Name of the layer.

    Returns:
        One (position, channel, value) per image. The position is (row, column) in a feature map.

    Raises:
        UsageError: The model has no such layer.
    """
    output = before_relu(model, layer)
    features = ops.convert_to_numpy(keras.Model(model.input, output)(np.asarray(images, np.float32), training=False))
    indices = [np.unravel_index(feature.argmax(), feature.shape) for feature in features]
    return [
        (tuple(map(int, index[:-1])), int(index[-1]), float(feature[index]))
        for index, feature in zip(indices, features, strict=True)
    ]


def draw(image: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Draw the gradient as an image: gray is zero, and the strongest values have full color.

    Args:
        image: uint8 `[h, w, 3]`; not used.
        gradient: float `[h, w, c]`.

    Returns:
        uint8 `[h, w, 3]`.
    """
    return visualization.gradient_image(gradient)
