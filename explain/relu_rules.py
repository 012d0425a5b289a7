"""Another way back through every ReLU: the deconvnet's rule and guided backpropagation.

Backward through y = max(x, 0) with the gradient g from above: plain, g where x > 0; deconvnet, max(g, 0) (Zeiler and
Fergus 2013, arXiv 1311.2901, section 2.1); guided, max(g, 0) where x > 0 (Springenberg et al. 2014, arXiv 1412.6806,
section 3.4). Max pooling goes back through its switches, which TensorFlow's gradient does: to one place of a window,
the first where several are equal.

The graph is rebuilt with other activations, and everything in it must be known: a nonlinearity that the rules can't
treat, or a layer of an unknown kind, which may hide a ReLU, is refused by name.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from retinue.backbones.blocks import DilatedPool, LocallyConnected2D
from retinue.backbones.preprocess_layer import Preprocess
from retinue.configs.errors import UsageError
from retinue.explain.proposal_classifier import ProposalInput
from retinue.tasks.detection.padding import HidePadding
from retinue.tasks.segmentation.upsampling import CutLike, PadToMultiple, ResizeLike, Upsample

RULES = ("plain", "deconvnet", "guided")
# Largest value of each function that is a ReLU.
RELUS = {
    keras.activations.relu: None,
    keras.ops.relu: None,
    tf.nn.relu: None,
    keras.activations.relu6: 6.0,
    keras.ops.relu6: 6.0,
    tf.nn.relu6: 6.0,
}
RELU_OPERATIONS = {"Relu": None, "Relu6": 6.0}
# Linear, or a choice of one of its inputs, as max pooling is.
PASSED = (
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
    CutLike,
    DilatedPool,
    ProposalInput,
    HidePadding,
    LocallyConnected2D,
    PadToMultiple,
    Preprocess,
    ResizeLike,
    Upsample,
)
# The same among operations that are no layers, for instance keras.ops.add or slicing, by their class's name.
PASSED_OPERATIONS = frozenset(
    "Add AveragePool Cast Concatenate ExpandDims Flip GetItem Identity Max Maximum MaxPool Mean Moveaxis Negative Pad "
    "Reshape Squeeze Stack Subtract Sum Transpose".split()
)
DIVISIONS = ("Divide", "TrueDivide")  # as Multiply, linear where one of the two is a number


def replace_relus(model, rule):
    """A copy of a functional model, the weights too, that gives the same and goes back by `rule`.

    rule: "plain", "deconvnet" or "guided". Returns (`keras.Model`, number of ReLUs replaced). Raises UsageError that
    names the layer for what the rule can't treat.
    """
    if rule not in RULES:
        raise UsageError(f"rule {rule}: unknown; use one of {', '.join(RULES)}")
    replaced, padded = [], {}

    def copied(operation):
        limit = _limit_of_relu(operation)
        if limit is not False:
            replaced.append(operation.name)
        if not isinstance(operation, layers.Layer):
            if limit is not False:
                return layers.Activation(_relu(rule, limit), name=operation.name)
            _check_operation(operation)
            return operation.__class__.from_config(operation.get_config())
        if isinstance(operation, layers.ReLU):
            return layers.Activation(_relu(rule, limit), name=operation.name)
        if limit is False:
            _check_layer(operation)
        copy = operation.__class__.from_config(operation.get_config())
        if limit is not False:
            copy.activation = _relu(rule, limit)
        return copy

    def call(layer, *inputs, **arguments):
        kind = type(layer).__name__
        if kind in ("Maximum", *DIVISIONS, "Multiply") and not isinstance(layer, layers.Layer):
            numbers = [value for value in inputs if not _is_tensor(value)]
            if kind == "Maximum" and numbers:  # with 0 it is a ReLU
                if np.any(numbers[0] != 0):
                    raise _refused(layer.name, f"maximum with {numbers[0]}")
                replaced.append(layer.name)
                return layers.Activation(_relu(rule, None))(next(filter(_is_tensor, inputs)))
            if kind != "Maximum" and not numbers or kind in DIVISIONS and not _is_tensor(inputs[0]):
                raise _refused(layer.name, kind)
        if isinstance(layer, layers.MaxPooling2D) and id(inputs[0]) in padded:
            _, given, padding = padded[id(inputs[0])]
            inputs = (_Lowest(padding)(given),)
        output = layer(*inputs, **arguments)
        if isinstance(layer, layers.ZeroPadding2D):
            padded[id(output)] = (output, inputs[0], layer.padding)
        return output

    plain = keras.Model(model.input, model.output, name=model.name)
    copy = keras.models.clone_model(plain, clone_function=copied, call_function=call)
    copy.set_weights(plain.get_weights())
    if not replaced and rule != "plain":
        raise UsageError(f"{model.name}: has no ReLU, so {rule} would be the plain gradient")
    return copy, len(replaced)


class _Lowest(layers.Layer):
    """Padding that never wins a maximum. Where zeros were padded before max pooling, all of a window may be zero: then
    the switch must point into the picture and not into the padding, as it does in nets that pad so by themselves."""

    def __init__(self, padding, **arguments):
        super().__init__(**arguments)
        self.around = ((0, 0), *padding, (0, 0))

    def call(self, x):
        return keras.ops.pad(x, self.around, constant_values=float("-inf"))


def _limit_of_relu(operation):
    """The largest value (None: no limit) of the ReLU that an operation is or ends with, False where it has none."""
    if type(operation).__name__ == "ReLU":  # the layer, or what keras.activations.relu is on a symbolic tensor
        if operation.negative_slope or operation.threshold:
            raise _refused(operation.name, "a ReLU with a slope below or a threshold")
        return None if operation.max_value is None else float(operation.max_value)
    if not isinstance(operation, layers.Layer):
        return RELU_OPERATIONS.get(type(operation).__name__, False)
    activation = getattr(operation, "activation", None)
    return RELUS.get(activation, False) if callable(activation) else False


def _check_layer(layer):
    if not isinstance(layer, (*PASSED, layers.Activation)) or isinstance(layer, keras.Model):
        raise _refused(layer.name, type(layer).__name__)
    activation = getattr(layer, "activation", None)
    if activation is not None and activation is not keras.activations.linear:
        raise _refused(layer.name, getattr(activation, "__name__", str(activation)))


def _check_operation(operation):
    if type(operation).__name__ not in (*PASSED_OPERATIONS, *DIVISIONS, "Multiply"):
        raise _refused(operation.name, type(operation).__name__)


def _refused(name, what):
    return UsageError(
        f"{name} ({what}): guided backpropagation and the deconvnet are made for nets of ReLUs, max pooling and linear "
        "layers, and can't treat this; use saliency, smoothgrad, integrated-gradients or grad-cam"
    )


def _is_tensor(value):
    return isinstance(value, (keras.KerasTensor, list, tuple))


def _relu(rule, limit):
    """min(max(x, 0), limit) that goes back by `rule`."""

    @tf.custom_gradient
    def relu(x):
        def back(upstream):
            if rule != "plain":
                upstream = tf.nn.relu(upstream)
            if rule == "deconvnet":
                return upstream
            passes = x > 0 if limit is None else (x > 0) & (x < limit)
            return tf.where(passes, upstream, tf.zeros_like(upstream))

        return tf.nn.relu(x) if limit is None else tf.clip_by_value(x, 0.0, limit), back

    return relu
