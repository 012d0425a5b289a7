"""Padding that no picture can see: what a batch puts below and to the right of a picture stays zero on every map.

A picture's own part of a map is what it would have alone, its size rounded up to a whole multiple of the largest
stride. Without care, convolutions and biases fill the rest with numbers that come back over the edge, and the same
picture would get other boxes in another batch.
"""

import keras
import tensorflow as tf

from retinue.backbones.strides import tensor_strides
from retinue.configs.errors import UsageError

WINDOWS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)


class HidePadding(keras.layers.Layer):
    """Set a map `[n, h, w, c]` to zero outside of each image's own part; called with it and size int32 `[n, 2]`.

    stride: of the map; multiple: what the size is rounded up to. mean: scale up, so that the mean over the padded map
    is the one over the image's own part.
    """

    def __init__(self, stride, multiple, mean=False, **arguments):
        super().__init__(**arguments)
        self.stride, self.multiple, self.mean = stride, multiple, mean

    def call(self, x, size):
        own = up_to_multiple(size, self.multiple)
        own = (own + self.stride - 1) // self.stride  # rounded up, as the pyramid's pooled level is
        height, width = tf.shape(x)[1], tf.shape(x)[2]
        # tf.expand_dims, here and wherever the detector answers: LiteRT can't index with None where sizes are open.
        rows = tf.expand_dims(tf.range(height), 0) < own[:, :1]
        columns = tf.expand_dims(tf.range(width), 0) < own[:, 1:]
        mask = tf.cast(tf.expand_dims(tf.expand_dims(rows, 2) & tf.expand_dims(columns, 1), 3), x.dtype)
        if self.mean:
            mask *= tf.reshape(tf.cast(height * width / (own[:, 0] * own[:, 1]), x.dtype), [-1, 1, 1, 1])
        return x * mask

    def compute_output_spec(self, x, size):
        return keras.KerasTensor(x.shape, x.dtype)


def up_to_multiple(size, multiple):
    """Sizes, int tensor, not negative, rounded up to a whole `multiple`.

    Without negative numbers on the way: ONNX rounds what they are divided by towards zero, TensorFlow down.
    """
    return (size + multiple - 1) // multiple * multiple


def copy_with_padding_hidden(model, image, size, multiple):
    """A copy of a functional backbone, weights and names included, whose maps are hidden where they are padding.

    model: `keras.Model` from "image" on; image: `keras.Input` to build the copy on; size: `keras.Input` int32 `[n, 2]`;
    multiple: the largest stride.
    Raises UsageError for a net whose maps are not its input's size divided by their stride.
    """
    _refuse_odd_maps(model)
    strides = tensor_strides(model)
    padded = {id(layer.output) for layer in model.layers if isinstance(layer, keras.layers.ZeroPadding2D)}
    given = {
        operation.name: id(keras.tree.flatten(operation.input)[0])
        for operation in model.operations
        if not isinstance(operation, keras.layers.InputLayer)
    }

    def call(operation, *args, **kwargs):
        before = given[operation.name]
        averages = isinstance(operation, keras.layers.GlobalAveragePooling2D)
        if averages or _reaches_over(operation, before in padded):
            hide = HidePadding(strides[before][0], multiple, averages, name=f"{operation.name}_hide")
            args = (hide(args[0], size), *args[1:])
        made = operation(*args, **kwargs)
        if operation.name == "preprocess":  # what pads the picture itself is the colour that becomes zero
            made = HidePadding(1, 1, name="preprocess_hide")(made, size)
        return made

    with_size = keras.Model([model.input, keras.Input((2,), dtype="int32")], model.output, name=model.name)
    copy = keras.models.clone_model(with_size, input_tensors=[image, size], call_function=call)
    copy.set_weights(model.get_weights())
    return copy


def _refuse_odd_maps(model):
    side = 8 * max(model.output)
    shapes = model.compute_output_shape((1, side, side, 3))
    for stride, shape in shapes.items():
        if shape[1] * stride != side:
            raise UsageError(
                f"model.backbone: {model.name} makes a map of {shape[1]} where {side // stride} are needed (it does "
                "not pad its pictures), so it can't carry a detector; take a resnet, vgg, densenet or efficientnet_lite"
            )


def _reaches_over(operation, is_padded):
    """Whether a layer's window can look from an image's own part into what is beside it."""
    if isinstance(operation, keras.layers.ZeroPadding2D):
        return True
    if not isinstance(operation, WINDOWS) or is_padded:
        return False
    window = operation.pool_size if hasattr(operation, "pool_size") else operation.kernel_size
    return max(window) > 1 and (operation.padding == "same" or tuple(window) != tuple(operation.strides))
