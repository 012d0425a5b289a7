"""Other backward passes through ReLUs: the rule of the deconvnet and guided backpropagation.

Let g be the gradient with respect to the output of y = max(x, 0). The gradient with respect to x is

- plain: g where x > 0;
- deconvnet: max(g, 0) (Zeiler and Fergus 2013, arXiv 1311.2901, section 2.1);
- guided: max(g, 0) where x > 0 (Springenberg et al. 2014, arXiv 1412.6806, section 3.4).

Max pooling passes the gradient through its switches, as TensorFlow does: to one position of a window, which is the
first one if several are equal.

The graph is rebuilt with other activations. Every operation in it must be known: a nonlinearity to which the rules do
not apply, or a layer of an unknown kind, which may contain a ReLU, is refused by name.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from retinue.backbones.blocks import DilatedPool, LocallyConnected2D
from retinue.backbones.preprocess_layer import Preprocess
from retinue.configs.errors import UsageError
from retinue.tasks.detection.padding import MaskPadding
from retinue.tasks.detection.proposal_classifier import ProposalInput
from retinue.tasks.segmentation.upsampling import CropLike, PadToMultiple, ResizeLike, Upsample

RULES = ("plain", "deconvnet", "guided")
# Functions that are ReLUs, with the upper limit of each (None: no limit).
RELUS: dict[Callable[..., Any], float | None] = {
    keras.activations.relu: None,
    keras.ops.relu: None,
    tf.nn.relu: None,
    keras.activations.relu6: 6.0,
    keras.ops.relu6: 6.0,
    tf.nn.relu6: 6.0,
}
RELU_OPERATIONS: dict[str, float | None] = {"Relu": None, "Relu6": 6.0}
# Layers that are linear or that select one of their inputs, as max pooling does. They are copied unchanged.
UNCHANGED_LAYERS = (
    layers.Add,
    layers.Average,
    layers.AveragePooling2D,
    layers.BatchNormalization,
    layers.CenterCrop,
    layers.Concatenate,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.Cropping2D,
    layers.Dense,
    layers.DepthwiseConv2D,
    layers.Dropout,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.Identity,
    layers.InputLayer,
    layers.Maximum,
    layers.MaxPooling2D,
    layers.Normalization,
    layers.Permute,
    layers.Rescaling,
    layers.Reshape,
    layers.SeparableConv2D,
    layers.SpatialDropout2D,
    layers.Subtract,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
    CropLike,
    DilatedPool,
    MaskPadding,
    LocallyConnected2D,
    PadToMultiple,
    Preprocess,
    ProposalInput,
    ResizeLike,
    Upsample,
)
# The same for operations that are no layers, for example keras.ops.add or slicing, by the names of their classes.
UNCHANGED_OPERATIONS = frozenset(
    "Add AveragePool Cast Concatenate ExpandDims Flip GetItem Identity Max Maximum MaxPool Mean Moveaxis Negative Pad "
    "Reshape Squeeze Stack Subtract Sum Transpose".split()
)
DIVISIONS = ("Divide", "TrueDivide")  # linear, like Multiply, if one of the two operands is a number


class _NoRelu:
    """Type of the marker for operations that contain no ReLU."""


_NO_RELU = _NoRelu()


def replace_relus(model: keras.Model, rule: str) -> tuple[keras.Model, int]:
    """Copy a functional model, including its weights, with another backward pass through its ReLUs.

    Args:
        model: A functional `keras.Model`.
        rule: "plain", "deconvnet" or "guided".

    Returns:
        (the copy, which has the same outputs, and the number of ReLUs that were replaced).

    Raises:
        UsageError: The rule is unknown, the model has no ReLU, or it has an operation to which the rule does not
            apply. The message names the layer.
    """
    if rule not in RULES:
        raise UsageError(f"the rule {rule} is unknown; use one of {', '.join(RULES)}")
    replaced: list[str] = []
    padded: dict[int, tuple[Any, Any, Any]] = {}

    def copy_operation(operation: Any) -> Any:
        limit = _relu_limit(operation)
        if not isinstance(limit, _NoRelu):
            replaced.append(operation.name)
        if not isinstance(operation, layers.Layer):
            if not isinstance(limit, _NoRelu):
                return layers.Activation(_relu(rule, limit), name=operation.name)
            _check_operation(operation)
            return operation.__class__.from_config(operation.get_config())
        if isinstance(operation, layers.ReLU) and not isinstance(limit, _NoRelu):
            return layers.Activation(_relu(rule, limit), name=operation.name)
        if isinstance(limit, _NoRelu):
            _check_layer(operation)
        copy = operation.__class__.from_config(operation.get_config())
        if not isinstance(limit, _NoRelu):
            copy.activation = _relu(rule, limit)
        return copy

    def call_layer(layer: Any, *inputs: Any, **arguments: Any) -> Any:
        kind = type(layer).__name__
        if kind in ("Maximum", *DIVISIONS, "Multiply") and not isinstance(layer, layers.Layer):
            numbers = [value for value in inputs if not _is_tensor(value)]
            if kind == "Maximum" and numbers:  # the maximum with 0 is a ReLU
                if np.any(numbers[0] != 0):
                    raise _refused(layer.name, f"maximum with {numbers[0]}")
                replaced.append(layer.name)
                return layers.Activation(_relu(rule, None))(next(filter(_is_tensor, inputs)))
            if kind != "Maximum" and not numbers or kind in DIVISIONS and not _is_tensor(inputs[0]):
                raise _refused(layer.name, kind)
        if isinstance(layer, layers.MaxPooling2D) and id(inputs[0]) in padded:
            _, unpadded, padding = padded[id(inputs[0])]
            inputs = (_InfinityPadding(padding)(unpadded),)
        output = layer(*inputs, **arguments)
        if isinstance(layer, layers.ZeroPadding2D):
            padded[id(output)] = (output, inputs[0], layer.padding)
        return output

    plain = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(plain, clone_function=copy_operation, call_function=call_layer)
    copy.set_weights(plain.get_weights())
    if not replaced and rule != "plain":
        raise UsageError(
            f"the model {model.name} has no ReLU, so {rule} would be the plain gradient; use the plain gradient"
        )
    return copy, len(replaced)


class _InfinityPadding(layers.Layer):
    """Padding with minus infinity, which never wins a maximum.

    Where zeros were padded before max pooling, a whole window may be zero. The switch must then point into the image
    and not into the padding, as it does in models whose pooling layers pad by themselves.
    """

    def __init__(self, padding: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.pad_width = ((0, 0), *padding, (0, 0))

    def call(self, x: Any) -> Any:
        return keras.ops.pad(x, self.pad_width, constant_values=float("-inf"))


def _relu_limit(operation: Any) -> float | None | _NoRelu:
    """Return the upper limit (None: no limit) of the ReLU that an operation is or ends with, or `_NO_RELU`."""
    if type(operation).__name__ == "ReLU":  # the layer, or what keras.activations.relu makes of a symbolic tensor
        if operation.negative_slope or operation.threshold:
            raise _refused(operation.name, "a ReLU with a negative slope or a threshold")
        return None if operation.max_value is None else float(operation.max_value)
    if not isinstance(operation, layers.Layer):
        return RELU_OPERATIONS.get(type(operation).__name__, _NO_RELU)
    activation = getattr(operation, "activation", None)
    return RELUS.get(activation, _NO_RELU) if callable(activation) else _NO_RELU


def _check_layer(layer: Any) -> None:
    if not isinstance(layer, (*UNCHANGED_LAYERS, layers.Activation)) or isinstance(layer, keras.Model):
        raise _refused(layer.name, type(layer).__name__)
    activation = getattr(layer, "activation", None)
    if activation is not None and activation is not keras.activations.linear:
        raise _refused(layer.name, getattr(activation, "__name__", str(activation)))


def _check_operation(operation: Any) -> None:
    if type(operation).__name__ not in (*UNCHANGED_OPERATIONS, *DIVISIONS, "Multiply"):
        raise _refused(operation.name, type(operation).__name__)


def _refused(name: str, kind: str) -> UsageError:
    return UsageError(
        f"guided backpropagation and the deconvnet apply to models of ReLUs, max pooling and linear layers, and this "
        f"model has {name} ({kind}); use saliency, smoothgrad, integrated-gradients or grad-cam"
    )


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (keras.KerasTensor, list, tuple))


def _relu(rule: str, limit: float | None) -> Callable[[Any], Any]:
    """Make the function min(max(x, 0), limit) with the backward pass of `rule`."""

    @tf.custom_gradient
    def relu(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            if rule != "plain":
                upstream = tf.nn.relu(upstream)
            if rule == "deconvnet":
                return upstream
            passes = x > 0 if limit is None else (x > 0) & (x < limit)
            return tf.where(passes, upstream, tf.zeros_like(upstream))

        return tf.nn.relu(x) if limit is None else tf.clip_by_value(x, 0.0, limit), gradient

    return relu
