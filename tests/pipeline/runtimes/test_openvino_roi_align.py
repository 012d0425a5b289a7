"""OpenVINO's own RoIAlign against ours: on images that fill their maps, on padded ones, and at the edges."""

import keras
import numpy as np
import pytest

from retinue.pipeline.runtimes import openvino_runtime, tensorflow_runtime
from retinue.pipeline.runtimes.openvino_roi_align import FILLS, with_openvino_roi_align
from retinue.pipeline.runtimes.openvino_runtime import OpenVINORuntime
from retinue.tasks.detection.roi_align import RoIAlign

STRIDES, CHANNELS, BINS = (4, 8, 16, 32), 5, 7
NEAR = 1e-4  # twice a step of 6 between places, read up to 2 roundings of a coordinate of 40 beside


@pytest.fixture(scope="module")
def function_and_model():
    maps = [keras.Input((None, None, CHANNELS), name=f"of_{stride}") for stride in STRIDES]
    boxes, size = keras.Input((None, 4), name="boxes"), keras.Input((2,), dtype="int32", name="size")
    made = [each + 1.0 for each in maps]  # inputs keep no other name than their own
    pooled, on_map = RoIAlign(STRIDES, BINS, 32, name="roi_align")(made, boxes, size)
    model = keras.Model([*maps, boxes, size], {"answer": 2 * pooled, "share": on_map})
    return _trace(model), model


def _trace(model):
    import tensorflow as tf

    signature = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in model.inputs}
    names = [tensor.name for tensor in model.inputs]
    return tf.function(lambda **given: model([given[name] for name in names])).get_concrete_function(**signature)


def inputs(images, size):
    """Maps of images padded to 96 x 160, and boxes of all sizes, at the edges and smaller than a place among them."""
    random = np.random.default_rng(3)
    low = random.uniform(0, (150, 90), (images, 40, 2))
    sides = np.exp(random.uniform(np.log(0.5), np.log(160), (images, 40, 2)))
    limit = np.array(size)[:, None, ::-1]
    boxes = np.concatenate([np.minimum(low, limit), np.minimum(low + sides, limit)], -1)
    boxes[:, 0] = [[width - 0.2, height - 0.3, width, height] for height, width in size]
    maps = {
        f"of_{stride}": random.standard_normal((images, 96 // stride, 160 // stride, CHANNELS)) for stride in STRIDES
    }
    given = {name: value.astype(np.float32) for name, value in (maps | {"boxes": boxes}).items()}
    return given | {"size": np.array(size, np.int32)}


@pytest.mark.parametrize(
    "size, fills", [([[96, 160]], True), ([[90, 150], [70, 140]], True), ([[96, 160], [60, 100]], False)]
)
def test_answers_are_those_of_tensorflow_and_of_the_converted_graph(function_and_model, size, fills):
    function, model = function_and_model
    given = inputs(len(size), size)
    truth = tensorflow_runtime.TensorFlowRuntime(function, model)(given)
    converted = openvino_runtime.convert(function)
    own = with_openvino_roi_align(converted)
    kinds = [node.get_type_name() for node in own.get_ops()]
    assert kinds.count("ROIAlign") == len(STRIDES) and "ROIAlign" not in [
        each.get_type_name() for each in converted.get_ops()
    ]
    import openvino

    found = openvino.Core().compile_model(own, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(given)
    assert bool(found[FILLS]) == fills
    if fills:
        np.testing.assert_allclose(found["answer"], truth["answer"], atol=NEAR)
    answer = OpenVINORuntime(converted)(given)
    assert set(answer) == {"answer", "share"}
    np.testing.assert_allclose(answer["answer"], truth["answer"], atol=NEAR)
    np.testing.assert_allclose(answer["share"], truth["share"], atol=1e-6)


def test_other_models_stay_as_they_are():
    image = keras.Input((4, 4, 3), name="image")
    model = keras.Model({"image": image}, {"scores": keras.layers.Conv2D(2, 3)(image)})
    assert with_openvino_roi_align(openvino_runtime.convert(tensorflow_runtime.trace(model))) is None
