"""Masking of padding, so that the padding of a batch never changes the output for an image.

A batch pads images below and to the right. The valid part of a feature map belongs to the image, whose size is rounded
up to a multiple of the largest stride; everything else stays zero on every map. Otherwise convolutions and biases would
fill the padding with values that come back over the edge, and the same image would get other boxes in another batch.
"""

from typing import Any

import keras
import tensorflow as tf

from retinue.backbones.strides import tensor_strides
from retinue.configs.errors import UsageError

WINDOW_LAYERS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)


class MaskPadding(keras.layers.Layer):
    """Set a feature map to zero outside of each image's valid part.

    It is called with the map, `[n, h, w, c]`, and the sizes of the images, int32 `[n, 2]`, height and width in pixels.
    """

    def __init__(self, stride: int, size_divisor: int, mean: bool = False, **options: Any) -> None:
        """Initialize the layer.

        Args:
            stride: stride of the map in pixels.
            size_divisor: sizes are rounded up to a multiple of this.
            mean: whether to scale the map up, so that the mean over the padded map is that over the valid part.
            **options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.stride, self.size_divisor, self.mean = stride, size_divisor, mean

    def call(self, x: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Mask the map."""
        valid = round_up(size, self.size_divisor)
        valid = (valid + self.stride - 1) // self.stride  # rounded up, like the pooled level of the pyramid
        height, width = tf.shape(x)[1], tf.shape(x)[2]
        # The detector uses tf.expand_dims in inference: LiteRT can't index with None where sizes are dynamic.
        rows = tf.expand_dims(tf.range(height), 0) < valid[:, :1]
        columns = tf.expand_dims(tf.range(width), 0) < valid[:, 1:]
        mask = tf.cast(tf.expand_dims(tf.expand_dims(rows, 2) & tf.expand_dims(columns, 1), 3), x.dtype)
        if self.mean:
            mask *= tf.reshape(tf.cast(height * width / (valid[:, 0] * valid[:, 1]), x.dtype), [-1, 1, 1, 1])
        return x * mask

    def compute_output_spec(self, x: keras.KerasTensor, size: keras.KerasTensor) -> keras.KerasTensor:
        """Return the shape and dtype of the map."""
        return keras.KerasTensor(x.shape, x.dtype)


def round_up(size: tf.Tensor, divisor: int) -> tf.Tensor:
    """Round sizes, an int tensor that is not negative, up to a multiple of `divisor`.

    The computation avoids negative numbers: ONNX rounds their quotient towards zero, TensorFlow down.
    """
    return (size + divisor - 1) // divisor * divisor


def copy_with_masked_padding(model: keras.Model, image: Any, size: Any, size_divisor: int) -> keras.Model:
    """Copy a functional backbone, with its weights and layer names, and mask the padding of its maps.

    Args:
        model: a backbone with the input "image" and a dict from strides to maps as output.
        image: `keras.Input` on which the copy is built.
        size: `keras.Input`, int32 `[n, 2]`, height and width of the images in pixels.
        size_divisor: the largest stride.

    Returns:
        The copy.

    Raises:
        UsageError: the sides of the backbone's maps are not the sides of its input divided by their stride.
    """
    _check_map_sizes(model)
    strides = tensor_strides(model)
    padded = {id(layer.output) for layer in model.layers if isinstance(layer, keras.layers.ZeroPadding2D)}
    input_ids = {
        operation.name: id(keras.tree.flatten(operation.input)[0])
        for operation in model.operations
        if not isinstance(operation, keras.layers.InputLayer)
    }

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        input_id = input_ids[operation.name]
        averages = isinstance(operation, keras.layers.GlobalAveragePooling2D)
        if averages or _reads_padding(operation, input_id in padded):
            mask = MaskPadding(int(strides[input_id][0]), size_divisor, averages, name=f"{operation.name}_mask")
            args = (mask(args[0], size), *args[1:])
        output = operation(*args, **kwargs)
        if operation.name == "preprocess":  # the image itself is padded with the color that becomes zero
            output = MaskPadding(1, 1, name="preprocess_mask")(output, size)
        return output

    with_size = keras.Model([model.input, keras.Input((2,), dtype="int32")], model.output, name=model.name)
    copy = keras.models.clone_model(with_size, input_tensors=[image, size], call_function=call)
    copy.set_weights(model.get_weights())
    return copy


def _check_map_sizes(model: keras.Model) -> None:
    """Raise UsageError if a map has another size than the image divided by the stride."""
    side = 8 * max(model.output)
    shapes = model.compute_output_shape((1, side, side, 3))
    for stride, shape in shapes.items():
        if shape[1] * stride != side:
            raise UsageError(
                f"model.backbone: {model.name} can't be the backbone of a detector, because it does not pad its "
                f"images: its map of stride {stride} has {shape[1]} cells on a side instead of {side // stride}. Use "
                "a resnet, vgg, densenet or efficientnet_lite"
            )


def _reads_padding(operation: Any, is_padded: bool) -> bool:
    """Check whether the window of a layer can reach from the valid part of a map into the padding.

    Args:
        operation: the layer.
        is_padded: whether its input comes from a ZeroPadding2D layer, where the padding was masked already.
    """
    if isinstance(operation, keras.layers.ZeroPadding2D):
        return True
    if not isinstance(operation, WINDOW_LAYERS) or is_padded:
        return False
    window = operation.pool_size if hasattr(operation, "pool_size") else operation.kernel_size
    return max(window) > 1 and (operation.padding == "same" or tuple(window) != tuple(operation.strides))
