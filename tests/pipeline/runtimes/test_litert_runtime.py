import keras
import numpy as np
import pytest
import tensorflow as tf

from retinue.configs.errors import RetinueError
from retinue.pipeline.runtimes import litert_runtime, tensorflow_runtime


def test_names_weights_and_open_sizes_are_kept(tmp_path):
    """means = 3 (a + 5) + the mean of b over its open size."""
    a = keras.Input((2,), name="a")
    b = keras.Input((None, 2), dtype="uint8", name="b")
    weighed = keras.layers.Dense(2, kernel_initializer="identity", bias_initializer=keras.initializers.Constant(5))(a)
    means = 3 * weighed + keras.ops.mean(keras.ops.cast(b, "float32"), axis=1)
    model = keras.Model({"b": b, "a": a}, {"means": means, "copy": keras.ops.cast(b, "int32")})
    (tmp_path / "model.tflite").write_bytes(litert_runtime.convert(tensorflow_runtime.trace(model), model))
    run = litert_runtime.LiteRTRuntime(tmp_path / "model.tflite")
    for count, length in ((1, 3), (3, 1), (2, 3)):
        numbers = np.arange(count * length * 2, dtype=np.uint8).reshape(count, length, 2)
        outputs = run.submit({"a": np.ones((count, 2), np.float32), "b": numbers}).result()
        assert set(outputs) == {"means", "copy"}
        np.testing.assert_allclose(outputs["means"], 3 * (1 + 5) + numbers.mean(1), rtol=1e-6)
        np.testing.assert_array_equal(outputs["copy"], numbers)


def test_what_litert_has_no_operation_for_is_refused():
    x = tf.TensorSpec([None], tf.float32, "x")
    unknown = tf.function(lambda **inputs: {"y": tf.math.bessel_i0(inputs["x"])}).get_concrete_function(x=x)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(RetinueError, match="can't be converted to LiteRT .*BesselI0.*; remove litert from --to"):
        litert_runtime.convert(unknown, model)
