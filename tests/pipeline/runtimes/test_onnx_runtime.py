import sys

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from retinue.configs.errors import RetinueError, UsageError
from retinue.pipeline.runtimes import onnx_runtime, tensorflow_runtime
from retinue.tasks.detection.padding import MaskPadding
from retinue.tasks.segmentation.upsampling import PadToMultiple


def small_model():
    """means = 3 a + the mean of b over its open size."""
    a = keras.Input((2,), name="a")
    b = keras.Input((None, 2), dtype="uint8", name="b")
    means = 3 * a + keras.ops.mean(keras.ops.cast(b, "float32"), axis=1)
    return keras.Model({"b": b, "a": a}, {"means": means, "copy": keras.ops.cast(b, "int32")})


def test_names_and_open_sizes_are_kept():
    model = small_model()
    content = onnx_runtime.convert(tensorflow_runtime.trace(model))
    graph = onnx.load_from_string(content).graph
    sizes = {
        tensor.name: [size.dim_param or size.dim_value for size in tensor.type.tensor_type.shape.dim]
        for tensor in (*graph.input, *graph.output)
    }
    assert sizes == {
        "a": ["batch", 2],
        "b": ["batch", "b_1", 2],
        "means": ["batch", 2],
        "copy": ["batch", "copy_1", 2],
    }
    run = onnx_runtime.OnnxRuntime(content, threads=2)
    for count, length in ((1, 3), (3, 1)):
        b = np.arange(count * length * 2, dtype=np.uint8).reshape(count, length, 2)
        outputs = run({"a": np.ones((count, 2), np.float32), "b": b})
        np.testing.assert_allclose(outputs["means"], 3 + b.mean(1), rtol=1e-6)
        np.testing.assert_array_equal(outputs["copy"], b)


def test_batch_norm_is_folded():
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, use_bias=False)(image))
    model = keras.Model({"image": image}, {"y": keras.layers.ReLU()(x)})
    graph = onnx.load_from_string(onnx_runtime.convert(tensorflow_runtime.trace(model))).graph
    kinds = {node.op_type for node in graph.node}
    assert "Conv" in kinds and not kinds & {"BatchNormalization", "Mul", "Sub"}


@pytest.mark.parametrize("sides", [(33, 50), (32, 64), (1, 31)])
def test_sizes_that_are_rounded_up_come_out_the_same(sides):
    """ONNX divides negative integers in another way than TensorFlow."""
    image = keras.Input((None, None, 3), dtype="uint8", name="image")
    size = keras.Input((2,), dtype="int32", name="size")
    pixels = keras.ops.cast(image, "float32")
    padded = PadToMultiple(32, (1.0, 2.0, 3.0))(pixels)
    outputs = {"padded": padded, "hidden": MaskPadding(4, 32)(padded, size)}
    model = keras.Model({"image": image, "size": size}, outputs)
    run = onnx_runtime.OnnxRuntime(onnx_runtime.convert(tensorflow_runtime.trace(model)))
    given = {"image": np.full((2, *sides, 3), 9, np.uint8), "size": np.array([sides, (1, 1)], np.int32)}
    outputs, truth = run(given), model(given)
    for name, value in truth.items():
        np.testing.assert_array_equal(outputs[name], value, err_msg=name)


def test_what_onnx_has_no_operation_for_is_refused():
    x = tf.TensorSpec([None], tf.float32, "x")
    unknown = tf.function(lambda **inputs: {"y": tf.math.bessel_i0(inputs["x"])}).get_concrete_function(x=x)
    with pytest.raises(RetinueError, match="can't be converted to ONNX .*BesselI0.*; use openvino or tensorflow"):
        onnx_runtime.convert(unknown)


def test_without_the_converter_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx.convert", None)
    with pytest.raises(UsageError, match=r"tf2onnx.convert, which .*pip install 'retinue\[onnx\]'"):
        onnx_runtime.convert(tensorflow_runtime.trace(small_model()))
