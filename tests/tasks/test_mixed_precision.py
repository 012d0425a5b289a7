"""Mixed precision: what computes in 16 bits, what in float32, and that everything is float32 outside of a step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.backbones.preprocess_layer import Preprocess
from retinue.tasks.detection.roi_align import RoIAlign
from retinue.tasks.mixed_precision import low_precision_layers, precision_scope
from retinue.tasks.model import TaskModel


class DtypeRecorder(keras.layers.Layer):
    """Returns its input, and records its dtype."""

    def call(self, x):
        self.recorded_dtype = x.dtype.name
        return x


def build_model(loss_dtypes):
    image = keras.Input((4, 4, 3), name="image")
    x = Preprocess((100.0,) * 3, (50.0,) * 3, name="preprocess")(image)
    x = keras.layers.Conv2D(2, 3, name="conv")(x)
    x = DtypeRecorder(name="after_conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(2, name="logits")(x)

    def loss(targets, outputs):
        loss_dtypes.append(outputs.dtype.name)
        return {"loss": keras.losses.categorical_crossentropy(targets, outputs, from_logits=True)}

    return TaskModel(image, outputs, loss, ("loss",), ["conv"])


def test_all_layers_but_those_of_pixels_and_outputs_compute_in_16_bits():
    assert [layer.name for layer in low_precision_layers(build_model([]))] == ["conv", "after_conv", "norm", "pool"]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_only_a_training_step_computes_in_16_bits(precision):
    dtypes = []
    model = build_model(dtypes)
    model.precision = precision
    model.compile(keras.optimizers.SGD(0.1))
    x, y = np.full((2, 4, 4, 3), 200, np.float32), np.eye(2, dtype=np.float32)
    model.fit(tf.data.Dataset.from_tensors((x, y)).repeat(), steps_per_epoch=2, verbose=0)
    assert model.get_layer("after_conv").recorded_dtype == precision.removeprefix("mixed_")
    assert set(dtypes) == {"float32"}
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert model(x, training=False).dtype == tf.float32
    assert model.get_layer("after_conv").recorded_dtype == "float32"  # outside of the step


def test_policies_are_restored_after_an_error():
    model = build_model([])
    with pytest.raises(KeyError), precision_scope(model, "mixed_float16"):
        assert model.get_layer("conv").compute_dtype == "float16"
        raise KeyError
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


def test_statistics_of_batch_norms_are_float32():
    """The mean of 2000 and 2008 is 2004, which bfloat16 can't represent."""
    model = build_model([])
    norm = model.get_layer("norm")
    norm.momentum = 0.0
    values = tf.constant([2000.0, 2000.0, 2008.0, 2008.0], tf.bfloat16, shape=[2, 1, 1, 2])
    with precision_scope(model, "mixed_bfloat16"):
        assert norm(values, training=True).dtype == tf.bfloat16
    np.testing.assert_array_equal(norm.moving_mean.numpy(), [2004.0, 2004.0])


def test_coordinates_of_boxes_are_float32_on_maps_of_16_bits():
    """A box at 1029.5, which bfloat16 would round to 1032, on a ramp whose values it can represent."""
    ramp = tf.tile(tf.reshape(tf.range(-256.0, 256.0), [1, 1, 512, 1]), [1, 8, 1, 1])
    boxes, size = tf.constant([[[1029.5, 8.0, 1030.5, 9.0]]]), tf.constant([[32, 2048]])
    layer = RoIAlign([4], 1, 1)
    for dtype in (tf.float32, tf.bfloat16):
        pooled, _ = layer([tf.cast(ramp, dtype)], boxes, size)
        assert pooled.dtype == dtype
        assert (
            float(pooled[0, 0, 0, 0, 0]) == 1029.5 / 4 + 0.5 - 256
        )  # the middle of a box that is at least one cell wide
